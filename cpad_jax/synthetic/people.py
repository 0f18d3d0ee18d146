"""The people of the synthetic world: stable looks, and outfits that change between occasions.

People belong to two pools, seen and unseen, that do not depend on the world's seed: person 17 of
the seen pool is the same person in every world, as an actor is the same in every film.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from cpad_jax.synthetic import names

# Skin, hair and eyes as sRGB; the words are those that captions use.
SKIN_TONES = {
    'pale': (244, 214, 196),
    'fair': (232, 190, 162),
    'tan': (208, 158, 120),
    'brown': (164, 112, 78),
    'dark': (112, 74, 54),
}
HAIR_COLOURS = {
    'black': (34, 30, 32),
    'brown': (96, 62, 38),
    'red': (170, 66, 28),
    'blond': (222, 186, 110),
    'grey': (148, 148, 150),
    'white': (232, 230, 226),
}
EYE_COLOURS = ((70, 48, 32), (58, 92, 132), (72, 104, 66), (96, 92, 88))
HAIR_STYLES = {
    'woman': ('long straight', 'long curly', 'bob', 'ponytail', 'bun', 'short', 'afro'),
    'man': ('short', 'bald', 'curly', 'long straight', 'spiky', 'receding', 'afro'),
}
FACIAL_HAIR = ('none', 'beard', 'moustache', 'goatee')
GLASSES = ('none', 'round', 'square')
HEAD_COVERINGS = ('none', 'cap', 'hat', 'headscarf')
EXPRESSIONS = ('neutral', 'smile', 'open', 'frown')
CLOTHES_COLOURS = {
    'white': (236, 234, 228),
    'black': (38, 38, 42),
    'grey': (128, 130, 134),
    'red': (190, 40, 44),
    'orange': (226, 124, 40),
    'yellow': (230, 202, 72),
    'green': (52, 128, 70),
    'blue': (46, 86, 170),
    'purple': (120, 62, 148),
    'pink': (230, 140, 168),
    'brown': (112, 76, 50),
}
TOPS = ('shirt', 'striped shirt', 'jacket', 'dress')

# Unseen people are drawn from the same distribution, far away in the numbering.
UNSEEN_OFFSET = 1_000_000
_POOL_SEED = 20_220_921


@dataclasses.dataclass(frozen=True)
class Looks:
    """Stable looks of a person. Lengths are fractions of the head's height."""

    gender: str
    skin: str
    skin_shift: float
    hair_colour: str
    hair_shift: tuple[float, float, float]
    hair_style: str
    hair_length: float
    facial_hair: str
    glasses: str
    face_width: float
    jaw: float
    eye_spacing: float
    eye_size: float
    eye_colour: int
    brow_weight: float
    brow_tilt: float
    nose_length: float
    nose_width: float
    mouth_width: float
    lip_fullness: float
    ear_size: float
    freckles: bool
    age: float
    height: float
    build: float


@dataclasses.dataclass(frozen=True)
class Person:
    """One person: an id in VGGFace2's style, a name, and looks."""

    index: int
    person_id: str
    name: str
    seen: bool
    looks: Looks


@dataclasses.dataclass(frozen=True)
class Outfit:
    """Clothes and changing looks of a person in one title or photo session."""

    top: str
    top_colour: str
    second_colour: str
    trousers_colour: str
    short_sleeves: bool
    head_covering: str
    covering_colour: str
    years: float
    hair_grown: float


def _draw_looks(rng: np.random.Generator) -> Looks:
    gender = 'woman' if rng.random() < 0.5 else 'man'
    age = float(np.clip(rng.normal(40, 13), 19, 76))
    colours = list(HAIR_COLOURS)
    weights = np.array([0.24, 0.24, 0.14, 0.2, 0.1, 0.08])
    if age > 58:
        weights = np.array([0.08, 0.1, 0.05, 0.1, 0.34, 0.33])
    elif age < 40:
        weights[4:] *= 0.15
    hair_colour = str(rng.choice(colours, p=weights / weights.sum()))
    facial_hair = 'none'
    if gender == 'man':
        facial_hair = str(rng.choice(FACIAL_HAIR, p=[0.46, 0.26, 0.16, 0.12]))
    return Looks(
        gender=gender,
        skin=str(rng.choice(list(SKIN_TONES), p=[0.22, 0.26, 0.2, 0.16, 0.16])),
        skin_shift=float(rng.uniform(-9, 9)),
        hair_colour=hair_colour,
        hair_shift=tuple(float(value) for value in rng.uniform(-12, 12, 3)),
        hair_style=str(rng.choice(HAIR_STYLES[gender])),
        hair_length=float(rng.uniform(0.0, 1.0)),
        facial_hair=facial_hair,
        glasses=str(rng.choice(GLASSES, p=[0.7, 0.16, 0.14])),
        face_width=float(rng.uniform(0.66, 0.82)),
        jaw=float(rng.uniform(0, 1)) if gender == 'man' else float(rng.uniform(0, 0.6)),
        eye_spacing=float(rng.uniform(0.155, 0.195)),
        eye_size=float(rng.uniform(0.052, 0.075)),
        eye_colour=int(rng.integers(len(EYE_COLOURS))),
        brow_weight=float(rng.uniform(0.014, 0.034)) + (0.008 if gender == 'man' else 0.0),
        brow_tilt=float(rng.uniform(-0.03, 0.03)),
        nose_length=float(rng.uniform(0.17, 0.24)),
        nose_width=float(rng.uniform(0.055, 0.095)),
        mouth_width=float(rng.uniform(0.12, 0.18)),
        lip_fullness=float(rng.uniform(0.018, 0.036)) + (0.006 if gender == 'woman' else 0.0),
        ear_size=float(rng.uniform(0.07, 0.11)),
        freckles=bool(rng.random() < 0.12),
        age=age,
        height=float(rng.uniform(0.92, 1.08)) * (1.03 if gender == 'man' else 0.96),
        build=float(rng.uniform(0.85, 1.3)),
    )


@functools.lru_cache(maxsize=32_768)
def person(index: int) -> Person:
    """The person with this number: the seen pool starts at 0, the unseen at `UNSEEN_OFFSET`.

    Args:
        index: Number in the pools, >= 0 and below `names.CAPACITY` within each pool.

    Returns:
        The same person for the same number, for ever.
    """
    rng = np.random.default_rng((_POOL_SEED, index))
    looks = _draw_looks(rng)
    seen = index < UNSEEN_OFFSET
    number = index if seen else index - UNSEEN_OFFSET
    return Person(
        index=index,
        person_id=f'n{index + 1:06d}',
        name=names.name(2 * number + (0 if seen else 1), looks.gender),
        seen=seen,
        looks=looks,
    )


def draw_outfit(rng: np.random.Generator, looks: Looks) -> Outfit:
    """Draws the clothes of one occasion, and by how many years a person looks older or younger."""
    colours = list(CLOTHES_COLOURS)
    tops = TOPS if looks.gender == 'woman' else TOPS[:3]
    coverings = ('cap', 'hat', 'headscarf') if looks.gender == 'woman' else ('cap', 'hat')
    covered = rng.random() < 0.1
    return Outfit(
        top=str(rng.choice(tops)),
        top_colour=str(rng.choice(colours)),
        second_colour=str(rng.choice(colours)),
        trousers_colour=str(rng.choice(['black', 'grey', 'blue', 'brown', 'white', 'green'])),
        short_sleeves=bool(rng.random() < 0.35),
        head_covering=str(rng.choice(coverings)) if covered else 'none',
        covering_colour=str(rng.choice(colours)),
        years=float(np.clip(rng.normal(0, 4), -9, 9)),
        hair_grown=float(rng.uniform(-0.15, 0.15)),
    )


def similarity(a: Looks, b: Looks) -> float:
    """Similarity of two people's looks: the share, 0 to 1, of plain attributes in common."""
    equal = [
        a.gender == b.gender,
        a.skin == b.skin,
        a.hair_colour == b.hair_colour,
        a.hair_style == b.hair_style,
        a.facial_hair == b.facial_hair,
        a.glasses == b.glasses,
    ]
    return sum(equal) / len(equal)
