"""Contextual embeddings of the words of a text by a frozen CLIP, for models that read words."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from cpad_jax.models.clip import CLIP
from cpad_jax.models.pretrained import CLIPModel

_TEXTS = 32  # Per call.


class WordReader:
    """Embeds every token of texts in its context.

    The embedding of a token is the output of the tower pooled at that token instead of at the end;
    of a causal tower, the embedding of the text up to that token.
    """

    def __init__(self, clip: CLIPModel):
        """Takes the CLIP that gives tokenizer and text tower."""
        self._clip = clip

        def apply(model: CLIP, ids: jax.Array) -> jax.Array:
            length = ids.shape[1]
            rows = jnp.repeat(model.embed_tokens(ids), length, axis=0)  # [B · L, L, W]
            at = jnp.tile(jnp.arange(length), len(ids))
            return model.encode_embeddings(rows, at, normalize=True)

        self._embed = jax.jit(
            lambda params, ids: clip.model.apply({'params': params}, ids, method=apply)
        )

    def __call__(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Embeds V texts.

        Returns:
            float32 [V, L, D], L2-normalised, L the context length; bool [V, L], which are of tokens
            that the text has.
        """
        c = self._clip.config.text
        ids = np.asarray(self._clip.tokenize(texts))
        count, length = ids.shape
        if c.pooling == 'end':
            mask = np.arange(length) <= (ids == c.end_token).argmax(axis=1)[:, None]
        else:
            mask = ids != c.pad_token
        parts = []
        for start in range(0, count, _TEXTS):
            rows = np.minimum(np.arange(start, start + _TEXTS), count - 1)
            parts.append(np.asarray(self._embed(self._clip.params, ids[rows])))
        return np.concatenate(parts)[: count * length].reshape(count, length, -1), mask
