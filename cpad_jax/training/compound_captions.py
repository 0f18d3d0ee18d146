"""Compound captions of clips, and samplers of queries and reference photos."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from cpad_jax.features.store import IdentityFeatures
from cpad_jax.models.pretrained import CLIPModel
from cpad_jax.models.word_embeddings import WordReader
from cpad_jax.text.prompts import GENERIC_PERSON
from cpad_jax.text.training_phrases import ACTION_CAPTIONS, PLACE_CAPTIONS
from cpad_jax.training.clip_labels import ANY, ClipLabels


class CompoundCaptions:
    """All training captions such as 'a person giving somebody a hug in the kitchen'.

    Attributes:
        texts: All captions, each once.
    """

    def __init__(self, actions: Sequence[str], places: Sequence[str], who: str = GENERIC_PERSON):
        """Makes the captions of every pair of action and place.

        Args:
            actions: Names of the actions.
            places: Names of the places.
            who: The subject of all captions.
        """
        self.texts: list[str] = []
        self._numbers: dict[tuple[int, int], range] = {}
        for action, place in itertools.product(range(ANY, len(actions)), range(ANY, len(places))):
            doing = ('',) if action == ANY else ACTION_CAPTIONS[actions[action]]
            where = ('',) if place == ANY else PLACE_CAPTIONS[places[place]]
            first = len(self.texts)
            self.texts += [
                ' '.join(filter(None, (who, *what))) for what in itertools.product(doing, where)
            ]
            self._numbers[action, place] = range(first, len(self.texts))

    def draw(self, action: np.ndarray, place: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Numbers of captions, int64 [Q], with these actions and places (or `ANY`) [Q]."""
        ranges = [self._numbers[int(a), int(p)] for a, p in zip(action, place, strict=True)]
        return np.array([rng.integers(r.start, r.stop) for r in ranges])


class EmbeddedCaptions(CompoundCaptions):
    """Captions for a model that reads word embeddings.

    Attributes:
        words: float16 [V, L, D], the word embeddings of all captions.
        word_mask: bool [V, L], False for padding.
    """

    def __init__(self, clip: CLIPModel, actions: Sequence[str], places: Sequence[str]):
        """As `CompoundCaptions`, about no particular person; `clip` embeds the words."""
        super().__init__(actions, places)
        words, mask = WordReader(clip)(self.texts)
        longest = int(mask.any(axis=0).nonzero()[0].max()) + 1
        self.words, self.word_mask = words[:, :longest].astype(np.float16), mask[:, :longest]


@dataclasses.dataclass(frozen=True)
class SampledQuery:
    """Compound queries, int64 [Q] each, or `ANY`; see `ClipLabels.relevant`."""

    person: np.ndarray
    action: np.ndarray
    place: np.ndarray


def sample_query(
    labels: ClipLabels,
    clips: np.ndarray,
    people: np.ndarray,
    no_person_share: float,
    rng: np.random.Generator,
) -> SampledQuery:
    """Draws a query about a person in each clip: the action, the place, or both.

    Args:
        labels: Labels of the clips.
        clips: int [Q], a clip that each query is to match.
        people: int [Q], the number of a person in each of them.
        no_person_share: Share of queries, 0 to 1, without a person.
        rng: NumPy random generator.
    """
    action, place = np.full(len(clips), ANY), labels.place[clips].copy()
    form = rng.integers(3, size=len(clips))
    for row, (clip, person) in enumerate(zip(clips, people, strict=True)):
        actions = np.flatnonzero(labels.doing[clip][labels.person[clip] == person].any(axis=0))
        if len(actions) and form[row] != 1:
            action[row] = rng.choice(actions)
            if form[row] == 0:
                place[row] = ANY
    person = np.where(rng.random(len(clips)) < no_person_share, ANY, people)
    return SampledQuery(person, action, place)


def person_numbers(people: Iterable[Mapping[str, Any]], photos: IdentityFeatures) -> dict[str, int]:
    """person_id → number, of all people with training photos.

    Args:
        people: Records of the people of the data set.
        photos: Features of all training photos; a person's number is that of `labels`.
    """
    rows = {int(identity): row for row, identity in enumerate(photos.identities)}
    return {p['person_id']: rows[p['identity']] for p in people if p['identity'] in rows}


class ReferenceSampler:
    """Draws face features of reference photos of people."""

    def __init__(self, features: IdentityFeatures, references: int):
        """Sorts the photos by person.

        Args:
            features: Features of all training photos; a person's number is that of `labels`.
            references: R, reference photos per query, at most.
        """
        self._faces, self.references = features.faces, references
        order = np.argsort(features.labels, kind='stable')
        ends = np.cumsum(np.bincount(features.labels, minlength=len(features.names)))
        self._photos_of = np.split(order, ends[:-1])

    def draw(
        self, people: np.ndarray, rng: np.random.Generator | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Reference photos of people.

        Args:
            people: int [Q], numbers of people, or `ANY` for no photos.
            rng: Draws how many, from 1 on, and which; None takes the first ones.

        Returns:
            float32 [Q, R, Df], and float32 [Q, R]: 1 for photos that are there, 0 for padding.
        """
        faces = np.zeros((len(people), self.references, self._faces.shape[-1]), np.float32)
        weights = np.zeros(faces.shape[:2], np.float32)
        for row, person in enumerate(people):
            if person == ANY:
                continue
            photos = self._photos_of[person]
            if rng is not None:
                photos = rng.permutation(photos)[: rng.integers(1, self.references + 1)]
            photos = photos[: self.references]
            faces[row, : len(photos)] = self._faces[photos]
            weights[row, : len(photos)] = 1
        return faces, weights


class ClipPersonSampler:
    """Draws (clip, person in it): several clips of each of several people.

    Clips of one person differ in what is done and where, so that a face alone does not suffice.
    """

    def __init__(self, labels: ClipLabels, known: int):
        """Sorts clips by person; people with a number below `known` are drawn."""
        self._clips: Mapping[int, np.ndarray] = {
            int(person): np.flatnonzero((labels.person == person).any(axis=1))
            for person in np.unique(labels.person)
            if 0 <= person < known
        }
        self._people = np.array(sorted(self._clips))

    def __len__(self) -> int:
        return len(self._people)

    def draw(
        self, people: int, clips_per_person: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Clips and a person in each, int64 [people · clips_per_person] each.

        Of a person with fewer than `clips_per_person` clips some are drawn more than once.
        """
        drawn = rng.choice(self._people, people, replace=len(self) < people)
        clips = [np.resize(rng.permutation(self._clips[int(p)]), clips_per_person) for p in drawn]
        return np.concatenate(clips), np.repeat(drawn, clips_per_person)
