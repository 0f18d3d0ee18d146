"""How frames become one embedding of a clip, and which frames are taken."""

from __future__ import annotations

import numpy as np


def spread_evenly(length: int, count: int) -> np.ndarray:
    """The middles of equal segments of `length` >= 1: int64 [min(length, count)], ascending."""
    count = min(length, count)
    return ((np.arange(count) + 0.5) * length / count).astype(np.int64)


def normalize(vectors: np.ndarray) -> np.ndarray:
    """[..., D] → float32 [..., D], L2-normalised; zeros stay zeros."""
    vectors = np.asarray(vectors, np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def mean_direction(frames: np.ndarray) -> np.ndarray:
    """L2-normalised mean of embeddings.

    Args:
        frames: [..., T, D], L2-normalised, or zeros for frames that are not there.

    Returns:
        float32 [..., D].
    """
    return normalize(np.asarray(frames, np.float32).sum(axis=-2))
