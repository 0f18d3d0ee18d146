"""Face features of the people in clips, computed once; see `store`."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax.features import store
from cpad_jax.media import images as media_images
from cpad_jax.models import face_features
from cpad_jax.models.person_adapter import FACE_MARGIN
from cpad_jax.models.pretrained import preprocessing

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
        faces /= np.maximum(np.linalg.norm(faces, axis=-1, keepdims=True), 1e-12)
        total = faces.sum(axis=1)
        length = np.linalg.norm(total, axis=-1, keepdims=True)
        return total / np.maximum(length, 1e-12), present.any(axis=1)


# Changed when other faces of the same clip would be chosen: features of faces are kept by it.
_CHOICE = 'everybody in turn, whom of them by lot'


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


def face_track_features(
    source: Sequence[Mapping[str, Any]],
    fingerprint: str,
    clip: Any,
    directory: str | Path,
    *,
    faces_per_clip: int,
    batch_size: int = 16,
    dtype: str = 'float32',
    stage: str = 'embedding faces of clips',
) -> FaceTrackFeatures:
    """Features of the faces in clips by the CLIP image tower, from the cache or computed.

    Args:
        source: Records of the `clips` schema by number.
        fingerprint: Changes with the data.
        clip: A `CLIPModel`.
        directory: Where the files lie.
        faces_per_clip: C.
        batch_size: Clips per batch, a multiple of the number of devices.
        dtype: 'float32' or 'bfloat16'.
        stage: Name on the progress bar.

    Returns:
        The features, in the order of `source`.

    Raises:
        UserError: There are no clips, or a picture is damaged.
    """
    size = clip.config.image_size

    def prepare(record: Mapping[str, Any]) -> tuple[np.ndarray, store.Arrays]:
        chosen = choose_faces(
            record['people'], np.asarray(record['times']), faces_per_clip, str(record['clip_id'])
        )
        frames = {
            frame: media_images.decode_jpeg(record['frames'][frame]) for _, frame, _ in chosen
        }
        pixels = np.zeros((faces_per_clip, size, size, 3), np.float32)
        tracks = np.full(faces_per_clip, -1, np.int64)
        if chosen:
            crops = [store.face_crop(frames[f], box, size) for _, f, box in chosen]
            pixels[: len(chosen)] = media_images.preprocess(
                crops, size, **preprocessing(clip.config)
            )
            tracks[: len(chosen)] = [person for person, _, _ in chosen]
        return pixels, {'clip_id': np.array(str(record['clip_id'])), 'tracks': tracks}

    arrays = store.cached(
        Path(directory),
        'clip-faces',
        {
            'data': fingerprint,
            'faces': faces_per_clip,
            'face': face_features.CLIP,
            'margin': FACE_MARGIN,
            'apart': MOST_APART,
            'choice': _CHOICE,
        }
        | store.conditions(clip, dtype, len(source)),
        source,
        prepare,
        store.encoder(clip, dtype, lambda embedded: {'faces': embedded}),
        batch_size,
        stage,
        'clip',
    )
    return FaceTrackFeatures(
        clip_ids=arrays['clip_id'],
        faces=arrays['faces'].astype(np.float16),
        tracks=arrays['tracks'],
    )
