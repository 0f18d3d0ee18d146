"""How well a face in a picture shows who it is."""

from __future__ import annotations

import numpy as np

from cpad_jax.media.faces import ALIGNED_LANDMARKS, ALIGNED_SIZE, Face, align_face, alignment

# At half the size, sharpness or distance from the frontal pose, a term is worth half or more.
_FULL_SIZE = 64.0  # Pixels between forehead and chin from which on more do not help.
_FULL_SHARPNESS = 0.25
_POSE = 4.0  # Pixels of an aligned face.
_GREY = np.array([0.299, 0.587, 0.114], np.float32)


def face_quality(image: np.ndarray, face: Face) -> float:
    """Judges how far a face's embedding can be relied on.

    The geometric mean of four terms from 0 to 1: the detector's score; the size, as a share of 64
    pixels; sharpness, the root mean square of the aligned face's Laplacian over its contrast; and
    how frontal the face is, exp(-(d / 4)²) where d is the root mean square distance, in pixels of
    the aligned face, of its landmarks from those of a frontal one.

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
    size = min(1.0, ALIGNED_SIZE / float(np.hypot(*matrix[:, 0])) / _FULL_SIZE)
    grey = align_face(image, face).astype(np.float32) @ _GREY
    inner = grey[1:-1, 1:-1]
    laplacian = 4 * inner - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    sharp = min(1.0, float(laplacian.std() / (inner.std() + 1.0)) / _FULL_SHARPNESS)
    score = min(max(face.score, 0.0), 1.0)
    return float((score * size * sharp * frontal) ** 0.25)
