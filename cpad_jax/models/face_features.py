"""What the person adapter may read of a face, beside the CLIP image tower itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cpad_jax.media import faces as media_faces

# 'clip' is the image tower on the face crop. The histogram is a control: it tells colours of skin,
# hair and clothes, and nothing else.
CLIP, COLOUR_HISTOGRAM = 'clip', 'colour_histogram'
FACE_FEATURES = (CLIP, COLOUR_HISTOGRAM)

_LEVELS = 8  # Per channel.
# The box of the face grows so far that hair and shoulders are in it.
_AROUND = 2.0


def colour_histogram(image: np.ndarray, box: Sequence[float] | None = None) -> np.ndarray:
    """How often each of 512 colours occurs around a face.

    Args:
        image: uint8 [H, W, 3] RGB.
        box: float [4], ymin xmin ymax xmax of the face in pixels; None for the whole picture.

    Returns:
        float32 [512] of length 1: roots of the shares, so that common colours do not outweigh all.
    """
    if box is not None:
        image = media_faces.crop_face(image, np.asarray(box), enlarge=_AROUND, size=112)
    levels = (image // (256 // _LEVELS)).astype(np.int64)
    codes = (levels[..., 0] * _LEVELS + levels[..., 1]) * _LEVELS + levels[..., 2]
    counts = np.bincount(codes.ravel(), minlength=_LEVELS**3)
    return np.sqrt(counts / counts.sum()).astype(np.float32)
