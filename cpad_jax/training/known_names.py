"""Which names the frozen CLIP knows: those can teach what photos should mean to the text tower.

A CLIP that has read many captions knows some people by name, and what it makes of "NAME running" is
where "[TOK] running" belongs, too. Whether it knows a name shows on the training photos.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cpad_jax.features.store import IdentityFeatures
from cpad_jax.models.name_adapter import LEAST_PEOPLE, encode_names
from cpad_jax.models.person_adapter import unit

_CHUNK = 1024  # Names compared with all people at once.


def known_names(clip: Any, features: IdentityFeatures) -> np.ndarray:
    """Finds the names whose bearer is, of all people, nearest to the embedding of the name.

    Args:
        clip: The frozen `CLIPModel`.
        features: Of all training photos, by this CLIP.

    Returns:
        bool [N]. Of names that say nothing to it, one in N is among them by chance; with fewer than
        three people, none is.
    """
    count = len(features.names)
    if count < LEAST_PEOPLE:
        return np.zeros(count, bool)
    pictures = np.zeros((count, features.images.shape[-1]), np.float32)
    np.add.at(pictures, features.labels, features.images.astype(np.float32))
    pictures = _without_mean(pictures)
    names = _without_mean(encode_names(clip, features.names))
    best = [
        (names[start : start + _CHUNK] @ pictures.T).argmax(axis=1)
        for start in range(0, count, _CHUNK)
    ]
    return np.concatenate(best) == np.arange(count)


def _without_mean(rows: np.ndarray) -> np.ndarray:
    """L2-normalised rows [N, D], centred and L2-normalised again."""
    rows = np.asarray(unit(rows))
    return np.asarray(unit(rows - rows.mean(axis=0)))
