"""How well a face in a picture shows who it is."""

from __future__ import annotations

import numpy as np

from cpad_jax.media.faces import ALIGNED_LANDMARKS, ALIGNED_SIZE, Face, align_face, alignment

# From where on more is no better. YuNet's own score hardly moves: it is between 0.7, where faces
# are dropped, and 0.95 for a portrait.
_FULL_SIZE = 64.0  # Pixels of the picture under the 112 of an aligned face.
_FULL_SHARPNESS = 0.25
_LOW_SCORE, _HIGH_SCORE = 0.5, 0.95
_POSE = 6.0  # Pixels of an aligned face.
_GREY = np.array([0.299, 0.587, 0.114], np.float32)


def face_quality(image: np.ndarray, face: Face) -> float:
    """Judges how far a face's embedding can be relied on.

    The geometric mean of four terms from 0 to 1:

    - size, in pixels of the picture under the aligned face, as a share of 64;
    - sharpness, the standard deviation of the aligned face's Laplacian over that of its grey
      values, as a share of 0.25;
    - how frontal it is, exp(-(d / 6)²), where d is the root mean square distance of its landmarks
      from a frontal face's, in pixels of the aligned face;
    - the detector's score, of which 0.5 counts as 0 and 0.95 as 1.

    Args:
        image: uint8 [H, W, 3] RGB.
        face: A face in it.

    Returns:
        0 to 1, higher is better.
    """
    matrix = alignment(face.landmarks)
    placed = face.landmarks @ matrix[:, :2].T + matrix[:, 2]
    distance = np.sqrt(np.square(placed - ALIGNED_LANDMARKS).sum(axis=1).mean())
    frontal = np.exp(-np.square(distance / _POSE))
    sure = np.clip((face.score - _LOW_SCORE) / (_HIGH_SCORE - _LOW_SCORE), 0.0, 1.0)
    return float((face_detail(image, face) * frontal * sure) ** 0.25)


def face_detail(image: np.ndarray, face: Face) -> float:
    """How much there is to see of a face, however it looks: size times sharpness, 0 to 1.

    Both are as `face_quality` has them, in which a frontal pose makes up for a lack of them. A
    face without detail still looks like a face, but like anybody's.

    Args:
        image: uint8 [H, W, 3] RGB.
        face: A face in it.
    """
    matrix = alignment(face.landmarks)
    size = min(1.0, ALIGNED_SIZE / float(np.hypot(*matrix[:, 0])) / _FULL_SIZE)
    grey = align_face(image, face).astype(np.float32) @ _GREY
    inner = grey[1:-1, 1:-1]
    laplacian = 4 * inner - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    return size * min(1.0, float(laplacian.std() / (inner.std() + 1.0)) / _FULL_SHARPNESS)
