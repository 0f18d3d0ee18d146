"""Attributes of drawn people, and which captions are true of which pictures by them.

A drawn picture comes with all attributes of its people, and a caption with those that it states, so
pre-training need not treat a caption as a negative of every picture but its own: "a man with
glasses" is true of many.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from cpad_jax.synthetic import people
from cpad_jax.synthetic.world import Performer
from cpad_jax.text.prompts import ACTIONS, PLACES

# The attributes of a person in a picture, in this order. `partner` is the index of the person they
# interact with; in a caption, 0 means that its second person is that partner.
FIELDS = (
    'person', 'gender', 'age', 'skin', 'hair_colour', 'hair_style', 'facial_hair', 'glasses',
    'any_glasses', 'top', 'top_colour', 'covering', 'covering_colour', 'doing', 'place', 'partner',
)  # fmt: skip
MAX_PEOPLE = 3
MAX_SUBJECTS = 2
ANY = -1  # An attribute that a caption does not state.
ABSENT = -2  # An empty row, and an attribute that a person or a portrait does not have.

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
    """The integer code of an attribute's value, such as ('hair_colour', 'red')."""
    return int(value) if field not in _VALUES else list(_VALUES[field]).index(str(value))


def age(looks: people.Looks, outfit: people.Outfit) -> str:
    """The apparent age in an outfit: 'young', 'middle' or 'old'."""
    years = looks.age + outfit.years
    return 'young' if years < 29 else 'old' if years > 58 else 'middle'


def doing(performer: Performer) -> int:
    """The code of an action: its index in `ACTIONS`, `IDLE`, or `IDLE` + 1 + that received."""
    if performer.actions:
        return performer.actions[0]
    return IDLE + 1 + ACTIONS.index(performer.receives) if performer.receives else IDLE


def partner(performers: Sequence[Performer], index: int) -> int:
    """The index of the performer that this one interacts with, or -1."""
    if performers[index].target >= 0:
        return performers[index].target
    return next((i for i, p in enumerate(performers) if p.target == index), -1)


def person_attributes(number: int, outfit: people.Outfit) -> dict[str, int]:
    """The attributes of one person, without action, place and partner."""
    looks = people.person(number).looks
    values = {
        'gender': looks.gender, 'age': age(looks, outfit), 'skin': looks.skin,
        'hair_colour': looks.hair_colour, 'hair_style': looks.hair_style,
        'facial_hair': looks.facial_hair, 'glasses': looks.glasses,
        'any_glasses': looks.glasses != 'none', 'top': outfit.top, 'top_colour': outfit.top_colour,
        'covering': outfit.head_covering, 'covering_colour': outfit.covering_colour,
    }  # fmt: skip
    codes = {field: code(field, value) for field, value in values.items()}
    if looks.hair_style == 'bald':
        codes['hair_colour'] = ABSENT
    if outfit.head_covering == 'none':
        codes['covering_colour'] = ABSENT
    return {'person': number, **codes}


def scene_attributes(performers: Sequence[Performer], place: str) -> list[dict[str, int]]:
    """The attributes of each person in a picture of a scene."""
    rows = []
    for index, performer in enumerate(performers):
        row = person_attributes(performer.person, performer.outfit())
        row |= {'doing': doing(performer), 'place': code('place', place)}
        rows.append(row | {'partner': partner(performers, index)})
    return rows


def pack(rows: Sequence[dict[str, int]], count: int, missing: int) -> np.ndarray:
    """Rows of attributes as int32 [count, len(FIELDS)], padded with `missing`."""
    packed = np.full((count, len(FIELDS)), missing, np.int32)
    for line, row in zip(packed, rows, strict=False):
        for field, value in row.items():
            line[FIELDS.index(field)] = value
    return packed


def caption_matches(stated: jax.Array, pictured: jax.Array) -> jax.Array:
    """Which captions are true of which pictures.

    Args:
        stated: int [T, MAX_SUBJECTS, F], the attributes that each caption states of its one or two
            people, `ANY` elsewhere.
        pictured: int [B, MAX_PEOPLE, F], the attributes of the people in each picture.

    Returns:
        bool [T, B]: one person of the picture has the attributes of the caption's first person, and
        another one (their partner, if the caption states so) those of its second.
    """
    caption_looks, picture_looks = stated[..., :_PARTNER], pictured[..., :_PARTNER]
    fits = (caption_looks[:, None, :, None] == ANY) | (
        caption_looks[:, None, :, None] == picture_looks[None, :, None]
    )  # [T, B, subject, person, F]
    present = pictured[..., 0] != ABSENT  # [B, person]
    fits = fits.all(-1) & present[None, :, None]  # [T, B, subject, person]
    first, second = fits[:, :, 0], fits[:, :, 1]
    index = jnp.arange(MAX_PEOPLE)
    others = index[:, None] != index[None, :]  # [person, other]
    partners = pictured[:, :, _PARTNER, None] == index[None, None, :]  # [B, person, other]
    related = (stated[:, 0, _PARTNER] != ANY)[:, None, None, None]
    allowed = jnp.where(related, partners[None], others[None, None])  # [T, B, person, other]
    both = (first[..., :, None] & second[..., None, :] & allowed).any((-1, -2))
    two = (stated[:, 1] != ANY).any(-1)[:, None]  # [T, 1]
    return jnp.where(two, both, first.any(-1))
