"""Galleries of clips: as they are, and altered for the controls.

A control with the hits of the method shows what the method does not use: the order of frames, more
than one frame, the faces.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cpad_jax.data import blurred_faces, readers
from cpad_jax.features.store import FeatureStore
from cpad_jax.ranking import method


def embed_galleries(
    store: FeatureStore, clips: readers.ClipReader, controls: Sequence[method.Method], seed: int
) -> dict[str | None, np.ndarray]:
    """Embeds all clips, and once more for each control that alters them.

    Args:
        store: Embeds them.
        clips: The gallery.
        controls: Those of `method.SPOILED_CLIPS` that are wanted; others are no matter here.
        seed: Of the order that shuffled frames have.

    Returns:
        None → [N, D] of the clips as they are; the name of a control → [N, D]; L2-normalised.
    """
    whole = store.clips(clips)
    galleries: dict[str | None, np.ndarray] = {None: whole.embeddings}
    if method.FIRST_FRAME in controls:
        galleries[method.FIRST_FRAME.control] = store.pool(whole.frames[:, :1])
    if method.SHUFFLED_FRAMES in controls:
        order = np.random.default_rng((seed, 8)).random(whole.frames.shape[:2]).argsort(axis=1)
        shuffled = np.take_along_axis(whole.frames, order[..., None], axis=1)
        galleries[method.SHUFFLED_FRAMES.control] = store.pool(shuffled)
    if method.BLURRED_FACES in controls:
        blurred = store.clips(
            blurred_faces.BlurredFaces(clips), stage='embedding clips without faces'
        )
        galleries[method.BLURRED_FACES.control] = blurred.embeddings
    return galleries
