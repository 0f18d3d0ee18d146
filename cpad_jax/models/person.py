"""A person as the text tower reads one."""

from __future__ import annotations

import dataclasses

import numpy as np

from cpad_jax.models.transformer import LowRank

# What a `Person` may come from.
FORMS = ('text', 'memory', 'image', 'text+image', 'fine-tuned')
FINE_TUNED = FORMS[-1]


@dataclasses.dataclass(frozen=True, eq=False)
class Person:
    """A person as input of the text tower.

    Attributes:
        name: The person's name, if one was given.
        tokens: float32 [K, W], what stands in for [TOK].
        form: 'text' (the name says who), 'memory' (the face token kept from training), 'image'
            (from photos), 'text+image', or 'fine-tuned' (see `training.fine_tuning`).
        name_in_token: Whether the tokens say the name, so that the query need not.
        num_images: How many photos it comes from.
        update: What this person alone adds to the low-rank update of the text tower, of the same
            form, or None.
    """

    name: str | None
    tokens: np.ndarray = dataclasses.field(repr=False)
    form: str
    num_images: int = 0
    name_in_token: bool = dataclasses.field(default=False, repr=False)
    update: LowRank | None = dataclasses.field(default=None, repr=False)
