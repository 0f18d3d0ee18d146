"""Conditions: CLIP and CLIP-PAD by every query form, before and after fine-tuning on a person."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from cpad_jax import progress
from cpad_jax.media import images
from cpad_jax.models.clip_pad_api import PersonalizedCLIP
from cpad_jax.models.person import Person
from cpad_jax.models.person_adapter import padded
from cpad_jax.ranking.method import (
    CLIP,
    IMAGE,
    NO_PERSON,
    PAD_IMAGE,
    PAD_TEXT,
    PAD_TEXT_IMAGE,
    TEXT,
    TEXT_IMAGE,
    Method,
)
from cpad_jax.ranking.references import Reference
from cpad_jax.training.fine_tuning import FineTuner

METHODS = (NO_PERSON, CLIP, PAD_TEXT, PAD_IMAGE, PAD_TEXT_IMAGE)
TUNED = (PAD_IMAGE, PAD_TEXT_IMAGE)  # What fine-tuning changes.

# Fine-tunes on a person, starting from the tokens of the adapter.
FineTune = Callable[[Reference, Person], Person]


class TextQuery(Protocol):
    """A query that has a text."""

    @property
    def person_id(self) -> str:
        """The person of the query."""
        ...

    def text(self, named: bool, person_token: bool) -> str:
        """The text, with the name or without, and with [TOK] or without."""
        ...


@dataclasses.dataclass(frozen=True)
class Condition:
    """One row of the table: a method and the tokens of its people.

    Attributes:
        method: The method.
        fine_tuned: Whether tokens were fine-tuned on the person.
        people: person_id → the person of [TOK]; None for a query without [TOK].
    """

    method: Method
    fine_tuned: bool
    people: Callable[[str], Person | None]

    @property
    def key(self) -> str:
        """A short name that is unique among conditions."""
        return self.method.key + (' fine-tuned' if self.fine_tuned else '')


def encode(
    model: PersonalizedCLIP, condition: Condition, queries: Sequence[TextQuery]
) -> np.ndarray:
    """Encodes queries by a condition: float32 [Q, D], L2-normalised."""
    method = condition.method
    named = method.person_query in (TEXT, TEXT_IMAGE)
    token = method.name != CLIP.name
    return np.stack(
        [
            model.encode_query(query.text(named, token), condition.people(query.person_id))
            for query in queries
        ]
    )


def conditions(
    model: PersonalizedCLIP,
    references: Mapping[str, Reference],
    fine_tune: FineTune | None,
) -> list[Condition]:
    """The rows of the table.

    Args:
        model: The model.
        references: person_id → photos.
        fine_tune: Fine-tunes on a person; None for no such rows.
    """
    no_person: dict[str, Person | None] = dict.fromkeys(references)
    names = [reference.name for reference in references.values()]
    by_photos = _from_photos(model, references)
    by_name = _named(model, by_photos, model.name_tokens(names), 'text')
    tokens = np.stack([person.tokens for person in by_photos.values()])
    by_both = _named(model, by_photos, model.with_names(names, tokens), 'text+image')
    people = {TEXT: by_name, IMAGE: by_photos, TEXT_IMAGE: by_both}
    rows = [
        Condition(
            method,
            False,
            (no_person if method.name == CLIP.name else people[method.person_query]).get,
        )
        for method in METHODS
    ]
    if fine_tune is not None:
        stage = {'stage': 'fine-tuning on people', 'unit': 'person'}
        with progress.bar(total=len(TUNED) * len(references), **stage) as bar:
            for method in TUNED:
                tuned = {}
                for person_id, initial in people[method.person_query].items():
                    tuned[person_id] = fine_tune(references[person_id], initial)
                    bar.update()
                rows.append(Condition(method, True, tuned.get))
    return rows


def _named(
    model: PersonalizedCLIP, people: Mapping[str, Person], tokens: np.ndarray, form: str
) -> dict[str, Person]:
    """The same people with other tokens, which carry their names where those were learned."""
    return {
        person_id: Person(person.name, token, form, name_in_token=model.knows(person.name or ''))
        for (person_id, person), token in zip(people.items(), tokens, strict=True)
    }


def fine_tuning(model: PersonalizedCLIP) -> FineTune | None:
    """Fine-tunes tokens on the reference photos; None for a model without background people."""
    if model.saved.background is None:
        return None
    tuner = FineTuner(model)

    @functools.cache
    def embed(reference: Reference) -> np.ndarray:
        pictures = [images.decode_jpeg(photo['image']) for photo in reference.photos]
        return np.asarray(model.image_clip.encode_image(model.image_clip.preprocess(pictures)))

    def fine_tune(reference: Reference, initial: Person) -> Person:
        tuned = tuner.fit(initial.tokens, embed(reference), reference.name).person
        return dataclasses.replace(tuned, name_in_token=initial.name_in_token)

    return fine_tune


def _from_photos(model: PersonalizedCLIP, references: Mapping[str, Reference]) -> dict[str, Person]:
    """People by the adapter's tokens of their photos."""
    photos = [reference.features for reference in references.values()]
    tokens = model.tokens(*padded(photos, photos[0].shape[1]))
    return {
        person_id: Person(reference.name, token, 'image', len(reference.features))
        for (person_id, reference), token in zip(references.items(), tokens, strict=True)
    }
