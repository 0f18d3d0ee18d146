"""What Collaborative Experts is given of clips: the experts' features, and what is true of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax.data import blurred_faces
from cpad_jax.models.ce import EXPERTS
from cpad_jax.training import face_tracks, feature_cache

UNSAID = -1


@dataclasses.dataclass(frozen=True)
class ClipExperts:
    """The experts' features of N clips.

    Attributes:
        features: Expert → float32 [N, width], of length 1, or zeros where it has nothing to say.
        present: bool [N, X], which of `EXPERTS` say something.
    """

    features: dict[str, np.ndarray]
    present: np.ndarray


def clip_experts(
    clips: Sequence[Mapping[str, Any]],
    fingerprint: str,
    clip: Any,
    directory: Path,
    *,
    frames_per_clip: int,
    faces_per_clip: int,
    batch_size: int,
    dtype: str,
) -> ClipExperts:
    """Features of clips by every expert, from the cache or computed.

    Args:
        clips: Records of the `clips` schema.
        fingerprint: Changes with them.
        clip: A `PretrainedCLIP`.
        directory: Of the feature cache.
        frames_per_clip: As in `feature_cache.clip_features`.
        faces_per_clip: As in `face_tracks.face_track_features`.
        batch_size: Pictures at once.
        dtype: 'float32' or 'bfloat16'.

    Returns:
        Means over frames and over faces; a clip whose people nobody marked has no faces.
    """
    frames = {
        'frames_per_clip': frames_per_clip,
        'batch_size': max(1, batch_size // frames_per_clip),
        'dtype': dtype,
    }
    whole = feature_cache.clip_features(clips, fingerprint, clip, directory, **frames)
    place = feature_cache.clip_features(
        blurred_faces.BlurredFaces(clips), f'{fingerprint}/faces blurred', clip, directory,
        **frames, stage='embedding clips without faces',
    )  # fmt: skip
    faces, present = face_tracks.face_track_features(
        clips, fingerprint, clip, directory, faces_per_clip=faces_per_clip,
        batch_size=max(1, batch_size // faces_per_clip), dtype=dtype,
    ).mean()  # fmt: skip
    features = {'frames': whole.embeddings, 'faces': faces, 'place': place.embeddings}
    always = np.ones_like(present)
    there = {'frames': always, 'faces': present, 'place': always}
    return ClipExperts(features, np.stack([there[name] for name in EXPERTS], axis=1))


@dataclasses.dataclass(frozen=True)
class Shown:
    """What is true of N clips, each with room for S people.

    Attributes:
        person: int64 [N, S], numbers of people, `UNSAID` where there is no further one.
        doing: bool [N, S, A], who does which action.
        place: int64 [N], or `UNSAID`.
    """

    person: np.ndarray
    doing: np.ndarray
    place: np.ndarray

    def __getitem__(self, clips: np.ndarray) -> Shown:
        """Of some clips only."""
        return Shown(self.person[clips], self.doing[clips], self.place[clips])

    def answer(self, person: np.ndarray, action: np.ndarray, place: np.ndarray) -> np.ndarray:
        """Which clips answer which compound queries.

        Args:
            person: int [Q], whom it asks for, or `UNSAID`.
            action: int [Q], what that person, or anybody, is to do, or `UNSAID`.
            place: int [Q], where, or `UNSAID`.

        Returns:
            bool [Q, N].
        """
        asked = person[:, None, None]
        who = (self.person >= 0) & ((asked == UNSAID) | (self.person == asked))  # [Q, N, S]
        does = np.moveaxis(self.doing[:, :, action], 2, 0) | (action == UNSAID)[:, None, None]
        where = (place[:, None] == UNSAID) | (self.place == place[:, None])
        return (who & does).any(axis=2) & where


def shown(clips: Sequence[Mapping[str, Any]], people: Mapping[str, int], num_actions: int) -> Shown:
    """Reads what is true of clips off their records.

    Args:
        clips: Records of the `clips` schema.
        people: person_id → number; somebody who is not in it is in a clip, but cannot be asked for.
        num_actions: A.
    """
    casts, places = [], []
    for number in range(len(clips)):
        record = clips[number]
        places.append(record['place'])
        casts.append(
            [(people.get(p['person_id'], len(people)), p['actions']) for p in record['people']]
        )
    room = max(1, *map(len, casts))
    person = np.full((len(casts), room), UNSAID, np.int64)
    doing = np.zeros((len(casts), room, num_actions), bool)
    for row, cast in enumerate(casts):
        for slot, (who, actions) in enumerate(cast):
            person[row, slot] = who
            doing[row, slot, actions] = True
    return Shown(person, doing, np.array(places, np.int64))
