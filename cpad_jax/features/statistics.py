"""What is true of all faces of a data set."""

from __future__ import annotations

import numpy as np


def face_statistics(faces: np.ndarray) -> tuple[np.ndarray, np.float32]:
    """Mean and spread of face features of length 1.

    Args:
        faces: float [M, Df] of any length.

    Returns:
        Their mean, float32 [Df], and the root mean square of what is left per dimension.
    """
    total, squares = np.zeros(faces.shape[-1]), 0.0
    for start in range(0, len(faces), 65536):
        part = faces[start : start + 65536].astype(np.float64)
        part /= np.maximum(np.linalg.norm(part, axis=-1, keepdims=True), 1e-12)
        total += part.sum(axis=0)
        squares += np.square(part).sum()
    mean = total / len(faces)
    variance = (squares / len(faces) - np.square(mean).sum()) / faces.shape[-1]
    # All photos alike would otherwise be divided by zero.
    return mean.astype(np.float32), np.float32(max(variance, 1e-12) ** 0.5)
