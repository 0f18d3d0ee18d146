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
    NONE,
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
        """Whom it is about."""
        ...

    def text(self, named: bool, person_token: bool) -> str:
        """The text, with the name or without, and with [TOK] or without."""
        ...


@dataclasses.dataclass(frozen=True)
class Condition:
    """One row of the table: how it is asked, and who stands behind [TOK].

    Attributes:
        method: How.
        fine_tuned: Whether it was fine-tuned on the person.
        people: person_id → who stands behind [TOK]; None where the query has none.
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
    """Embeds the queries in the way of a condition: float32 [Q, D] L2-normalised."""
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
    nobody = {person_id: None for person_id in references}
    names = [reference.name for reference in references.values()]
    by_photos = _from_photos(model, references)
    by_name = _named(model, by_photos, model.name_tokens(names), 'text')
    shown = np.stack([person.tokens for person in by_photos.values()])
    by_both = _named(model, by_photos, model.with_names(names, shown), 'text+image')
    behind = {
        NONE: nobody, TEXT: by_name, IMAGE: by_photos,
        TEXT_IMAGE: by_both,
    }  # fmt: skip
    found = [
        Condition(
            method, False,
            (nobody if method.name == CLIP.name else behind[method.person_query]).get,
        )
        for method in METHODS
    ]  # fmt: skip
    if fine_tune is not None:
        stage = {'stage': 'fine-tuning on people', 'unit': 'person'}
        with progress.bar(total=len(TUNED) * len(references), **stage) as bar:
            for method in TUNED:
                tuned = {}
                for person_id, guess in behind[method.person_query].items():
                    tuned[person_id] = fine_tune(references[person_id], guess)
                    bar.update()
                found.append(Condition(method, True, tuned.get))
    return found


def _named(
    model: PersonalizedCLIP, people: Mapping[str, Person], tokens: np.ndarray, form: str
) -> dict[str, Person]:
    """The same people by other tokens, which say their names where those were learned."""
    return {
        person_id: Person(person.name, own, form, name_in_token=model.knows(person.name))
        for (person_id, person), own in zip(people.items(), tokens, strict=True)
    }


def fine_tuning(model: PersonalizedCLIP) -> FineTune | None:
    """Fine-tunes tokens by the reference photos; None for a model that keeps no other people."""
    if model.saved.background is None:
        return None
    tuner = FineTuner(model)

    @functools.cache
    def seen(reference: Reference) -> np.ndarray:
        pictures = [images.decode_jpeg(photo['image']) for photo in reference.photos]
        return model.image_clip.encode_image(model.image_clip.preprocess(pictures))

    def fine_tune(reference: Reference, guess: Person) -> Person:
        tuned = tuner.fit(guess.tokens, seen(reference), reference.name).person
        return dataclasses.replace(tuned, name_in_token=guess.name_in_token)

    return fine_tune


def _from_photos(model: PersonalizedCLIP, references: Mapping[str, Reference]) -> dict[str, Person]:
    """The adapter's guess of everybody."""
    photos = [reference.features for reference in references.values()]
    tokens = model.tokens(*padded(photos, photos[0].shape[1]))
    return {
        person_id: Person(reference.name, own, 'image', len(reference.features))
        for (person_id, reference), own in zip(references.items(), tokens, strict=True)
    }
