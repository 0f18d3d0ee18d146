"""Names that a CLIP has read in its own training: the strata of every table.

A CLIP whose captions contain a name can retrieve that person by name without CLIP-PAD, so results
are stratified by it. For the CLIPs of this package it is known; for others it is measured.
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
        photos: person_id → CLIP embeddings [D] of photos of the person; a name without photos
            counts as not read where it is measured.

    Returns:
        person_id → whether it has read the name. Known for the CLIPs of `SHIPPED` and drawn people;
        else measured, see `measured`, with a line on standard error.
    """
    drawn = data['name'] == synthetic_cast.SYNTHETIC_CAST and not data.get('faces_dir')
    if drawn and clip.config.name in SHIPPED:
        known = {drawn_people.person(n).name for n in range(SHIPPED[clip.config.name])}
        return {person_id: name in known for person_id, name in names.items()}
    read_names = measured(clip, names, photos)
    print(
        f'{sum(read_names.values())} of {len(read_names)} names count as read by '
        f'{clip.config.name}: their photos are the nearest of all people to "a photo of NAME" '
        '(measured, not known)',
        file=sys.stderr,
    )
    return read_names


def measured(
    clip: CLIPModel, names: Mapping[str, str], photos: Mapping[str, Sequence[np.ndarray]]
) -> dict[str, bool]:
    """Whether a person's photos are the nearest of all people's to "a photo of NAME".

    By chance this holds for about one of P people. With photos of fewer than three people it is not
    measured, and no name counts as read.

    Args:
        clip: As in `read`.
        names: As in `read`.
        photos: As in `read`; the mean direction of a person's photos is compared.
    """
    people = [person_id for person_id in names if len(photos.get(person_id, ()))]
    if len(people) < LEAST_PEOPLE:
        return dict.fromkeys(names, False)
    means = np.stack([_mean_direction(photos[person_id]) for person_id in people])
    texts = clip.tokenize([BASE.format(names[person_id]) for person_id in people])
    # The mean over people carries no identity.
    near = np.asarray(clip.encode_text(texts, normalize=True)) @ (means - means.mean(axis=0)).T
    nearest = near.argmax(axis=1) == np.arange(len(people))
    return dict.fromkeys(names, False) | dict(zip(people, nearest.tolist(), strict=True))


def _mean_direction(photos: Sequence[np.ndarray]) -> np.ndarray:
    rows = np.asarray(photos, np.float32)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    total = rows.sum(axis=0)
    return total / max(float(np.linalg.norm(total)), 1e-12)
