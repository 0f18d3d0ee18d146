"""The synthetic world as a plan: titles, casts, clips and photos, without a single pixel.

A world is a pure function of its `WorldSpec`. Its shape is that of Celebrities in Action: 69 movies
and 5 shows, more than 2,500 test clips, people with training photos and people without.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence

import numpy as np

from cpad_jax.errors import UserError
from cpad_jax.synthetic import people as synthetic_people
from cpad_jax.synthetic.actions import MUTUAL, PARTNER_DISTANCE
from cpad_jax.text.prompts import ACTIONS, PLACES

# Raised when people of a world with `faces_dir` would have other faces.
_FACES_VERSION = 2

# Raised when the same plan would render to other pixels: old files are not mistaken for new.
RENDERER_VERSION = 3

_INDOORS = (
    'AnswerPhone', 'Eat', 'FightPerson', 'HandShake', 'HugPerson', 'Kiss', 'Run', 'SitDown',
    'StandUp',
)  # fmt: skip
# Actions that are possible in each place: 91 of the 120 pairs.
PLAUSIBLE: dict[str, tuple[str, ...]] = {
    'EXT-house': (*_INDOORS, 'GetOutCar', 'DriveCar'),
    'EXT-road': ('AnswerPhone', 'Eat', 'FightPerson', 'HandShake', 'HugPerson', 'Kiss', 'Run',
                 'GetOutCar', 'DriveCar'),
    'INT-bedroom': (*_INDOORS, 'SitUp'),
    'INT-car': ('AnswerPhone', 'DriveCar', 'Eat', 'HugPerson', 'Kiss'),
    'INT-hotel': (*_INDOORS, 'SitUp'),
    'INT-kitchen': _INDOORS,
    'INT-living-room': (*_INDOORS, 'SitUp'),
    'INT-office': _INDOORS,
    'INT-restaurant': _INDOORS,
    'INT-shop': _INDOORS,
}  # fmt: skip
# These need space for a car or a bed, so a shot has at most one of them.
BULKY = frozenset({'DriveCar', 'GetOutCar', 'SitUp'})
# Rare in PLAUSIBLE, so drawn more often where they are possible.
_ACTION_WEIGHT = {'DriveCar': 3.0, 'GetOutCar': 3.5, 'SitUp': 2.5}

# How many of 100 shots hold one, two and three people.
PEOPLE_PER_SHOT = (20, 48, 32)


@dataclasses.dataclass(frozen=True)
class WorldSpec:
    """Parameters of a drawn world.

    Attributes:
        seed: Seed of titles, casts and scenes. People do not depend on it.
        movies: Number of movies.
        shows: Number of TV shows.
        clips_per_title: Clips cut from each title.
        cast_size: People with parts in one title.
        places_per_title: The fewest and the most places that a title is shot in.
        people_per_shot: How many of 100 shots hold one, two and three people.
        push_ins: In how many of 100 shots the camera moves close to one of the people.
        habits: Number of actions that a person performs. They perform no others, and none of them
            twice in the same place while another is left there; 0 for no preference.
        train_people: Seen people, of whom there are training photos.
        cast_seen: Number of seen people who act in this world's titles.
        stars: The seen people with a number below this are stars: the lower a person's number, the
            likelier that a CLIP of drawn worlds knows the name.
        cast_stars: Number of stars among the seen people who act; without stars, all seen people
            are equally likely to act.
        cast_unseen: Number of people without training photos who act in them.
        photos_per_person: Training photos of each seen person; several numbers take turns over the
            people.
        reference_photos: Further photos of each actor, for queries only.
        seconds: Length of a clip.
        faces_dir: Folder of real face crops in VGGFace2's layout that take the place of drawn
            faces; empty draws them.
    """

    seed: int = 0
    movies: int = 69
    shows: int = 5
    clips_per_title: int = 34
    cast_size: int = 7
    places_per_title: tuple[int, ...] = (4, 6)
    people_per_shot: tuple[int, ...] = PEOPLE_PER_SHOT
    push_ins: int = 0
    habits: int = 0
    train_people: int = 600
    cast_seen: int = 240
    stars: int = 0
    cast_stars: int = 0
    cast_unseen: int = 80
    photos_per_person: tuple[int, ...] = (16,)
    reference_photos: int = 10
    seconds: float = 2.0
    faces_dir: str = ''

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | float) and value < 0:
                raise UserError(f'{field.name} of a world is {value}, expected 0 or more')
        if self.movies + self.shows < 1:
            raise UserError('a world has 0 movies and 0 shows, expected 1 title or more')
        check_people_per_shot(self.people_per_shot)
        if len(self.places_per_title) != 2 or not (
            1 <= self.places_per_title[0] <= self.places_per_title[1] <= len(PLACES)
        ):
            raise UserError(
                f'places_per_title of a world is {self.places_per_title}, expected the fewest and '
                f'the most, from 1 to {len(PLACES)}, such as 4,6'
            )
        if self.push_ins > 100:
            raise UserError(f'push_ins of a world is {self.push_ins}, expected at most 100')
        if not self.photos_per_person or min(self.photos_per_person) < 1:
            raise UserError(
                f'photos_per_person of a world is {self.photos_per_person}, expected one number or '
                'several, 1 or more'
            )

    def fingerprint(self) -> str:
        """A sha256 that changes when the world would look different."""
        value = {'renderer': RENDERER_VERSION, **faces_version(self), **dataclasses.asdict(self)}
        return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def faces_version(spec: WorldSpec) -> dict[str, int]:
    """The entry on real faces in the fingerprints of a world and its seasons; {} without."""
    return {'faces': _FACES_VERSION} if spec.faces_dir else {}


@dataclasses.dataclass(frozen=True)
class Title:
    """A movie or a show: its cast (person numbers) and the places it was shot in."""

    title_id: str
    source: str
    name: str
    cast: tuple[int, ...]
    places: tuple[str, ...]
    style_seed: int


@dataclasses.dataclass(frozen=True)
class Performer:
    """A person in a clip.

    Attributes:
        person: Person number.
        actions: Indices into `ACTIONS` of their actions; empty when they stand idle.
        target: Index of the performer who receives the action, or -1.
        outfit_seed: Seed of their clothes.
        receives: Name of the action that they receive, or ''.
    """

    person: int
    actions: tuple[int, ...]
    target: int
    outfit_seed: int
    receives: str = ''

    def outfit(self) -> synthetic_people.Outfit:
        """Their clothes and apparent age."""
        looks = synthetic_people.person(self.person).looks
        return synthetic_people.draw_outfit(np.random.default_rng(self.outfit_seed), looks)


@dataclasses.dataclass(frozen=True)
class ClipPlan:
    """One clip before it is filmed.

    Attributes:
        clip_id: Id, and stem of its file's name.
        title: Number of its title.
        place: Index into `PLACES`.
        performers: The people in it.
        seed: Seed of all other properties.
        approached: Index of the performer that the camera moves close to, or -1.
    """

    clip_id: str
    title: int
    place: int
    performers: tuple[Performer, ...]
    seed: int
    approached: int = -1


@dataclasses.dataclass(frozen=True)
class PhotoPlan:
    """One photo of one person before it is taken. `source` names the photo session."""

    image_id: str
    person: int
    source: str
    seed: int


def check_people_per_shot(shares: Sequence[int]) -> None:
    """Raises a `UserError` unless these are three shares of 100."""
    if len(shares) != 3 or min(shares) < 0 or sum(shares) != 100:
        raise UserError(
            f'people_per_shot is {tuple(shares)}, expected how many of 100 shots hold one, two and '
            'three people, such as 20,48,32'
        )


def _check(spec: WorldSpec) -> None:
    if spec.cast_seen > spec.train_people:
        raise UserError(
            f'world: cast_seen is {spec.cast_seen}, but seen_people is {spec.train_people}: raise '
            'seen_people or lower cast_seen'
        )
    others = spec.train_people - spec.stars
    if (
        not 0 <= spec.cast_stars <= min(spec.stars, spec.cast_seen)
        or others < 0
        or (spec.cast_seen - spec.cast_stars > others)
    ):
        raise UserError(
            f'world: {spec.cast_stars} of {spec.cast_seen} seen people who act are to be stars '
            f'(cast_stars), of whom there are {spec.stars} among {spec.train_people} (stars)'
        )
    if spec.cast_size > spec.cast_seen + spec.cast_unseen:
        raise UserError(
            f'world: cast_size is {spec.cast_size}, but the cast has only '
            f'{spec.cast_seen + spec.cast_unseen} people: lower cast_size'
        )
    if spec.cast_size < 3:
        raise UserError(f'world: cast_size is {spec.cast_size}; a title needs at least 3 people')


def draw_performers(
    rng: np.random.Generator,
    place: str,
    cast: list[int],
    forbidden: frozenset[tuple[str, str]] = frozenset(),
    people_per_shot: Sequence[int] = PEOPLE_PER_SHOT,
    preferred: Callable[[int, str, list[str]], list[str]] | None = None,
) -> tuple[Performer, ...]:
    """Draws the people of one shot and their actions.

    Args:
        rng: NumPy random generator.
        place: One of `PLACES`.
        cast: At least 3 person numbers to choose from.
        forbidden: Pairs (action, place) that must not occur.
        people_per_shot: How many of 100 shots hold one, two and three people.
        preferred: Function of a person number, a place and the actions possible there that returns
            those which the person performs; None for all.

    Returns:
        One to three performers, with their actions and targets.
    """
    possible = [a for a in PLAUSIBLE[place] if (a, place) not in forbidden]
    count = int(rng.choice([1, 2, 3], p=np.array(people_per_shot) / 100))
    people = [int(index) for index in rng.permutation(cast)[:count]]
    performers: list[Performer] = []
    used_bulky = used_pair = False
    while len(performers) < count:
        left = count - len(performers)
        options = [
            a for a in possible
            if not (a in BULKY and (used_bulky or count > 2))
            and not (a in PARTNER_DISTANCE and (left < 2 or used_pair))
        ]  # fmt: skip
        performs = not performers or rng.random() < 0.7
        person, seed = people[len(performers)], int(rng.integers(1 << 31))
        if preferred is not None:
            options = preferred(person, place, options)
        if not performs or not options:
            performers.append(Performer(person, (), -1, seed))
            continue
        weights = np.array([_ACTION_WEIGHT.get(a, 1.0) for a in options])
        action = str(rng.choice(options, p=weights / weights.sum()))
        used_bulky |= action in BULKY
        number = ACTIONS.index(action)
        if action in PARTNER_DISTANCE:
            used_pair = True
            here = len(performers)
            back = (number,) if action in MUTUAL else ()
            performers.append(Performer(person, (number,), here + 1, seed))
            performers.append(
                Performer(
                    people[here + 1], back, here if back else -1, int(rng.integers(1 << 31)), action
                )
            )
        else:
            performers.append(Performer(person, (number,), -1, seed))
    return tuple(performers)


class World:
    """The plan of a world.

    Attributes:
        spec: Its parameters.
        titles: Movies first, then shows.
        clips: All clips of all titles.
        cast: Person numbers of all who have a part.
    """

    def __init__(self, spec: WorldSpec):
        _check(spec)
        self.spec = spec
        rng = np.random.default_rng((spec.seed, 1))
        seen = [
            *rng.permutation(spec.stars)[: spec.cast_stars],
            *(spec.stars + rng.permutation(spec.train_people - spec.stars))[
                : spec.cast_seen - spec.cast_stars
            ],
        ]
        unseen = synthetic_people.UNSEEN_OFFSET + rng.permutation(max(spec.cast_unseen * 4, 1))
        self.cast = tuple(int(i) for i in (*seen, *unseen[: spec.cast_unseen]))
        self._habits = {person: self._draw_habits(person) for person in self.cast}
        # (person, action, place) of all actions in the clips drawn so far.
        self._done: set[tuple[int, str, str]] = set()
        self.titles = tuple(self._draw_titles(rng))
        self.clips = tuple(clip for t in range(len(self.titles)) for clip in self._draw_clips(t))

    def _draw_habits(self, person: int) -> frozenset[str]:
        rng = np.random.default_rng((self.spec.seed, 3, person))
        return frozenset(str(a) for a in rng.permutation(ACTIONS)[: self.spec.habits])

    def _preferred(self, person: int, place: str, possible: list[str]) -> list[str]:
        habits = [action for action in possible if action in self._habits[person]]
        return [action for action in habits if (person, action, place) not in self._done] or habits

    def _draw_titles(self, rng: np.random.Generator) -> list[Title]:
        """Draws casts in which all people have about equally many parts; some hold look-alikes."""
        spec = self.spec
        parts: list[int] = []
        titles = []
        for number in range(spec.movies + spec.shows):
            source = 'movie' if number < spec.movies else 'show'
            cast: list[int] = []
            while len(cast) < spec.cast_size:
                if not parts:
                    parts = [int(i) for i in rng.permutation(self.cast)]
                place_in_queue = 0
                if cast and rng.random() < 0.25:
                    looks = synthetic_people.person(cast[-1]).looks
                    alike = [
                        synthetic_people.similarity(looks, synthetic_people.person(i).looks)
                        for i in parts[:60]
                    ]
                    place_in_queue = int(np.argmax(alike))
                candidate = parts.pop(place_in_queue)
                if candidate not in cast:
                    cast.append(candidate)
            title_id = f'{source}{number + 1:03d}'
            fewest, most = spec.places_per_title
            places = [
                str(p) for p in rng.permutation(PLACES)[: int(rng.integers(fewest, most + 1))]
            ]
            titles.append(
                Title(title_id, source, f'{source.title()} {number + 1}', tuple(cast),
                      tuple(places), int(rng.integers(1 << 31)))
            )  # fmt: skip
        return titles

    def _draw_clips(self, title_index: int) -> list[ClipPlan]:
        spec, title = self.spec, self.titles[title_index]
        rng = np.random.default_rng((spec.seed, 2, title_index))
        wardrobe: dict[int, tuple[int, int]] = {
            person: (int(rng.integers(1 << 31)), int(rng.integers(1 << 31)))
            for person in title.cast
        }
        camera = np.random.default_rng((spec.seed, 4, title_index))
        clips = []
        for number in range(spec.clips_per_title):
            place = str(rng.choice(title.places))
            performers = tuple(
                dataclasses.replace(p, outfit_seed=wardrobe[p.person][int(rng.integers(2))])
                for p in draw_performers(
                    rng,
                    place,
                    list(title.cast),
                    people_per_shot=spec.people_per_shot,
                    preferred=self._preferred if spec.habits else None,
                )
            )
            self._done |= {
                (p.person, ACTIONS[action], place) for p in performers for action in p.actions
            }
            clips.append(
                ClipPlan(
                    clip_id=f'{title.title_id}_{number + 1:04d}',
                    title=title_index,
                    place=PLACES.index(place),
                    performers=performers,
                    seed=int(rng.integers(1 << 31)),
                    approached=self._approached(camera, len(performers)),
                )
            )
        return clips

    def _approached(self, rng: np.random.Generator, performers: int) -> int:
        if rng.random() * 100 >= self.spec.push_ins:
            return -1
        return int(rng.integers(performers))

    @property
    def people(self) -> tuple[synthetic_people.Person, ...]:
        """All people: the seen ones by number, then the unseen part of the cast."""
        unseen = sorted(i for i in self.cast if i >= synthetic_people.UNSEEN_OFFSET)
        return tuple(synthetic_people.person(i) for i in (*range(self.spec.train_people), *unseen))

    def photos(self, split: str) -> list[PhotoPlan]:
        """The photos of a split: 'train' (of seen people) or 'references' (of the cast)."""
        spec = self.spec
        if split == 'train':
            counts = spec.photos_per_person
            photo_counts = {
                person: counts[person % len(counts)] for person in range(spec.train_people)
            }
            offset = 0
        elif split == 'references':
            photo_counts = dict.fromkeys(sorted(self.cast), spec.reference_photos)
            # Numbered after every training photo: no photo is in both splits.
            offset = 10_000
        else:
            raise ValueError(f"split is {split!r}, expected 'train' or 'references'")
        return [
            PhotoPlan(
                image_id=f'{synthetic_people.person(index).person_id}/{offset + k + 1:04d}_01',
                person=int(index),
                source=f'session {(offset + k) // 2 + 1}',
                seed=offset + k,
            )
            for index, count in photo_counts.items()
            for k in range(count)
        ]
