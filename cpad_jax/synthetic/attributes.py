"""What is true of a picture, what a caption claims, and which captions are true of which pictures.

Drawn worlds know all about their pictures, so pre-training need not guess that a caption is false
of every picture but its own: "a man with glasses" is true of many.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from cpad_jax.synthetic import people
from cpad_jax.synthetic.world import Performer
from cpad_jax.text.prompts import ACTIONS, PLACES

# What is known of each person in a picture, in this order; `partner` is whom of the picture's
# people they have to do with (in a claim: 0, the caption's other person is that partner).
FIELDS = (
    'person', 'gender', 'age', 'skin', 'hair_colour', 'hair_style', 'facial_hair', 'glasses',
    'any_glasses', 'top', 'top_colour', 'covering', 'covering_colour', 'doing', 'place', 'partner',
)  # fmt: skip
MAX_PEOPLE = 3
MAX_SUBJECTS = 2
UNSAID = -1
NOBODY = -2  # Of a person who is not there, and of what cannot be said of a portrait.

IDLE = len(ACTIONS)
_PARTNER = FIELDS.index('partner')
_HAIR_STYLES = sorted({style for styles in people.HAIR_STYLES.values() for style in styles})
_AGES = ('young', 'middle', 'old')
_VALUES: dict[str, Sequence[str]] = {
    'gender': tuple(people.HAIR_STYLES),
    'age': _AGES,
    'skin': tuple(people.SKIN_TONES),
    'hair_colour': tuple(people.HAIR_COLOURS),
    'hair_style': _HAIR_STYLES,
    'facial_hair': people.FACIAL_HAIR,
    'glasses': people.GLASSES,
    'top': people.TOPS,
    'top_colour': tuple(people.CLOTHES_COLOURS),
    'covering': people.HEAD_COVERINGS,
    'covering_colour': tuple(people.CLOTHES_COLOURS),
    'place': PLACES,
}


def code(field: str, value: str | int | bool) -> int:
    """The number by which facts and claims speak of a value, such as ('hair_colour', 'red')."""
    return int(value) if field not in _VALUES else list(_VALUES[field]).index(str(value))


def age(looks: people.Looks, outfit: people.Outfit) -> str:
    """'young', 'middle' or 'old', as somebody looks on one occasion."""
    years = looks.age + outfit.years
    return 'young' if years < 29 else 'old' if years > 58 else 'middle'


def doing(performer: Performer) -> int:
    """An index of `ACTIONS`; `IDLE`; or `IDLE` + 1 + the index of what is done to them."""
    if performer.actions:
        return performer.actions[0]
    return IDLE + 1 + ACTIONS.index(performer.receives) if performer.receives else IDLE


def partner(performers: Sequence[Performer], index: int) -> int:
    """The index of whom a performer has to do with, or -1."""
    if performers[index].target >= 0:
        return performers[index].target
    return next((i for i, p in enumerate(performers) if p.target == index), -1)


def person_facts(number: int, outfit: people.Outfit) -> dict[str, int]:
    """What is true of a person by themselves."""
    looks = people.person(number).looks
    said = {
        'gender': looks.gender, 'age': age(looks, outfit), 'skin': looks.skin,
        'hair_colour': looks.hair_colour, 'hair_style': looks.hair_style,
        'facial_hair': looks.facial_hair, 'glasses': looks.glasses,
        'any_glasses': looks.glasses != 'none', 'top': outfit.top, 'top_colour': outfit.top_colour,
        'covering': outfit.head_covering, 'covering_colour': outfit.covering_colour,
    }  # fmt: skip
    facts = {field: code(field, value) for field, value in said.items()}
    if looks.hair_style == 'bald':
        facts['hair_colour'] = NOBODY
    if outfit.head_covering == 'none':
        facts['covering_colour'] = NOBODY
    return {'person': number, **facts}


def scene_facts(performers: Sequence[Performer], place: str) -> list[dict[str, int]]:
    """What is true of each person in a picture of a scene."""
    facts = []
    for index, performer in enumerate(performers):
        own = person_facts(performer.person, performer.outfit())
        own |= {'doing': doing(performer), 'place': code('place', place)}
        facts.append(own | {'partner': partner(performers, index)})
    return facts


def pack(rows: Sequence[dict[str, int]], count: int, missing: int) -> np.ndarray:
    """Facts or claims as numbers: int32 [count, len(FIELDS)], `missing` where nothing stands."""
    packed = np.full((count, len(FIELDS)), missing, np.int32)
    for line, row in zip(packed, rows, strict=False):
        for field, value in row.items():
            line[FIELDS.index(field)] = value
    return packed


def truth(claims: jax.Array, facts: jax.Array) -> jax.Array:
    """Which captions are true of which pictures.

    Args:
        claims: int [T, MAX_SUBJECTS, F], what each caption says of its one or two people,
            `ANY` where it says nothing.
        facts: int [B, MAX_PEOPLE, F], what is true of the people of each picture.

    Returns:
        bool [T, B]: one person of the picture is as the caption's first, and another one (their
        partner, if the caption says so) as its second.
    """
    looks_claimed, looks_true = claims[..., :_PARTNER], facts[..., :_PARTNER]
    fits = (looks_claimed[:, None, :, None] == UNSAID) | (
        looks_claimed[:, None, :, None] == looks_true[None, :, None]
    )  # [T, B, subject, person, F]
    there = facts[..., 0] != NOBODY  # [B, person]
    fits = fits.all(-1) & there[None, :, None]  # [T, B, subject, person]
    first, second = fits[:, :, 0], fits[:, :, 1]
    someone = jnp.arange(MAX_PEOPLE)
    others = someone[:, None] != someone[None, :]  # [person, other]
    partners = facts[:, :, _PARTNER, None] == someone[None, None, :]  # [B, person, other]
    related = (claims[:, 0, _PARTNER] != UNSAID)[:, None, None, None]
    allowed = jnp.where(related, partners[None], others[None, None])  # [T, B, person, other]
    both = (first[..., :, None] & second[..., None, :] & allowed).any((-1, -2))
    two = (claims[:, 1] != UNSAID).any(-1)[:, None]  # [T, 1]
    return jnp.where(two, both, first.any(-1))
