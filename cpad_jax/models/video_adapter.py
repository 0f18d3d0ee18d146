"""The video adapter: trained on labelled clips for actions and places, of any person.

After Gao et al. 2021, "CLIP-Adapter": a small network after the frozen image tower moves the
embeddings of clips. Queries without a person are compared with the moved embeddings; queries about
people, whose tokens were trained for the frozen tower, with the embeddings of the tower itself.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import numpy as np

from cpad_jax.models.person_adapter import unit

Array = jax.Array

_AT_ONCE = 8192  # Clips that are moved at once.


class VideoAdapter(nn.Module):
    """Moves embeddings of clips; a fresh one leaves them where they are.

    Clips are centred by a constant measured on those that were learned from (`centre`), which is a
    parameter so that it travels with the rest, but training leaves it.

    Attributes:
        hidden_width: Width of the hidden layer.
    """

    hidden_width: int

    @nn.compact
    def __call__(self, clips: Array) -> Array:
        """Float [N, D] → float32 [N, D], both L2-normalised."""
        width = clips.shape[-1]
        centre = self.param('centre', nn.initializers.zeros, (width,))
        # Of what is left of clips once they are centred, a quarter of their length or so, to units.
        wide = nn.initializers.normal(4 * width**-0.5)
        x = nn.gelu(nn.Dense(self.hidden_width, kernel_init=wide, name='hidden')(clips - centre))
        still = nn.initializers.zeros
        return unit(clips + nn.Dense(width, use_bias=False, kernel_init=still, name='out')(x))


def adapt_clips(width: int, params: Any, clips: np.ndarray) -> np.ndarray:
    """Applies a video adapter to any number of clips.

    Args:
        width: Width of the hidden layer.
        params: Parameters of the adapter.
        clips: float32 [N, D], L2-normalised.

    Returns:
        float32 [N, D], L2-normalised.
    """
    parts = np.split(clips, range(_AT_ONCE, len(clips), _AT_ONCE))
    adapter = VideoAdapter(width)
    return np.concatenate([np.asarray(adapter.apply({'params': params}, part)) for part in parts])
