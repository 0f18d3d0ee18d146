"""Whose names a CLIP has read before anybody taught it a person: the strata of every table.

A CLIP that met a name in its captions can find that person by name without any CLIP-PAD, so what
CLIP-PAD adds is told apart by it. Of the CLIPs that come with this package it is known; of any
other it is measured.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpad_jax.data import synthetic_cast
from cpad_jax.models.name_adapter import LEAST_PEOPLE
from cpad_jax.models.pretrained import CLIPModel
from cpad_jax.synthetic import people as drawn_people
from cpad_jax.text.training_phrases import BASE

# The captions that these were trained with name the first so many people of the drawn world
# (`config.data.famous` of their training).
SHIPPED = {'ViT-cast-16': 150, 'ViT-cast-16-128': 600}


def read(
    clip: CLIPModel,
    data: Mapping[str, Any],
    names: Mapping[str, str],
    photos: Mapping[str, Sequence[np.ndarray]],
) -> dict[str, bool]:
    """Whether a CLIP has read the names of people.

    Args:
        clip: Plain CLIP.
        data: The data set's section of the configuration.
        names: person_id → name.
        photos: person_id → CLIP embeddings [D] of photos of the person; who has none counts as
            not read where it is measured.

    Returns:
        person_id → whether. Known for the CLIPs of `SHIPPED` and people as they are drawn; else
        measured, see `measured`, and standard error says so.
    """
    drawn = data['name'] == synthetic_cast.SYNTHETIC_CAST and not data.get('faces_dir')
    if drawn and clip.config.name in SHIPPED:
        known = {drawn_people.person(n).name for n in range(SHIPPED[clip.config.name])}
        return {person_id: name in known for person_id, name in names.items()}
    found = measured(clip, names, photos)
    print(
        f'{sum(found.values())} of {len(found)} names count as read by {clip.config.name}: their '
        'photos are the nearest of all people to "a photo of NAME" (measured, not known)',
        file=sys.stderr,
    )
    return found


def measured(
    clip: CLIPModel, names: Mapping[str, str], photos: Mapping[str, Sequence[np.ndarray]]
) -> dict[str, bool]:
    """Whose photos are, of all people's, the nearest to "a photo of NAME".

    Of P people about one is the nearest by chance. With photos of fewer than three people nothing
    tells, and none counts as read.

    Args:
        clip: As in `read`.
        names: As in `read`.
        photos: As in `read`; a person's are taken as one, the mean of their directions.
    """
    shown = [person_id for person_id in names if len(photos.get(person_id, ()))]
    if len(shown) < LEAST_PEOPLE:
        return dict.fromkeys(names, False)
    means = np.stack([_mean_direction(photos[person_id]) for person_id in shown])
    texts = clip.tokenize([BASE.format(names[person_id]) for person_id in shown])
    # What is the same of all people says nothing of one.
    near = np.asarray(clip.encode_text(texts, normalize=True)) @ (means - means.mean(axis=0)).T
    nearest = near.argmax(axis=1) == np.arange(len(shown))
    found = dict.fromkeys(names, False)
    found.update(zip(shown, nearest.tolist(), strict=True))
    return found


def _mean_direction(photos: Sequence[np.ndarray]) -> np.ndarray:
    rows = np.asarray(photos, np.float32)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    total = rows.sum(axis=0)
    return total / max(float(np.linalg.norm(total)), 1e-12)
