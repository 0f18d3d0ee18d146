"""The clips as they are ranked: whole, and spoiled on purpose for the controls.

A control that still finds what the method finds shows what the method does not need: the order of
frames, all frames but one, the faces.
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
    """Embeds all clips, and once more for each control that needs other ones.

    Args:
        clips: Records of the `clips` schema by number.
        fingerprint: Changes with them.
        clip: A `CLIPModel`.
        directory: Of the feature cache.
        controls: Those of `method.SPOILED_CLIPS` that are wanted; others are no matter here.
        frames_per_clip: As in `store.clip_features`.
        batch_size: Frames at once.
        dtype: As in `store.clip_features`.
        seed: Of the order that shuffled frames have.

    Returns:
        None → [N, D] of the clips as they are; the name of a control → [N, D], of length 1.
    """
    options = {
        'frames_per_clip': frames_per_clip,
        'batch_size': store.at_once(batch_size, frames_per_clip),
        'dtype': dtype,
    }
    whole = store.clip_features(clips, fingerprint, clip, directory, **options)
    found: dict[str | None, np.ndarray] = {None: whole.embeddings}
    if method.FIRST_FRAME in controls:
        first = whole.frames[:, :1]
        found[method.FIRST_FRAME.control] = store.mean_direction(first)
    if method.SHUFFLED_FRAMES in controls:
        order = np.random.default_rng((seed, 8)).random(whole.frames.shape[:2]).argsort(axis=1)
        shuffled = np.take_along_axis(whole.frames, order[..., None], axis=1)
        found[method.SHUFFLED_FRAMES.control] = store.mean_direction(shuffled)
    if method.BLURRED_FACES in controls:
        found[method.BLURRED_FACES.control] = store.clip_features(
            blurred_faces.BlurredFaces(clips), f'{fingerprint}/faces blurred', clip, directory,
            **options, stage='embedding clips without faces',
        ).embeddings  # fmt: skip
    return found
