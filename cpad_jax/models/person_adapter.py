"""The person adapter: from face features to tokens of the text tower."""

from __future__ import annotations

import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array

# By how much a face's box is enlarged before the face feature is taken: what VGGFace2's authors
# feed to their networks.
FACE_MARGIN = 0.3

# Added to squared lengths, so that a feature of zeros (padding) stays zero instead of undefined.
_EPSILON = 1e-12


def unit(x: Array) -> Array:
    """L2-normalises the last dimension; zeros stay zeros, with a gradient of zero."""
    return x * jax.lax.rsqrt(jnp.sum(x * x, axis=-1, keepdims=True) + _EPSILON)


def padded(
    people: Sequence[Sequence[np.ndarray] | np.ndarray], width: int, most: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Face features of people with different numbers of photos, as `pool` takes them.

    Args:
        people: P times the features [Df] of somebody's photos, which may be none.
        width: Df.
        most: R; by default as many as somebody has, 1 or more.

    Returns:
        float32 [P, R, Df], zeros where there is no photo, and weights float32 [P, R], 1 or 0.
    """
    most = most or max([1, *map(len, people)])
    features = np.zeros((len(people), most, width), np.float32)
    weights = np.zeros((len(people), most), np.float32)
    for row, photos in enumerate(people):
        if len(photos):
            features[row, : len(photos)] = photos
            weights[row, : len(photos)] = 1
    return features, weights


def pool(features: Array, weights: Array) -> Array:
    """The weighted mean of unit features.

    Args:
        features: float [P, R, Df] of any length.
        weights: float [P, R] >= 0; 0 marks a photo that is not there.

    Returns:
        float32 [P, Df]; zeros where all weights are 0. The order of photos does not matter, and
        neither does how many absent ones follow.
    """
    present = (weights > 0)[..., None]
    features = unit(jnp.where(present, features, 0.0).astype(jnp.float32))
    weights = weights.astype(jnp.float32)
    total = jnp.maximum(weights.sum(axis=-1, keepdims=True), _EPSILON)
    return jnp.sum(features * (weights / total)[..., None], axis=1)


class PersonAdapter(nn.Module):
    """Maps a set of face features to K tokens, as long as the tokens of words.

    Features of faces are mostly alike, so the pooled feature is first centred
    and brought to unit spread by two constants measured on the training photos (`centre`,
    `spread`); they are parameters so that they travel with the rest, but training leaves them.

    Attributes:
        num_tokens: K, tokens per person.
        text_width: W.
        hidden_width: Width of the hidden layers.
        hidden_layers: Their number, >= 0.
        token_norm: Length of a token before training, the mean length of the vocabulary's.
    """

    num_tokens: int
    text_width: int
    hidden_width: int = 512
    hidden_layers: int = 2
    token_norm: float = 1.0

    @nn.compact
    def __call__(self, features: Array, weights: Array) -> Array:
        """Makes tokens.

        Args:
            features: float [P, R, Df], face features of R photos, of any length.
            weights: float [P, R] >= 0, how much each photo counts; 0 for one that is not there.

        Returns:
            float32 [P, K, W]. Of a person without photos they mean nothing: see `CPAD`.
        """
        pooled = pool(features, weights)  # [P, Df]
        centre = self.param('centre', nn.initializers.zeros, pooled.shape[-1:])
        spread = self.param('spread', nn.initializers.ones, ())
        x = (pooled - centre) / spread
        for i in range(self.hidden_layers):
            x = nn.gelu(nn.Dense(self.hidden_width, name=f'hidden_{i}')(x))
        x = nn.Dense(self.num_tokens * self.text_width, name='out')(x)
        x = unit(x.reshape(-1, self.num_tokens, self.text_width))  # [P, K, W]
        # Through its logarithm, the length moves by the same share whatever it is.
        log_scale = self.param('log_scale', nn.initializers.constant(math.log(self.token_norm)), ())
        return jnp.exp(log_scale) * x
