"""Clips with blurred faces, for controls and features that must not identify people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cpad_jax.media import images

# How far around a face's box is blurred, as a share of the box, so that hair and beard go too.
BLURRED_AROUND = 0.35


class BlurredFaces(Sequence):
    """Clips whose people have no face: everything where a track says that one is, is blurred."""

    def __init__(self, clips: Sequence[Mapping[str, Any]]):
        """Wraps records of the `clips` schema; `frames`, `times` and `people` are read."""
        self._clips = clips

    @property
    def fingerprint(self) -> str:
        """Changes with the data."""
        return f'{self._clips.fingerprint}/faces blurred'

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, number: int) -> dict[str, Any]:
        clip = dict(self._clips[number])
        return clip | {'frames': _Frames(clip['frames'], clip['times'], clip['people'])}


class _Frames(Sequence):
    """JPEGs, each of which is blurred when somebody looks at it: most are not looked at."""

    def __init__(
        self, frames: Sequence[bytes], times: np.ndarray, people: Sequence[Mapping[str, Any]]
    ):
        self._frames, self._times, self._people = frames, times, people

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, number: int) -> bytes:
        picture = images.decode_jpeg(self._frames[number])
        for box in _boxes_at(self._people, float(self._times[number])):
            blur_face(picture, box)
        return images.encode_jpeg(picture)


def _boxes_at(people: Sequence[Mapping[str, Any]], time: float) -> Iterator[np.ndarray]:
    """Where faces are at a time, from the nearest moment that each track knows."""
    for person in people:
        times = np.asarray(person['tracks']['times'])
        if len(times):
            yield np.asarray(person['tracks']['boxes'])[int(np.abs(times - time).argmin())]


def blur_face(picture: np.ndarray, box: Sequence[float]) -> None:
    """Leaves nothing of a face but its colours, in place.

    Args:
        picture: uint8 [H, W, 3].
        box: float [4], ymin xmin ymax xmax in fractions of the picture.
    """
    height, width = picture.shape[:2]
    top, left, bottom, right = np.asarray(box, np.float64) * (height, width, height, width)
    around_y, around_x = BLURRED_AROUND * (bottom - top), BLURRED_AROUND * (right - left)
    rows = slice(max(0, round(top - around_y)), max(0, round(bottom + around_y)))
    columns = slice(max(0, round(left - around_x)), max(0, round(right + around_x)))
    part = picture[rows, columns]
    if part.size:
        picture[rows, columns] = images.blur(part, max(1.0, 0.4 * (bottom - top)))
