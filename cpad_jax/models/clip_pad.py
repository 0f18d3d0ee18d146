"""CLIP-PAD: a frozen CLIP whose text tower is conditioned on people by the token [TOK].

After Korbar and Zisserman, "Personalised CLIP or: how to find your vacation videos" (BMVC 2022).
What is learned beside the frozen CLIP: the adapter from faces to tokens, an adapter from names to
tokens, a default token for people without either, and a low-rank update of the text tower (Hu et
al. 2021, "LoRA"). The update acts only in rows where a [TOK] stands; a row without one is plain
CLIP. Visual prompts, if wished, change what the image tower makes of the clips that are searched;
and labelled clips may train a video adapter on actions and places, of any person.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from cpad_jax.models import name_adapter as models_name_adapter
from cpad_jax.models import visual_prompts as models_visual_prompts
from cpad_jax.models.clip import CLIP
from cpad_jax.models.config import CLIPConfig
from cpad_jax.models.person_adapter import PersonAdapter
from cpad_jax.models.transformer import LowRank
from cpad_jax.models.weights import folder as weights_io

Array = jax.Array

# Layers of each text block that the low-rank update touches: (input, output) in text widths.
UPDATED_LAYERS = {
    'query': (1, 1),
    'value': (1, 1),
    'out': (1, 1),
    'c_fc': (1, 4),
    'c_proj': (4, 1),
}


@dataclasses.dataclass(frozen=True)
class CPADConfig:
    """Sizes of what CLIP-PAD adds to a CLIP.

    Attributes:
        face_feature: Which face feature the adapter reads: 'clip' is the CLIP image tower itself;
            see `face_features.tower`.
        face_width: Df, width of that feature.
        num_tokens: K, tokens per person.
        adapter_width: Width of the adapter's hidden layers.
        adapter_layers: Number of the adapter's hidden layers.
        rank: Rank of the text tower's update; 0 for none.
        token_norm: Length of a token before training.
        name_width: Width of the name adapter's hidden layers; 0 for none.
        visual_prompts: Number of visual prompts of the image tower; 0 for none.
        face_sha256: Of the weights of another CLIP that reads faces; '' where none does.
        clip_width: Width of the clip adapter's hidden layer; 0 for none.
    """

    face_feature: str
    face_width: int
    num_tokens: int = 1
    adapter_width: int = 512
    adapter_layers: int = 2
    rank: int = 8
    token_norm: float = 1.0
    name_width: int = 0
    visual_prompts: int = 0
    face_sha256: str = ''
    clip_width: int = 0


class CPAD(nn.Module):
    """What is learned; the frozen CLIP stays outside.

    Parameters: `adapter`, `default_token` [K, W], and, only where they are above 0, `low_rank` as
    `CLIP.encode_embeddings` takes it and `visual_prompts` as `visual_prompts.into` takes them.

    Attributes:
        config: Sizes of what is learned.
        clip_config: Sizes of the frozen CLIP.
    """

    config: CPADConfig
    clip_config: CLIPConfig

    @nn.compact
    def __call__(self, features: Array, weights: Array) -> tuple[Array, LowRank | None]:
        """Tokens of people, and the update of the text tower.

        Args:
            features: float [P, R, Df], face features.
            weights: float [P, R] >= 0, 0 for a photo that is not there. A person all of whose
                weights are 0 gets the default token.

        Returns:
            Tokens float32 [P, K, W], and the low-rank update (None for rank 0).
        """
        c, width = self.config, self.clip_config.text.width
        default = self.param(
            'default_token',
            nn.initializers.normal(c.token_norm * width**-0.5),
            (c.num_tokens, width),
        )
        adapter = PersonAdapter(
            num_tokens=c.num_tokens,
            text_width=width,
            hidden_width=c.adapter_width,
            hidden_layers=c.adapter_layers,
            token_norm=c.token_norm,
            name='adapter',
        )
        tokens = adapter(features, weights)  # [P, K, W]
        known = (weights > 0).any(axis=-1)[:, None, None]
        tokens = jnp.where(known, tokens, default)
        low_rank = None
        if c.rank:
            low_rank = self.param(
                'low_rank', initial_low_rank, self.clip_config.text.layers, width, c.rank
            )
        if c.visual_prompts:  # For the image tower: nothing here reads them.
            self.param(
                models_visual_prompts.NAME,
                models_visual_prompts.initial,
                c.visual_prompts,
                self.clip_config,
            )
        return tokens, low_rank


def name_adapter(config: CPADConfig, clip_config: CLIPConfig) -> models_name_adapter.NameAdapter:
    """The name adapter of these sizes; `config.name_width` > 0."""
    return models_name_adapter.NameAdapter(
        config.num_tokens, clip_config.text.width, config.name_width
    )


def initial_low_rank(key: Array, layers: int, width: int, rank: int) -> dict[str, Any]:
    """An update that changes nothing yet: a normal, b zero.

    Args:
        key: JAX random key.
        layers: Number of blocks of the text tower.
        width: W.
        rank: r.

    Returns:
        `{'resblocks.0': {'query': {'a': [in, r], 'b': [r, out]}, …}, …}`.
    """
    update: dict[str, Any] = {}
    for i in range(layers):
        block = update[f'resblocks.{i}'] = {}
        for j, (layer, (inputs, outputs)) in enumerate(UPDATED_LAYERS.items()):
            rows = inputs * width
            draw = jax.random.normal(
                jax.random.fold_in(key, i * len(UPDATED_LAYERS) + j), (rows, rank)
            )
            block[layer] = {'a': draw * rows**-0.5, 'b': jnp.zeros((rank, outputs * width))}
    return update


def insert_tokens(embeddings: Array, ids: Array, tokens: Array, person_token: int) -> Array:
    """Puts person tokens where [TOK] stands.

    Args:
        embeddings: float [B, L, W].
        ids: int [B, L].
        tokens: float [B, K, W], or [B, P, K, W] for P people per row. The first [TOK] of a row
            takes the row's first token, the next one the next; after the last it starts again, so
            that a query may mention one person twice.
        person_token: The id of [TOK].

    Returns:
        float [B, L, W].
    """
    is_person = ids == person_token
    tokens = tokens.reshape(tokens.shape[0], -1, tokens.shape[-1])  # [B, P·K, W]
    which = (jnp.cumsum(is_person, axis=-1) - 1) % tokens.shape[1]  # [B, L]
    spread = jnp.take_along_axis(tokens, which[..., None], axis=1)  # [B, L, W]
    return jnp.where(is_person[..., None], spread.astype(embeddings.dtype), embeddings)


def encode_query(
    clip: CLIP,
    clip_params: Any,
    ids: Array,
    tokens: Array,
    low_rank: LowRank | None = None,
    gate: Array | None = None,
    normalize: bool = True,
) -> Array:
    """Embeds queries about people.

    Args:
        clip: The frozen CLIP.
        clip_params: Its parameters; only the text tower's are read.
        ids: int [B, L], as `CLIP.pooled_position` wants them; L at most the context length.
        tokens: float [B, K, W] or [B, P, K, W], see `insert_tokens`. Rows without [TOK] ignore
            theirs.
        low_rank: Update of the text tower, or None.
        gate: float [B], 1 for rows that the update acts in; by default those with a [TOK].
        normalize: Whether to L2-normalise.

    Returns:
        float32 [B, D]; a row without [TOK] is CLIP's own `encode_text` of it.
    """
    variables = {'params': clip_params}
    embeddings = clip.apply(variables, ids, method='embed_tokens')  # [B, L, W]
    person_token = clip.config.text.person_token
    embeddings = insert_tokens(embeddings, ids, tokens, person_token)
    at = clip.pooled_position(ids)
    if low_rank is None:
        gate = None
    elif gate is None:
        gate = (ids == person_token).any(axis=-1).astype(jnp.float32)
    return clip.apply(
        variables, embeddings, at, low_rank, gate, normalize, method='encode_embeddings'
    )


def with_update(low_rank: LowRank | None, update: LowRank | None) -> LowRank | None:
    """The update that all people share, and beside it that of one person.

    Args:
        low_rank: As `CPAD` gives it.
        update: Of the same form, for some of the layers, or None.

    Returns:
        One update that adds what both add; `encode_query` takes it.
    """
    if not update:
        return low_rank
    both = {name: dict(block) for name, block in (low_rank or {}).items()}
    for name, block in update.items():
        layers = both.setdefault(name, {})
        for layer, person_update in block.items():
            shared = layers.get(layer)
            layers[layer] = person_update if shared is None else {
                'a': jnp.concatenate([shared['a'], person_update['a']], axis=1),
                'b': jnp.concatenate([shared['b'], person_update['b']], axis=0),
            }  # fmt: skip
    return both


def vocabulary_norm(clip_params: Any, ids: Any = None) -> float:
    """Mean length of the vocabulary's embeddings.

    Args:
        clip_params: CLIP's parameters.
        ids: int [n], the rows to take; all by default.
    """
    table = jnp.asarray(clip_params['text']['token_embedding']['embedding'])
    table = table if ids is None else table[jnp.asarray(ids)]
    return float(jnp.mean(jnp.linalg.norm(table, axis=-1)))


def fingerprint(params: Any) -> str:
    """The sha256 (64 hexadecimal digits) of parameters: names, shapes and values as float32."""
    digest = hashlib.sha256()
    for name, leaf in sorted(weights_io.flatten(params).items()):
        array = np.asarray(leaf, np.float32, order='C')
        digest.update(f'{name} {array.shape}\n'.encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
