"""Reference photos of the people of a data set."""

from __future__ import annotations

import collections
import dataclasses
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax.data import build, readers
from cpad_jax.data.built_dataset import DatasetPaths, PersonEntry
from cpad_jax.data.identity_matching import mark_seen
from cpad_jax.features import store
from cpad_jax.models.clip_pad_api import PersonalizedCLIP
from cpad_jax.printable import say
from cpad_jax.ranking.query import choose_references


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


def read_references(
    workdir: Path,
    config: Any,
    model: PersonalizedCLIP,
    person_ids: Sequence[str],
    titles: Collection[str],
) -> tuple[dict[str, Reference], dict[str, bool]]:
    """Reference photos of people, none of them from a title of the gallery.

    Args:
        workdir: The run's folder.
        config: The configuration.
        model: The model that embeds the faces.
        person_ids: People; those without photos are left out.
        titles: Titles of the gallery.

    Returns:
        (person_id → photos, person_id → whether identity learning saw the person).
    """
    data = build.evaluation_data(config)
    paths = build.locate(data, workdir)
    reader = readers.IdentityReader(paths.part('identities'), 'references')
    cache = store.folder(config, workdir)
    features = store.photo_features(config, paths, reader, model.clip, cache)
    by_image, by_identity = photos_by_identity(features, reader)
    numbers = {str(image_id): number for number, image_id in enumerate(features.image_ids)}
    people = read_people(paths, build.locate(config.data, workdir), model.names)
    references = {}
    for person_id in person_ids:
        if person_id not in people:
            continue
        photos = by_identity.get(people[person_id]['identity'], [])
        chosen = choose_references(photos, set(titles), config.eval.num_references)
        if chosen:
            references[person_id] = Reference(
                person_id, people[person_id]['name'], [reader[numbers[i]] for i in chosen],
                np.stack([by_image[i] for i in chosen]),
                features.images[[numbers[i] for i in chosen]],
            )  # fmt: skip
    seen = {person_id: bool(people[person_id]['seen']) for person_id in references}
    return references, seen


def photos_by_identity(
    features: store.IdentityFeatures, reader: readers.IdentityReader
) -> tuple[dict[str, np.ndarray], dict[int, list[dict[str, str]]]]:
    """Face features by image id, and each identity's photos in their order."""
    photos: dict[str, np.ndarray] = {}
    by_identity: dict[int, list[dict[str, str]]] = collections.defaultdict(list)
    for number in range(len(reader)):
        record = reader[number]
        photos[record['image_id']] = features.faces[number].astype(np.float32)
        by_identity[record['identity']].append(
            {'image_id': record['image_id'], 'source': record['source']}
        )
    return photos, {k: sorted(v, key=lambda p: p['image_id']) for k, v in by_identity.items()}


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
