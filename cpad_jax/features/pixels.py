"""What the image tower sees of photos and frames: pixels, and crops of faces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cpad_jax.media import faces as media_faces
from cpad_jax.media import images as media_images
from cpad_jax.models.config import CLIPConfig
from cpad_jax.models.person_adapter import FACE_MARGIN
from cpad_jax.models.pretrained import preprocessing


def face_crop(image: np.ndarray, bbox: Sequence[float] | np.ndarray, size: int) -> np.ndarray:
    """The face in a photo.

    Args:
        image: uint8 [H, W, 3].
        bbox: float [4], ymin xmin ymax xmax in fractions of the picture; −1 where the photo is a
            face crop already.
        size: S.

    Returns:
        uint8 [S, S, 3], or the whole photo where there is no box.
    """
    box = pixel_box(image, bbox)
    if box is None:
        return image
    return media_faces.crop_face(image, box, enlarge=FACE_MARGIN, size=size)


def pixel_box(image: np.ndarray, bbox: Sequence[float] | np.ndarray) -> np.ndarray | None:
    """A box in fractions of a picture as pixels, float32 [4]; None where there is none (−1)."""
    box = np.asarray(bbox, np.float32)
    if (box < 0).all():
        return None
    height, width = image.shape[:2]
    return box * np.array([height, width, height, width], np.float32)


def frame_pixels(frames: np.ndarray, config: CLIPConfig) -> np.ndarray:
    """Frames of a video, uint8 [T, H, W, 3], as the image tower takes them: [T, S, S, 3]."""
    return media_images.preprocess_frames(frames, config.image_size, **preprocessing(config))
