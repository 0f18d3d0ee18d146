"""Galleries of clips: as they are, and altered for the controls.

A control with the hits of the method shows what the method does not use: the order of frames, more
than one frame, the faces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax.data import blurred_faces
from cpad_jax.features import store
from cpad_jax.ranking import method


def embed_galleries(
    clips: Sequence[Mapping[str, Any]],
    fingerprint: str,
    clip: Any,
    directory: Path,
    controls: Sequence[method.Method],
    *,
    frames_per_clip: int,
    batch_size: int,
    dtype: str,
    seed: int,
) -> dict[str | None, np.ndarray]:
    """Embeds all clips, and once more for each control that alters them.

    Args:
        clips: Records of the `clips` schema by number.
        fingerprint: Changes with them.
        clip: The CLIP.
        directory: Folder of the feature cache.
        controls: Controls, of which those of `method.SPOILED_CLIPS` alter clips.
        frames_per_clip: As in `store.clip_features`.
        batch_size: Frames per batch.
        dtype: As in `store.clip_features`.
        seed: Seed of the order of shuffled frames.

    Returns:
        None → [N, D] of the clips as they are; name of a control → [N, D]; L2-normalised.
    """
    options = {
        'frames_per_clip': frames_per_clip,
        'batch_size': store.at_once(batch_size, frames_per_clip),
        'dtype': dtype,
    }
    whole = store.clip_features(clips, fingerprint, clip, directory, **options)
    galleries: dict[str | None, np.ndarray] = {None: whole.embeddings}
    if method.FIRST_FRAME in controls:
        first = whole.frames[:, :1]
        galleries[method.FIRST_FRAME.control] = store.mean_direction(first)
    if method.SHUFFLED_FRAMES in controls:
        order = np.random.default_rng((seed, 8)).random(whole.frames.shape[:2]).argsort(axis=1)
        shuffled = np.take_along_axis(whole.frames, order[..., None], axis=1)
        galleries[method.SHUFFLED_FRAMES.control] = store.mean_direction(shuffled)
    if method.BLURRED_FACES in controls:
        galleries[method.BLURRED_FACES.control] = store.clip_features(
            blurred_faces.BlurredFaces(clips), f'{fingerprint}/faces blurred', clip, directory,
            **options, stage='embedding clips without faces',
        ).embeddings  # fmt: skip
    return galleries
