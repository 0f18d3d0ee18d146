"""Clips of a long video by their moments: a clip answers as well as its best moment does.

Somebody who does something for three seconds of half a minute is hardly in the mean of all its
frames. So a clip is looked at in windows about as long as an action, each half over the last one
(the last one of a clip by more, where it has to, to end with it), and the best of them is what the
clip scores.
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
    """The moments of N clips, clip after clip.

    Attributes:
        embeddings: float32 [M, D] of length 1, the mean direction of the frames of each.
        times: float64 [M], the middle of each, in seconds of its video.
        first: int64 [N], ascending: the number of each clip's first moment.
    """

    embeddings: np.ndarray
    times: np.ndarray
    first: np.ndarray

    @functools.cached_property
    def _on_grid(self) -> np.ndarray:
        """The embeddings as `exact_scores.quantise` has them, which every query needs."""
        return exact_scores.quantise(self.embeddings)

    def scores(self, queries: np.ndarray) -> np.ndarray:
        """How well the best moment of each clip answers: float64 [Q, N], exact as in `scores`.

        Args:
            queries: float32 [Q, D] of length 1.
        """
        asked, moments = exact_scores.quantise(queries), self._on_grid.T
        parts = np.split(asked, range(_AT_ONCE, len(asked), _AT_ONCE))
        return np.concatenate(
            [np.maximum.reduceat(some @ moments, self.first, axis=1) for some in parts]
        )

    def when(self, query: np.ndarray, clips: Sequence[int]) -> np.ndarray:
        """The middle of the best moment of some clips for a query [D]: float64, in seconds."""
        found = self._on_grid @ exact_scores.quantise(query)
        ends = np.append(self.first[1:], len(found))
        return np.array([
            self.times[self.first[clip] + found[self.first[clip] : ends[clip]].argmax()]
            for clip in clips
        ])  # fmt: skip


def split_windows(frames: Sequence[np.ndarray], times: Sequence[np.ndarray], size: int) -> Windows:
    """Splits clips into moments.

    Args:
        frames: Of each of N clips float [T, D], T >= 1, the embeddings of its frames.
        times: Of each float [T], when they are shown.
        size: Frames of a moment; 0 for all of a clip. A clip with fewer is one moment.

    Returns:
        Moments of which each frame has a part: where the steps do not come out even, the last two
        moments of a clip overlap by more than half.
    """
    embeddings, middles, first = [], [], []
    for own, shown in zip(frames, times, strict=True):
        first.append(len(embeddings))
        length = min(size or len(own), len(own))
        last = len(own) - length
        # The last one ends with the clip, however little of it the one before has left.
        for start in (*range(0, last, max(1, length // 2)), last):
            embeddings.append(mean_direction(own[start : start + length]))
            middles.append(shown[start : start + length].mean())
    return Windows(np.stack(embeddings), np.array(middles), np.array(first))
