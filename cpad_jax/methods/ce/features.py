"""Inputs of Collaborative Experts: the experts' features of clips."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax.data import blurred_faces
from cpad_jax.features import face_tracks, store
from cpad_jax.methods.ce.model import EXPERTS


@dataclasses.dataclass(frozen=True)
class ClipExperts:
    """The experts' features of N clips.

    Attributes:
        features: Expert → float32 [N, width], L2-normalised, or zeros where it is missing.
        present: bool [N, X], which of `EXPERTS` are present.
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
        clip: A `CLIPModel`.
        directory: Folder of the feature cache.
        frames_per_clip: As in `store.clip_features`.
        faces_per_clip: As in `face_tracks.face_track_features`.
        batch_size: Pictures at once.
        dtype: 'float32' or 'bfloat16'.

    Returns:
        Means over frames and over faces; a clip without marked people has no faces.
    """
    frames = {
        'frames_per_clip': frames_per_clip,
        'batch_size': store.at_once(batch_size, frames_per_clip),
        'dtype': dtype,
    }
    whole = store.clip_features(clips, fingerprint, clip, directory, **frames)
    place = store.clip_features(
        blurred_faces.BlurredFaces(clips), f'{fingerprint}/faces blurred', clip, directory,
        **frames, stage='embedding clips without faces',
    )  # fmt: skip
    faces, present = face_tracks.face_track_features(
        clips, fingerprint, clip, directory, faces_per_clip=faces_per_clip,
        batch_size=store.at_once(batch_size, faces_per_clip), dtype=dtype,
    ).mean()  # fmt: skip
    features = {'frames': whole.embeddings, 'faces': faces, 'place': place.embeddings}
    always = np.ones_like(present)
    masks = {'frames': always, 'faces': present, 'place': always}
    return ClipExperts(features, np.stack([masks[name] for name in EXPERTS], axis=1))
