"""Cuts long videos into pieces, so many per minute: into equal ones, or at shots.

Times are seconds from the first frame, so a varying frame rate changes nothing. A piece is
[start, end): it holds what is shown from its start until just before its end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cpad_jax.errors import UserError

EQUAL, AT_SHOTS = 'equal pieces', 'at shots'
CUTS = (EQUAL, AT_SHOTS)

Span = tuple[float, float]


def equal_segments(duration: float, per_minute: float) -> list[Span]:
    """Pieces of 60 / `per_minute` seconds.

    Args:
        duration: Of the video, seconds, > 0.
        per_minute: Pieces per minute, > 0.

    Returns:
        (start, end) in order, without gaps, from 0 to `duration`. What is left over in the end is a
        piece of its own if it is half a piece or more, and else belongs to the last one.
    """
    length = _length(per_minute)
    count = max(1, math.floor(duration / length + 0.5))
    starts = [number * length for number in range(count)]
    return list(zip(starts, [*starts[1:], duration], strict=True))


def shot_segments(shots: Sequence[Span], per_minute: float) -> list[Span]:
    """Pieces of whole shots, as near to equal ones as the shots allow.

    Args:
        shots: (start, end) of each shot in order, as `media.shots.shots` gives them.
        per_minute: Pieces per minute, > 0; a video with fewer shots has fewer pieces.

    Returns:
        As `equal_pieces`, but that each cut is moved to the nearest one between two shots.
    """
    duration, cuts = shots[-1][1], np.array([start for start, _ in shots[1:]])
    wanted = [start for start, _ in equal_segments(duration, per_minute)[1:]]
    moved = {float(cuts[np.abs(cuts - time).argmin()]) for time in wanted if len(cuts)}
    starts = [0.0, *sorted(moved)]
    return list(zip(starts, [*starts[1:], duration], strict=True))


def _length(per_minute: float) -> float:
    if not per_minute > 0:
        raise UserError(f'{per_minute:g} pieces per minute were asked for, expected more than 0')
    return 60 / per_minute


def frames_of_segments(times: np.ndarray, pieces: Sequence[Span]) -> list[np.ndarray]:
    """Which moments lie in which piece.

    Args:
        times: [F] seconds, ascending, at least one.
        pieces: (start, end) in order.

    Returns:
        For each piece the numbers of its moments; of a piece too short for any, the nearest one.
    """
    found = []
    for start, end in pieces:
        first, last = np.searchsorted(times, (start, end), side='left')
        if first == last:
            first = int(np.abs(times - (start + end) / 2).argmin())
            last = first + 1
        found.append(np.arange(first, last))
    return found


def overlap(spans: Sequence[Span], pieces: Sequence[Span]) -> np.ndarray:
    """For how long pieces show something.

    Args:
        spans: When it is to be seen, in any order; they may overlap each other.
        pieces: (start, end).

    Returns:
        float64 [number of pieces], seconds; what several spans say counts once.
    """
    found = np.zeros(len(pieces))
    starts, ends = np.array(pieces, np.float64).reshape(-1, 2).T
    for start, end in merged(spans):
        found += np.clip(np.minimum(ends, end) - np.maximum(starts, start), 0, None)
    return found


def merged(spans: Sequence[Span]) -> list[Span]:
    """The same moments in spans that do not touch, in order."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found
