"""Inputs of Collaborative Experts: the experts' features of clips."""

from __future__ import annotations

import dataclasses

import numpy as np

from cpad_jax.data import blurred_faces, readers
from cpad_jax.features.store import FeatureStore
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
    store: FeatureStore, clips: readers.ClipReader, faces_per_clip: int
) -> ClipExperts:
    """Features of clips by every expert.

    Args:
        store: Embeds frames and faces.
        clips: The clips.
        faces_per_clip: As in `FeatureStore.faces`.

    Returns:
        Means over frames and over faces; a clip without marked people has no faces.
    """
    whole = store.clips(clips)
    place = store.clips(blurred_faces.BlurredFaces(clips), 'embedding clips without faces')
    faces, present = store.faces(clips, faces_per_clip).mean()
    features = {'frames': whole.embeddings, 'faces': faces, 'place': place.embeddings}
    always = np.ones_like(present)
    masks = {'frames': always, 'faces': present, 'place': always}
    return ClipExperts(features, np.stack([masks[name] for name in EXPERTS], axis=1))
