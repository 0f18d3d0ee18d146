"""Standard scores: what is said of a clip, beside what the same query says of the others."""

from __future__ import annotations

import numpy as np


def zscore(found: np.ndarray, over: np.ndarray | None = None) -> np.ndarray:
    """Scores in standard deviations above the mean of the gallery, of each query by itself.

    Args:
        found: float [..., N], larger is better; NaN where a clip cannot be judged.
        over: bool [..., N], the clips that mean and deviation are taken over; all by default.

    Returns:
        float [..., N]; 0 where a clip cannot be judged, which is for it and against it alike, and
        where all clips are equal.
    """
    known = ~np.isnan(found)
    counted = known if over is None else known & over
    count = np.maximum(counted.sum(axis=-1, keepdims=True), 1)
    mean = np.where(counted, found, 0).sum(axis=-1, keepdims=True) / count
    moved = np.where(known, found - mean, 0)
    spread = np.sqrt(np.where(counted, moved**2, 0).sum(axis=-1, keepdims=True) / count)
    # What is left of equal numbers when their mean is taken off is rounding.
    low = np.where(counted, found, np.inf).min(axis=-1, keepdims=True, initial=np.inf)
    high = np.where(counted, found, -np.inf).max(axis=-1, keepdims=True, initial=-np.inf)
    return np.divide(moved, spread, out=np.zeros_like(moved), where=high > low)
