"""Compound captions of clips, with photos of the person they are about."""

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
    """'a person giving somebody a hug in the kitchen', in all the words that training has.

    Attributes:
        texts: All captions, each once.
    """

    def __init__(self, actions: Sequence[str], places: Sequence[str], who: str = GENERIC_PERSON):
        """Words every pair of action and place.

        Args:
            actions: Names of the actions that may be said.
            places: Names of the places.
            who: Whom all captions are about.
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
        """Numbers of captions, int64 [Q], that say these actions and places (or `ANY`) [Q]."""
        ranges = [self._numbers[int(a), int(p)] for a, p in zip(action, place, strict=True)]
        return np.array([rng.integers(r.start, r.stop) for r in ranges])


class EmbeddedCaptions(CompoundCaptions):
    """Captions for a model that reads words.

    Attributes:
        words: float16 [V, L, E], the word embeddings of all captions.
        spoken: bool [V, L], which of them are there.
    """

    def __init__(self, clip: CLIPModel, actions: Sequence[str], places: Sequence[str]):
        """As `Captions`, about nobody in particular; `clip` embeds the words."""
        super().__init__(actions, places)
        words, spoken = WordReader(clip)(self.texts)
        longest = int(spoken.any(axis=0).nonzero()[0].max()) + 1
        self.words, self.spoken = words[:, :longest].astype(np.float16), spoken[:, :longest]


@dataclasses.dataclass(frozen=True)
class SampledQuery:
    """Compound queries: whom, what and where, or `ANY`; int64 [Q] each, see `Shown.answer`."""

    person: np.ndarray
    action: np.ndarray
    place: np.ndarray


def sample_query(
    shown: ClipLabels,
    clips: np.ndarray,
    people: np.ndarray,
    nobody: float,
    rng: np.random.Generator,
) -> SampledQuery:
    """Draws a query about somebody in each clip: their action, the place, or both.

    Args:
        shown: What is true of the clips.
        clips: int [Q], which clip is asked for.
        people: int [Q], about whom of it, as numbers.
        nobody: Share of queries, 0 to 1, that do not say whom.
        rng: Source of chance.
    """
    action, place = np.full(len(clips), ANY), shown.place[clips].copy()
    form = rng.integers(3, size=len(clips))
    for row, (clip, person) in enumerate(zip(clips, people, strict=True)):
        done = np.flatnonzero(shown.doing[clip][shown.person[clip] == person].any(axis=0))
        if len(done) and form[row] != 1:
            action[row] = rng.choice(done)
            if form[row] == 0:
                place[row] = ANY
    person = np.where(rng.random(len(clips)) < nobody, ANY, people)
    return SampledQuery(person, action, place)


def person_numbers(people: Iterable[Mapping[str, Any]], photos: IdentityFeatures) -> dict[str, int]:
    """person_id → number, for everybody who can be asked for by photos.

    Args:
        people: Of the data set that the photos are of.
        photos: Of all training photos; a person's number is that of `labels`.
    """
    rows = {int(identity): row for row, identity in enumerate(photos.identities)}
    return {p['person_id']: rows[p['identity']] for p in people if p['identity'] in rows}


class ReferenceSampler:
    """Face features of everybody's training photos, to ask for people by."""

    def __init__(self, features: IdentityFeatures, references: int):
        """Sorts the photos by person.

        Args:
            features: Of all training photos; a person's number is that of `labels`.
            references: R, the most photos that a query shows.
        """
        self._faces, self.references = features.faces, references
        order = np.argsort(features.labels, kind='stable')
        ends = np.cumsum(np.bincount(features.labels, minlength=len(features.names)))
        self._of = np.split(order, ends[:-1])

    def draw(
        self, people: np.ndarray, rng: np.random.Generator | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Photos of people.

        Args:
            people: int [Q], numbers, or `ANY`, of whom there are none.
            rng: Draws how many, from 1 on, and which; None takes the first ones.

        Returns:
            float32 [Q, R, Df], and float32 [Q, R]: 1 for photos that are there, otherwise 0.
        """
        faces = np.zeros((len(people), self.references, self._faces.shape[-1]), np.float32)
        weights = np.zeros(faces.shape[:2], np.float32)
        for row, person in enumerate(people):
            if person == ANY:
                continue
            own = self._of[person]
            if rng is not None:
                own = rng.permutation(own)[: rng.integers(1, self.references + 1)]
            own = own[: self.references]
            faces[row, : len(own)] = self._faces[own]
            weights[row, : len(own)] = 1
        return faces, weights


class ClipPersonSampler:
    """Draws (clip, person in it): several clips of each of several people.

    Clips of one person differ in what is done and where, so that a face alone does not suffice.
    """

    def __init__(self, shown: ClipLabels, known: int):
        """Sorts clips by person; people with a number below `known` can be asked for."""
        self._clips: Mapping[int, np.ndarray] = {
            int(person): np.flatnonzero((shown.person == person).any(axis=1))
            for person in np.unique(shown.person)
            if 0 <= person < known
        }
        self._people = np.array(sorted(self._clips))

    def __len__(self) -> int:
        return len(self._people)

    def draw(
        self, people: int, each: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Clips and whom of them, int64 [people · each] each.

        Of somebody with fewer than `each` clips some are drawn again, to be asked for otherwise.
        """
        who = rng.choice(self._people, people, replace=len(self) < people)
        clips = [np.resize(rng.permutation(self._clips[int(p)]), each) for p in who]
        return np.concatenate(clips), np.repeat(who, each)
