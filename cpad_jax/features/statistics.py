"""Statistics of the face features of a data set."""

from __future__ import annotations

import numpy as np


def face_statistics(faces: np.ndarray) -> tuple[np.ndarray, np.float32]:
    """Mean and spread of L2-normalised face features.

    Args:
        faces: float [M, Df] of any length.

    Returns:
        Their mean, float32 [Df], and the root mean square deviation per dimension.
    """
    total, squares = np.zeros(faces.shape[-1]), 0.0
    for start in range(0, len(faces), 65536):
        part = faces[start : start + 65536].astype(np.float64)
        part /= np.maximum(np.linalg.norm(part, axis=-1, keepdims=True), 1e-12)
        total += part.sum(axis=0)
        squares += np.square(part).sum()
    mean = total / len(faces)
    variance = (squares / len(faces) - np.square(mean).sum()) / faces.shape[-1]
    # Equal photos would otherwise lead to a division by zero.
    return mean.astype(np.float32), np.float32(max(variance, 1e-12) ** 0.5)
