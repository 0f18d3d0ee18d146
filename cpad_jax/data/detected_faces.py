"""Clips whose people are those that a face detector finds, whatever the records mark.

Nobody has marked the faces in one's own videos: what comes of faces that were found, beside those
of the records, says how much the marks give away.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpad_jax.errors import UserError
from cpad_jax.media import faces, images, tracks

# Changed when other faces of the same frames would be found or followed.
VERSION = 1


class Detector:
    """Opens a face detector once per thread.

    Attributes:
        sha256: Of its file.

    Raises:
        UserError: There is none, see `faces.FaceDetector`.
    """

    def __init__(self) -> None:
        self._local = threading.local()
        self.sha256 = self.get().sha256

    def get(self) -> faces.FaceDetector:
        """This thread's."""
        if not hasattr(self._local, 'detector'):
            self._local.detector = faces.FaceDetector()
        return self._local.detector


def missing() -> str | None:
    """Why no faces can be found; None where they can."""
    try:
        Detector()
    except UserError as error:
        return str(error)
    return None


class DetectedFaces(Sequence):
    """Clips whose `people` are tracks of faces that were found in their frames.

    Args:
        clips: Records of the `clips` schema; `frames` and `times` are read.
        detector: Finds faces.
    """

    def __init__(self, clips: Sequence[Mapping[str, Any]], detector: Detector):
        self._clips, self._detector = clips, detector

    @property
    def fingerprint(self) -> str:
        """Changes with the data and the detector."""
        return f'{self._clips.fingerprint}/faces found by {self._detector.sha256} {VERSION}'

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, number: int) -> dict[str, Any]:
        clip = dict(self._clips[number])
        frames = [images.decode_jpeg(data) for data in clip['frames']]
        moments = zip(frames, (float(time) for time in clip['times']), strict=True)
        found = tracks.track_faces(moments, self._detector.get(), _alike)
        people = [{'tracks': {'times': one.times, 'boxes': one.boxes}} for one in found]
        return clip | {'people': people}


def _alike(image: np.ndarray, found: Sequence[faces.Face]) -> np.ndarray:
    """Faces are followed by where they are alone: no network says who is whom."""
    del image
    return np.ones((len(found), 1), np.float32)
