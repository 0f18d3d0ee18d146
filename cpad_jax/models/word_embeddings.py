"""What a frozen CLIP's text tower makes of each word of a text, for models that read words."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from cpad_jax.models.pretrained import PretrainedCLIP

_TEXTS = 32  # Per call.


def word_embeddings(clip: PretrainedCLIP, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Embeds every token of texts in its context.

    The embedding of a token is what the tower says when it reads its answer off there instead of
    at the end: of a causal tower, the text up to that token.

    Args:
        clip: Gives tokenizer and text tower.
        texts: V texts.

    Returns:
        float32 [V, L, D] of length 1, L the context length; bool [V, L], which are of tokens that
        the text has.
    """
    c = clip.config.text
    ids = np.asarray(clip.tokenize(texts))
    length = ids.shape[1]
    if c.pooling == 'end':
        end = (ids == c.end_token).argmax(axis=1)
        spoken = np.arange(length) <= end[:, None]
    else:
        spoken = ids != c.pad_token

    @jax.jit
    def embed(ids: jax.Array) -> jax.Array:
        def apply(model, ids):  # noqa: ANN001, ANN202 - a method of the module
            rows = jnp.repeat(model.embed_tokens(ids), length, axis=0)
            at = jnp.tile(jnp.arange(length), len(ids))
            return model.encode_embeddings(rows, at, normalize=True)

        found = clip.model.apply({'params': clip.params}, ids, method=apply)
        return found.reshape(len(ids), length, -1)

    found = []
    for start in range(0, len(ids), _TEXTS):
        rows = np.minimum(np.arange(start, start + _TEXTS), len(ids) - 1)
        found.append(np.asarray(embed(ids[rows])))
    return np.concatenate(found)[: len(ids)], spoken
