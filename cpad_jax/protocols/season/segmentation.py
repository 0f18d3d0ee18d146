"""Cuts long videos into segments, so many per minute: into equal ones, or at shots.

Times are seconds from the first frame, so a varying frame rate changes nothing. A segment is
[start, end): it holds what is shown from its start until just before its end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cpad_jax.errors import UserError

EQUAL, AT_SHOTS = 'equal segments', 'at shots'
CUTS = (EQUAL, AT_SHOTS)

Span = tuple[float, float]


def equal_segments(duration: float, per_minute: float) -> list[Span]:
    """Segments of 60 / `per_minute` seconds.

    Args:
        duration: Of the video, seconds, > 0.
        per_minute: Segments per minute, > 0.

    Returns:
        (start, end) in order, without gaps, from 0 to `duration`. What is left over in the end is a
        segment of its own if it is half a segment or more, and else belongs to the last one.
    """
    length = _length(per_minute)
    count = max(1, math.floor(duration / length + 0.5))
    starts = [number * length for number in range(count)]
    return list(zip(starts, [*starts[1:], duration], strict=True))


def shot_segments(shots: Sequence[Span], per_minute: float) -> list[Span]:
    """Segments of whole shots, as near to equal ones as the shots allow.

    Args:
        shots: (start, end) of each shot in order, as `media.shots.shots` gives them.
        per_minute: Segments per minute, > 0; a video with fewer shots has fewer segments.

    Returns:
        As `equal_segments`, but that each cut is moved to the nearest one between two shots.
    """
    duration, cuts = shots[-1][1], np.array([start for start, _ in shots[1:]])
    wanted = [start for start, _ in equal_segments(duration, per_minute)[1:]]
    moved = {float(cuts[np.abs(cuts - time).argmin()]) for time in wanted if len(cuts)}
    starts = [0.0, *sorted(moved)]
    return list(zip(starts, [*starts[1:], duration], strict=True))


def _length(per_minute: float) -> float:
    if not per_minute > 0:
        raise UserError(f'{per_minute:g} segments per minute, expected more than 0')
    return 60 / per_minute


def frames_of_segments(times: np.ndarray, segments: Sequence[Span]) -> list[np.ndarray]:
    """Which frames lie in which segment.

    Args:
        times: [F] seconds, ascending, at least one.
        segments: (start, end) in order.

    Returns:
        For each segment the numbers of its frames; of a segment too short for any, the nearest one.
    """
    numbers = []
    for start, end in segments:
        first, last = np.searchsorted(times, (start, end), side='left')
        if first == last:
            first = int(np.abs(times - (start + end) / 2).argmin())
            last = first + 1
        numbers.append(np.arange(first, last))
    return numbers


def overlap(spans: Sequence[Span], segments: Sequence[Span]) -> np.ndarray:
    """For how long segments show something.

    Args:
        spans: When it is to be seen, in any order; they may overlap each other.
        segments: (start, end).

    Returns:
        float64 [number of segments], seconds; what is in several spans counts once.
    """
    seconds = np.zeros(len(segments))
    starts, ends = np.array(segments, np.float64).reshape(-1, 2).T
    for start, end in merged(spans):
        seconds += np.clip(np.minimum(ends, end) - np.maximum(starts, start), 0, None)
    return seconds


def merged(spans: Sequence[Span]) -> list[Span]:
    """The union of spans, in spans that do not touch, in order."""
    union: list[Span] = []
    for start, end in sorted(spans):
        if union and start <= union[-1][1]:
            union[-1] = (union[-1][0], max(union[-1][1], end))
        else:
            union.append((start, end))
    return union
