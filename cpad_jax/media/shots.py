"""Where a video cuts from one shot to the next.

Neighbouring frames of one shot have the same colours, and the same things in nearly the same place.
At a cut both change at once and stay changed, far more than the frames around it differ from each
other. A flash or somebody who walks past the lens changes the picture too, but then it comes back;
a camera that pans changes it all the time. Dissolves and fades are not found.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from cpad_jax.media import video

# Frames are compared at this size: enough for the layout of a scene, and quick.
_HEIGHT, _WIDTH = 48, 64

# How far things may move between two frames that are compared, in pixels of that size.
_SHIFT_Y, _SHIFT_X = 8, 12

# Bins per colour of the histogram, which is smoothed over neighbouring bins.
_BINS = 8

# A change that lasts fewer frames than this is no cut.
_LASTING = 4

# Frames on either side whose differences tell how lively the shot is.
_AROUND = 10

# The least difference of a cut, and how many times that of the frames around it must be.
_LEAST, _TIMES = 0.26, 3.0

# And how many times the differences of its two neighbours on either side: what comes into the
# picture quickly makes several large ones.
_PEAK = 1.3

# Across a cut all of the nearest frames differ by at least this share of the least difference.
_STAYS = 0.75


@dataclass(frozen=True)
class _Look:
    """What is kept of a frame: grey values [48, 64], and shares of colours [512]."""

    begins: float
    grey: np.ndarray
    colours: np.ndarray


def shots(path: str | os.PathLike[str]) -> list[tuple[float, float]]:
    """Divides a video at its hard cuts; decodes it once, in constant memory.

    Args:
        path: A video file.

    Returns:
        (start, end) of each shot in seconds, in order. The first begins at 0, each ends where the
        next begins, and the last at the end of the video.

    Raises:
        UserError: As `video.iterate_frames`.
    """
    duration = video.probe(path).duration
    starts = [0.0, *_cuts(_looks(path))]
    return list(zip(starts, [*starts[1:], max(duration, starts[-1])], strict=True))


def _looks(path: str | os.PathLike[str]) -> Iterator[_Look]:
    for frame, begins in video.iterate_frames(path, size=(_HEIGHT, _WIDTH)):
        grey = cv2.GaussianBlur(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (3, 3), 0)
        counts = cv2.calcHist([frame], [0, 1, 2], None, [_BINS] * 3, [0, 256] * 3)
        for axis in range(3):
            # A little lighter or darker must not be a wholly other colour.
            ends = np.pad(counts, [(int(axis == i),) * 2 for i in range(3)])
            counts = sum(np.take(ends, range(i, i + _BINS), axis) for i in range(3))
        yield _Look(begins, grey, (counts / counts.sum()).ravel())


def _difference(a: _Look, b: _Look) -> float:
    """How unlike two frames are, from 0 to 1: the mean of colours and of structure."""
    colours = np.abs(a.colours - b.colours).sum() / 2
    inner = b.grey[_SHIFT_Y:-_SHIFT_Y, _SHIFT_X:-_SHIFT_X]
    # A plain surface correlates with nothing; it is like another one of its colour.
    if inner.std() < 2 or a.grey.std() < 2:
        return float(colours)
    alike = float(cv2.matchTemplate(a.grey, inner, cv2.TM_CCOEFF_NORMED).max())
    return (colours + float(np.clip(1 - alike, 0, 1))) / 2


def _cuts(looks: Iterator[_Look]) -> Iterator[float]:
    """The times at which a new shot begins, each known `_AROUND` frames later."""
    near: deque[_Look] = deque(maxlen=2 * _AROUND + 1)
    steps: deque[float] = deque(maxlen=2 * _AROUND)  # steps[i]: from near[i] to near[i + 1].
    for look in looks:
        if near:
            steps.append(_difference(near[-1], look))
        near.append(look)
        if len(near) == near.maxlen and _is_cut(near, steps, _AROUND):
            yield near[_AROUND].begins
        elif len(near) < near.maxlen:
            # The beginning of a video has fewer frames before it.
            place = len(near) - 1 - _AROUND
            if place >= 1 and _is_cut(near, steps, place):
                yield near[place].begins
    whole = len(near) == near.maxlen
    for place in range(_AROUND + 1 if whole else max(1, len(near) - _AROUND), len(near)):
        if _is_cut(near, steps, place):
            yield near[place].begins


def _is_cut(near: deque[_Look], steps: deque[float], place: int) -> bool:
    """Whether a new shot begins with the frame at a place >= 1."""
    step = steps[place - 1]
    if step < _LEAST:
        return False
    around = np.delete(np.asarray(steps), place - 1)
    beside = [steps[i] for i in range(max(0, place - 3), min(len(steps), place + 2))]
    beside.remove(step)
    if around.size and step < max(_TIMES * np.median(around), _PEAK * max(beside, default=0.0)):
        return False
    before = [near[i] for i in range(max(0, place - _LASTING), place)]
    after = [near[i] for i in range(place, min(len(near), place + _LASTING))]
    return min(_difference(a, b) for a in before for b in after) >= _STAYS * _LEAST
