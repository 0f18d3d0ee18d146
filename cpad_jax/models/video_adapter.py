"""The clip adapter: what labelled clips teach of what is done and where, whoever does it.

After Gao et al. 2021, "CLIP-Adapter": a small network beside the frozen image tower moves what the
tower says of a clip. Words about nobody in particular are held against the moved clips; queries
about somebody, whose tokens were learned for what the tower itself says, against the clips as they
are.
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
        """Float [N, D] of length 1 → float32 [N, D] of length 1."""
        width = clips.shape[-1]
        centre = self.param('centre', nn.initializers.zeros, (width,))
        # Of what is left of clips once they are centred, a quarter of their length or so, to units.
        wide = nn.initializers.normal(4 * width**-0.5)
        x = nn.gelu(nn.Dense(self.hidden_width, kernel_init=wide, name='hidden')(clips - centre))
        still = nn.initializers.zeros
        return unit(clips + nn.Dense(width, use_bias=False, kernel_init=still, name='out')(x))


def adapt_clips(width: int, params: Any, clips: np.ndarray) -> np.ndarray:
    """Any number of clips as an adapter with a hidden layer of some width moves them.

    Args:
        width: Of the hidden layer.
        params: Of the adapter.
        clips: float32 [N, D] of length 1.

    Returns:
        float32 [N, D] of length 1.
    """
    parts = np.split(clips, range(_AT_ONCE, len(clips), _AT_ONCE))
    adapter = VideoAdapter(width)
    return np.concatenate([np.asarray(adapter.apply({'params': params}, part)) for part in parts])
