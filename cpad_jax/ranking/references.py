"""Reference photos of the people of a data set."""

from __future__ import annotations

import collections
import dataclasses
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpad_jax.data import readers
from cpad_jax.data.built_dataset import DatasetPaths, PersonEntry
from cpad_jax.data.identity_matching import mark_seen
from cpad_jax.printable import say


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
    """The reference photos of a person.

    Attributes:
        person_id: The person.
        name: Name of the person.
        photos: Records of the `identities` schema, best first.
        features: float32 [R, Df], the face features of these photos.
        pictures: float [R, D], CLIP embeddings of the whole photos.
    """

    person_id: str
    name: str
    photos: Sequence[Mapping[str, Any]]
    features: np.ndarray
    pictures: np.ndarray | None = None


def photos_by_identity(photos: readers.IdentityReader) -> dict[int, list[dict[str, str]]]:
    """The `image_id` and `source` of each identity's photos, in the order of their ids."""
    by_identity: dict[int, list[dict[str, str]]] = collections.defaultdict(list)
    for number in range(len(photos)):
        record = photos[number]
        by_identity[record['identity']].append(
            {'image_id': record['image_id'], 'source': record['source']}
        )
    return {k: sorted(v, key=lambda photo: photo['image_id']) for k, v in by_identity.items()}


def read_people(
    paths: DatasetPaths, trained: DatasetPaths, names: Sequence[str]
) -> dict[str, PersonEntry]:
    """All people by person_id; `seen` is of identity learning, also on another data set."""
    people = paths.read_people()
    if paths != trained:
        known = set(names)
        learned = [p for p in trained.read_people() if p['seen'] and p['name'] in known]
        people = mark_seen(people, learned)
        say(
            f'{sum(person["seen"] for person in people)} of {len(people)} people of '
            f'{paths.folder.name} are among the {len(learned)} learned from {trained.folder.name}',
            sys.stderr,
        )
    return {person['person_id']: person for person in people}
