"""A season of a show in the drawn world, as a plan: episodes, scenes, beats and shots.

An episode is a sequence of scenes. A scene takes place in one of the show's sets with a few of its
people. In each of its beats a person performs an action, filmed in several shots of all people or,
closer, of some. Every shot holds its actions from beginning to end. A season is a function of its
seed and of the world whose people act in it; worlds do not depend on seasons.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence

import numpy as np

from cpad_jax.errors import UserError
from cpad_jax.synthetic.world import (
    BULKY,
    RENDERER_VERSION,
    Performer,
    World,
    WorldSpec,
    draw_performers,
    faces_version,
)
from cpad_jax.text.prompts import ACTIONS, PLACES

# Raised when the same specification gives another plan, as `world.RENDERER_VERSION`.
VERSION = 1

SETS = 14  # Each place once, and some of them twice.
# Of 100 beats: those with one, two and three people, before bystanders.
_PEOPLE_PER_SHOT = (15, 45, 40)
_MOST = 5  # People in a shot.
_BYSTANDER = 0.45  # Probability of each further bystander.
_GUESTS = 4  # People of one episode only, beside the regular cast.
_REGULARS_PER_EPISODE = 0.6
# Fewest and most: people present in a scene, seconds of a scene, of a beat, and of a shot.
_PRESENT, _SCENE, _BEAT, _SHOT = (4, 7), (45.0, 110.0), (6.0, 14.0), (2.5, 6.0)
_WIDE = 0.35  # Probability that a later shot of a beat holds all people again.
_PUSH_IN = 0.4  # Probability that the camera of a shot moves close to one person.


@dataclasses.dataclass(frozen=True)
class SeasonSpec:
    """Parameters of a season.

    Attributes:
        world: The world whose cast acts in it.
        seed: Seed of the season.
        episodes: Number of episodes.
        minutes: Least duration of an episode, which is less than a scene longer.
        cast: Regular people of the show, who come back in many episodes.
    """

    world: WorldSpec
    seed: int = 0
    episodes: int = 12
    minutes: float = 20.0
    cast: int = 24

    def __post_init__(self) -> None:
        for key, least in (('episodes', 1), ('cast', 4), ('seed', 0)):
            if getattr(self, key) < least:
                raise UserError(
                    f'{key} of a season is {getattr(self, key)}, expected {least} or more'
                )
        if not 0 < self.minutes <= 600:
            raise UserError(f'minutes of an episode are {self.minutes}, expected 600 at most')
        most = self.world.cast_seen + self.world.cast_unseen
        if self.cast > most:
            raise UserError(
                f'cast of a season is {self.cast}, but only {most} people act in the world '
                '(cast_seen and cast_unseen): lower it'
            )

    def fingerprint(self) -> str:
        """A sha256 that changes when the season would look different."""
        value = {'renderer': RENDERER_VERSION, 'season': VERSION, **dataclasses.asdict(self)}
        value |= faces_version(self.world)
        return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class ShotPlan:
    """One shot before it is filmed.

    Attributes:
        set: Number of the set, below `SETS`.
        performers: The people in the picture, with their actions.
        seconds: Duration.
        seed: Seed of all other properties.
        approached: Index of the performer that the camera moves close to, or -1.
    """

    set: int
    performers: tuple[Performer, ...]
    seconds: float
    seed: int
    approached: int = -1


@dataclasses.dataclass(frozen=True)
class Episode:
    """An episode: its id, and its shots in their order."""

    episode_id: str
    shots: tuple[ShotPlan, ...]


class Season:
    """The plan of a season.

    Attributes:
        spec: Its parameters.
        world: The world whose people act in it.
        title: Its id; no title of any world has it.
        cast: Person numbers of the regular people.
        sets: The place of each set, one of `PLACES`.
        style_seed: Seed of the show's style.
        episodes: Its episodes.
    """

    def __init__(self, spec: SeasonSpec):
        """Plans a season."""
        self.spec = spec
        self.title = f'season{spec.seed:03d}'
        rng = np.random.default_rng((spec.world.seed, 6, spec.seed))
        self.world = World(spec.world)
        shuffled = [int(person) for person in rng.permutation(self.world.cast)]
        self.cast = tuple(shuffled[: spec.cast])
        self._others = shuffled[spec.cast :]
        repeated = rng.permutation(PLACES)[: SETS - len(PLACES)]
        self.sets = (*PLACES, *(str(place) for place in repeated))
        self.style_seed = int(rng.integers(1 << 31))
        self.episodes = tuple(self._draw_episode(number) for number in range(spec.episodes))

    def stage_seed(self, number: int) -> tuple[int, ...]:
        """The seed of the painted set `number`, the same in every episode."""
        return (self.spec.world.seed, 7, self.spec.seed, number)

    def _draw_episode(self, number: int) -> Episode:
        rng = np.random.default_rng((self.spec.world.seed, 8, self.spec.seed, number))
        regulars = max(_PRESENT[0], round(len(self.cast) * _REGULARS_PER_EPISODE))
        here = [int(person) for person in rng.permutation(self.cast)[:regulars]]
        if self._others:
            here += [int(person) for person in rng.permutation(self._others)[:_GUESTS]]
        wardrobe = {person: int(rng.integers(1 << 31)) for person in here}
        shots: list[ShotPlan] = []
        left = self.spec.minutes * 60
        while left > 0:
            scene = self._draw_scene(rng, here, wardrobe, min(left, float(rng.uniform(*_SCENE))))
            left -= sum(shot.seconds for shot in scene)
            shots += scene
        return Episode(f'{self.title}_episode{number + 1:02d}', tuple(shots))

    def _draw_scene(
        self, rng: np.random.Generator, here: Sequence[int], wardrobe: dict[int, int], least: float
    ) -> list[ShotPlan]:
        set_number = int(rng.integers(SETS))
        count = min(len(here), int(rng.integers(_PRESENT[0], _PRESENT[1] + 1)))
        present = [int(person) for person in rng.permutation(here)[:count]]
        shots: list[ShotPlan] = []
        while sum(shot.seconds for shot in shots) < least:
            performers = [
                dataclasses.replace(performer, outfit_seed=wardrobe[performer.person])
                for performer in self._draw_beat(rng, self.sets[set_number], present)
            ]
            shots += _draw_shots(rng, set_number, performers)
        return shots

    def _draw_beat(
        self, rng: np.random.Generator, place: str, present: list[int]
    ) -> list[Performer]:
        performers = list(draw_performers(rng, place, present, people_per_shot=_PEOPLE_PER_SHOT))
        acting = {performer.person for performer in performers}
        bystanders = [person for person in present if person not in acting]
        # A car or a bed leaves no space for bystanders.
        doings = {ACTIONS[action] for performer in performers for action in performer.actions}
        if place == 'INT-car' or BULKY & doings:
            return performers
        for person in bystanders[: _MOST - len(performers)]:
            if rng.random() < _BYSTANDER:
                performers.append(Performer(person, (), -1, 0))
        return performers


def _draw_shots(
    rng: np.random.Generator, set_number: int, performers: Sequence[Performer]
) -> list[ShotPlan]:
    """The shots of a beat: first of all people, then of all or of those who interact."""
    units: list[list[int]] = []
    for index, performer in enumerate(performers):
        if performer.receives:
            units[-1].append(index)
        else:
            units.append([index])
    shots = []
    left = float(rng.uniform(*_BEAT))
    while left > 0:
        filmed = list(range(len(performers)))
        if shots and rng.random() >= _WIDE:
            filmed = units[int(rng.integers(len(units)))]
        seconds = round(float(rng.uniform(*_SHOT)), 1)
        if left - seconds < _SHOT[0]:
            seconds = max(_SHOT[0], round(left, 1))
        approached = int(rng.integers(len(filmed))) if rng.random() < _PUSH_IN else -1
        shots.append(
            ShotPlan(
                set_number, subset(performers, filmed), seconds, int(rng.integers(1 << 31)),
                approached,
            )
        )  # fmt: skip
        left -= seconds
    return shots


def subset(performers: Sequence[Performer], filmed: Sequence[int]) -> tuple[Performer, ...]:
    """The performers at ascending indices; a target that is left out becomes -1."""
    positions = {index: position for position, index in enumerate(filmed)}
    return tuple(
        dataclasses.replace(performers[i], target=positions.get(performers[i].target, -1))
        for i in filmed
    )
