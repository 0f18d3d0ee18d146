"""Clips of a long video by windows: the score of a clip is that of its best window.

Somebody who does something for three seconds of half a minute is hardly in the mean of all its
frames. So a clip is split into windows about as long as an action, each overlapping the previous
one by half (the last one by more where it must, to end with the clip), and the best one counts.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from cpad_jax.features.pooling import mean_direction
from cpad_jax.ranking import exact_scores

_AT_ONCE = 64  # Queries that are scored at once.


@dataclasses.dataclass(frozen=True)
class Windows:
    """The windows of N clips, clip after clip.

    Attributes:
        embeddings: float32 [M, D], L2-normalised: the mean direction of the frames of each.
        times: float64 [M], the middle of each, in seconds of its video.
        first: int64 [N], ascending: the number of each clip's first window.
    """

    embeddings: np.ndarray
    times: np.ndarray
    first: np.ndarray

    @functools.cached_property
    def _quantised(self) -> np.ndarray:
        """The embeddings, quantised once for all queries."""
        return exact_scores.quantise(self.embeddings)

    def scores(self, queries: np.ndarray) -> np.ndarray:
        """Score of the best window of each clip: float64 [Q, N], exact as in `exact_scores`.

        Args:
            queries: float32 [Q, D], L2-normalised.
        """
        quantised, windows = exact_scores.quantise(queries), self._quantised.T
        parts = np.split(quantised, range(_AT_ONCE, len(quantised), _AT_ONCE))
        return np.concatenate(
            [np.maximum.reduceat(some @ windows, self.first, axis=1) for some in parts]
        )

    def when(self, query: np.ndarray, clips: Sequence[int]) -> np.ndarray:
        """The middle of the best window of some clips for a query [D]: float64, in seconds."""
        scores = self._quantised @ exact_scores.quantise(query)
        ends = np.append(self.first[1:], len(scores))
        return np.array([
            self.times[self.first[clip] + scores[self.first[clip] : ends[clip]].argmax()]
            for clip in clips
        ])  # fmt: skip


def split_windows(frames: Sequence[np.ndarray], times: Sequence[np.ndarray], size: int) -> Windows:
    """Splits clips into windows.

    Args:
        frames: Of each of N clips float [T, D], T >= 1, the embeddings of its frames.
        times: Of each float [T], when they are shown.
        size: Frames of a window; 0 for all of a clip. A clip with fewer is one window.

    Returns:
        Windows that cover every frame: where the steps do not divide evenly, the last two windows
        of a clip overlap by more than half.
    """
    embeddings, middles, first = [], [], []
    for clip_frames, clip_times in zip(frames, times, strict=True):
        first.append(len(embeddings))
        length = min(size or len(clip_frames), len(clip_frames))
        last = len(clip_frames) - length
        # The last one ends with the clip, however little of it the one before has left.
        for start in (*range(0, last, max(1, length // 2)), last):
            embeddings.append(mean_direction(clip_frames[start : start + length]))
            middles.append(clip_times[start : start + length].mean())
    return Windows(np.stack(embeddings), np.array(middles), np.array(first))
