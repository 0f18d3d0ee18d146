"""Z-scores of clips over the gallery, for each query."""

from __future__ import annotations

import numpy as np


def zscore(scores: np.ndarray, over: np.ndarray | None = None) -> np.ndarray:
    """Scores in standard deviations above the mean over the gallery, for each query.

    Args:
        scores: float [..., N], larger is better; NaN where a clip has none.
        over: bool [..., N], the clips for the mean and standard deviation; all by default.

    Returns:
        float [..., N]; 0, the mean, where a clip has no score and where all clips are equal.
    """
    known = ~np.isnan(scores)
    counted = known if over is None else known & over
    count = np.maximum(counted.sum(axis=-1, keepdims=True), 1)
    mean = np.where(counted, scores, 0).sum(axis=-1, keepdims=True) / count
    centred = np.where(known, scores - mean, 0)
    spread = np.sqrt(np.where(counted, centred**2, 0).sum(axis=-1, keepdims=True) / count)
    # Equal scores differ from their mean by rounding errors.
    low = np.where(counted, scores, np.inf).min(axis=-1, keepdims=True, initial=np.inf)
    high = np.where(counted, scores, -np.inf).max(axis=-1, keepdims=True, initial=-np.inf)
    return np.divide(centred, spread, out=np.zeros_like(centred), where=high > low)
