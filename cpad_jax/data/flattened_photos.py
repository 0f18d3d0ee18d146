"""Photos of people from which the hair is taken, or the face: what a photo tells somebody by.

Both controls go by the five landmarks of a face and its box. The face is an oval around eyes, nose
and mouth, from below the hairline to the chin; what is flattened has one colour and no other trace.
A fringe that hangs over the brows stays with the face, and what surrounds the features stays with
the hair: the colour of the skin is in both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpad_jax.media import images
from cpad_jax.synthetic import canvas

FACE_ONLY, HAIR_ONLY = 'face without hair', 'hair without face'
# Ovals, of the distance from the eyes to the mouth: how far below the eyes the middle lies, and the
# half axes down and across the face.
FACE = (0.62, 1.1, 0.85)
FEATURES = (0.35, 1.1, 1.05)
VERSION = 1  # Changed when the same photo would be flattened otherwise.
_GREY = (122, 116, 104)  # What CLIP takes for the mean of all pictures.


class FlattenedPhotos(Sequence):
    """Records of the `identities` schema whose pictures lack something.

    Args:
        photos: The records.
        kept: `FACE_ONLY` or `HAIR_ONLY`.
        data: Fingerprint of the data set that the records are from.
    """

    def __init__(self, photos: Sequence[Mapping[str, Any]], kept: str, data: str = ''):
        self._photos, self._kept, self._data = photos, kept, data

    @property
    def fingerprint(self) -> str:
        """Changes with the data, with which photos there are, and with what is flattened."""
        ids = '\n'.join(sorted({photo['image_id'] for photo in self._photos}))
        which = hashlib.sha256(ids.encode()).hexdigest()[:16]
        return f'{self._data}/{which}/{self._kept} {VERSION}'

    def __len__(self) -> int:
        return len(self._photos)

    def __getitem__(self, number: int) -> dict[str, Any]:
        photo = dict(self._photos[number])
        picture = images.decode_jpeg(photo['image'])
        height, width = picture.shape[:2]
        marks = np.asarray(photo['landmarks'], np.float64) * (width, height)
        box = np.asarray(photo['bbox'], np.float64) * (height, width, height, width)
        changed = flattened(picture, marks, box, self._kept)
        return photo | {'image': images.encode_jpeg(changed)}


def marked(photo: Mapping[str, Any]) -> bool:
    """Whether a record says where eyes, nose and mouth are."""
    return all(not (np.asarray(photo[name]) == -1).all() for name in ('landmarks', 'bbox'))


def flattened(picture: np.ndarray, landmarks: np.ndarray, box: np.ndarray, kept: str) -> np.ndarray:
    """A photo of a face without its hair, or of hair without its face.

    Args:
        picture: uint8 [H, W, 3].
        landmarks: float [5, 2] (x, y) in pixels: two eyes, nose, two corners of the mouth.
        box: float [4], ymin xmin ymax xmax of the face in pixels.
        kept: `FACE_ONLY`: all outside the oval of the face becomes grey. `HAIR_ONLY`: the oval
            that holds eyes, nose and mouth becomes the median of its colours.

    Returns:
        uint8 [H, W, 3], a new picture.
    """
    colour = np.array(_GREY, np.float64)
    if kept == FACE_ONLY:
        share = 1 - _oval(picture, landmarks, box, FACE)
    else:
        share = _oval(picture, landmarks, box, FEATURES)
        inside = share > 0.5
        if inside.any():
            colour = np.median(picture[inside], axis=0)
    mixed = picture * (1 - share[..., None]) + colour * share[..., None]
    return np.rint(mixed).astype(np.uint8)


def _oval(
    picture: np.ndarray, landmarks: np.ndarray, box: np.ndarray, shape: tuple[float, float, float]
) -> np.ndarray:
    """How far each pixel lies in an oval along a face: float [H, W], 0 to 1."""
    eyes, mouth = landmarks[:2].mean(axis=0), landmarks[3:].mean(axis=0)
    axis = mouth - eyes
    length = float(np.hypot(*axis))
    down, across = axis / max(length, 1e-6), np.array([-axis[1], axis[0]]) / max(length, 1e-6)
    # Seen from the side, eyes and mouth lie at the edge of the face; the box says where it is.
    middle = np.array([box[1] + box[3], box[0] + box[2]]) / 2
    centre = eyes + shape[0] * length * down + ((middle - eyes) @ across) * across
    mask = canvas.blank(*picture.shape[:2], (0,))
    canvas.ellipse(
        mask, centre, (shape[1] * length, shape[2] * length), (255,),
        angle=float(np.degrees(np.arctan2(axis[1], axis[0]))),
    )  # fmt: skip
    return mask[..., 0] / 255
