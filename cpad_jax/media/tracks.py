"""Faces followed through a shot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class FaceTrack:
    """One face through one shot.

    Attributes:
        times: float32 [M], seconds from the video's first frame, ascending, M >= 1.
        boxes: float32 [M, 4], ymin xmin ymax xmax as fractions of the picture.
        quality: float32 [M], 0 to 1: how well each face shows who it is.
        feature: float32 [F] of length 1: the faces' features, weighted by quality, as one.
        crop: uint8 [S, S, 3] RGB, the face of the best quality, aligned.
    """

    times: np.ndarray
    boxes: np.ndarray
    quality: np.ndarray
    feature: np.ndarray
    crop: np.ndarray

    @property
    def start(self) -> float:
        """Seconds."""
        return float(self.times[0])

    @property
    def end(self) -> float:
        """Seconds at which the last face was seen."""
        return float(self.times[-1])

    def together(self, other: FaceTrack) -> bool:
        """Whether both are seen at one time, and so are two people."""
        return bool(np.intersect1d(self.times, other.times).size)
