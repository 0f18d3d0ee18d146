"""Faces of the people in clips: which of them are looked at, and their features."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpad_jax.features.pixels import face_crop
from cpad_jax.features.pooling import mean_direction, normalize
from cpad_jax.media import images as media_images

# Faces of a clip that are looked at, unless a model says otherwise.
FACES_PER_CLIP = 4
# Seconds by which a track's moment may lie beside a frame; more, and the box is of something else.
MOST_APART = 0.25


@dataclasses.dataclass(frozen=True)
class FaceTrackFeatures:
    """Features of the faces in clips.

    Attributes:
        clip_ids: str [N].
        faces: float16 [N, C, Df], features of face crops, of any length.
        tracks: int64 [N, C], the track of each face: an index of the clip's `people`; −1 for
            padding.
    """

    clip_ids: np.ndarray
    faces: np.ndarray
    tracks: np.ndarray

    def mean(self) -> tuple[np.ndarray, np.ndarray]:
        """One feature per clip: the mean direction over its faces.

        Returns:
            float32 [N, Df], L2-normalised, zeros without a face; bool [N], which have one.
        """
        present = self.tracks >= 0
        faces = np.where(present[..., None], self.faces.astype(np.float32), 0)
        return mean_direction(normalize(faces)), np.asarray(present.any(axis=1))


# Changed when other faces of the same clip would be chosen: features of faces are kept by it.
CHOICE = 'everybody in turn, whom of them by lot'


def choose_faces(
    people: Sequence[Mapping[str, Any]], times: np.ndarray, count: int, clip_id: str = ''
) -> list[tuple[int, int, np.ndarray]]:
    """Chooses faces of a clip: the largest face of each person, then the next largest.

    A hash of the clip and the track breaks ties between people. The order of `people` must not:
    those who act come first in it, and the chosen faces must not reveal who acts.

    Args:
        people: Of a `clips` record; `tracks` is read.
        times: float [T], when the clip's frames are.
        count: Faces, at most.
        clip_id: Of the record.

    Returns:
        (index of the person, index of the frame, box [4] in fractions of the picture), the same
        faces however `people` are ordered.
    """
    candidates = []
    for index, person in enumerate(people):
        moments, boxes = (np.asarray(person['tracks'][name]) for name in ('times', 'boxes'))
        if not len(moments):
            continue
        apart = np.abs(moments[None] - np.asarray(times)[:, None])  # [T, M]
        nearest = apart.argmin(axis=1)
        nearest_boxes = boxes[nearest]
        size = (nearest_boxes[:, 2:] - nearest_boxes[:, :2]).min(axis=1)
        frames = np.flatnonzero((apart.min(axis=1) <= MOST_APART) & (size > 0))
        lot = _lot(clip_id, moments, boxes)
        for rank, frame in enumerate(sorted(frames, key=lambda f: (-size[f], f))[:count]):
            candidates.append((rank, lot, index, int(frame), nearest_boxes[frame]))
    chosen = sorted(candidates, key=lambda face: face[:3])[:count]
    return [face[2:] for face in sorted(chosen, key=lambda face: (face[0], face[2]))]


def _lot(clip_id: str, times: np.ndarray, boxes: np.ndarray) -> bytes:
    """A hash that orders the tracks of a clip at random, the same in every run."""
    track = np.column_stack([times, boxes]).astype('<f4')
    return hashlib.sha256(clip_id.encode() + b'\0' + track.tobytes()).digest()


def crop_faces(
    record: Mapping[str, Any], count: int, size: int
) -> tuple[list[np.ndarray], list[int]]:
    """Crops of the chosen faces of a clip, and whose they are.

    Args:
        record: Of the `clips` schema.
        count: Faces, at most; see `choose_faces`.
        size: S.

    Returns:
        (uint8 [S, S, 3] each, the index of each face's person).
    """
    chosen = choose_faces(
        record['people'], np.asarray(record['times']), count, str(record['clip_id'])
    )
    frames = {frame: media_images.decode_jpeg(record['frames'][frame]) for _, frame, _ in chosen}
    crops = [face_crop(frames[frame], box, size) for _, frame, box in chosen]
    return crops, [person for person, _, _ in chosen]
