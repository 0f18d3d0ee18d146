"""The name adapter: from a name to the tokens that photos of its bearer would give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from cpad_jax.models.person_adapter import unit
from cpad_jax.text import training_phrases

Array = jax.Array

# With fewer people, chance decides whose photos are the nearest to a name.
LEAST_PEOPLE = 3
_CHUNK = 512  # Texts embedded at once.


class NameAdapter(nn.Module):
    """Maps features of a name to K tokens, as long as the tokens of faces.

    Features are centred and brought to unit spread by constants measured on the names that were
    learned (`centre`, `spread`); with the tokens' length (`length`) they are parameters so that
    they travel with the rest, but training leaves them.

    Attributes:
        num_tokens: K, tokens per person.
        text_width: W.
        hidden_width: Width of the two hidden layers.
    """

    num_tokens: int
    text_width: int
    hidden_width: int

    @nn.compact
    def __call__(self, features: Array) -> Array:
        """Float [N, F] of `name_features` → float32 [N, K, W]."""
        centre = self.param('centre', nn.initializers.zeros, features.shape[-1:])
        spread = self.param('spread', nn.initializers.ones, features.shape[-1:])
        length = self.param('length', nn.initializers.ones, ())
        x = (features - centre) / spread
        x = nn.gelu(nn.Dense(self.hidden_width, name='hidden_0')(x))
        x = x + nn.gelu(nn.Dense(self.hidden_width, name='hidden_1')(x))
        x = nn.Dense(self.num_tokens * self.text_width, name='out')(x)
        return length * unit(x.reshape(-1, self.num_tokens, self.text_width))


def feature_width(clip_config: Any) -> int:
    """F, the width of `name_features`."""
    return clip_config.embed_dim + clip_config.text.width


def encode_texts(clip: Any, texts: Sequence[str]) -> np.ndarray:
    """L2-normalised CLIP embeddings of any number of texts: float32 [N, D]."""
    embedded = [np.zeros((0, clip.config.embed_dim), np.float32)]
    for start in range(0, len(texts), _CHUNK):
        some = list(texts[start : start + _CHUNK])
        ids = clip.tokenizer.tokenize(some, cut=clip.tokenizer.can_cut)
        embedded.append(np.asarray(clip.encode_text(ids, normalize=True)))
    return np.concatenate(embedded)


def encode_names(clip: Any, names: Sequence[str]) -> np.ndarray:
    """L2-normalised CLIP embeddings of "a photo of NAME": float32 [N, D]."""
    return encode_texts(clip, [training_phrases.BASE.format(name) for name in names])


def name_features(clip: Any, names: Sequence[str]) -> np.ndarray:
    """Features of names: CLIP embeddings, and the embeddings of the names' words.

    CLIP embeddings of names that CLIP has not read are alike; their words always differ.

    Args:
        clip: A `CLIPModel`.
        names: N names.

    Returns:
        float32 [N, D + W]: the embedding of "a photo of NAME", and the sum of the embeddings of
        the name's tokens, both L2-normalised.
    """
    tokenizer = clip.tokenizer
    table = np.asarray(clip.params['text']['token_embedding']['embedding'], np.float32)
    everywhere = np.unique(tokenizer.tokenize(['']))
    words = [np.zeros((0, table.shape[-1]), np.float32)]
    for start in range(0, len(names), _CHUNK):
        ids = tokenizer.tokenize(list(names[start : start + _CHUNK]), cut=tokenizer.can_cut)
        of_name = ~np.isin(ids, everywhere)
        words.append(np.einsum('nl,nlw->nw', of_name.astype(np.float32), table[ids]))
    read = np.asarray(unit(jnp.asarray(np.concatenate(words))))
    return np.concatenate([encode_names(clip, names), read], axis=-1)


def name_and_face(named: Array, faces: Array) -> Array:
    """Tokens of people known by name and by photos: the directions' mean, as long as a face's.

    Args:
        named: float [P, K, W], tokens of their names.
        faces: float [P, K, W], tokens of their photos.

    Returns:
        float32 [P, K, W].
    """
    length = jnp.linalg.norm(faces, axis=-1, keepdims=True)
    return length * unit(unit(jnp.asarray(named)) + unit(jnp.asarray(faces)))


def word_ids(clip: Any, texts: Sequence[str]) -> np.ndarray:
    """Ids of the words in texts, without the tokens that stand in every text, sorted: int64 [n]."""
    everywhere = np.unique(clip.tokenizer.tokenize(['']))
    return np.setdiff1d(clip.tokenizer.tokenize(texts), everywhere)
