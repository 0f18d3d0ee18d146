"""Captioned pictures of other worlds, in shards, for pre-training the small CLIP.

A quarter of the action-place pairs never occurs in them, so that evaluation measures whether a
model composes pairs that it has never seen together.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from cpad_jax import atomic, progress, workers
from cpad_jax.media import faces
from cpad_jax.synthetic import attributes, canvas, people
from cpad_jax.synthetic import captions as synthetic_captions
from cpad_jax.synthetic.colour_grading import TitleStyle
from cpad_jax.synthetic.places import draw_place
from cpad_jax.synthetic.render import STAGE_HEIGHT, STAGE_WIDTH, draw_portrait, head_artist
from cpad_jax.synthetic.shots import SeenFace, Shot
from cpad_jax.synthetic.world import (
    PEOPLE_PER_SHOT,
    PLAUSIBLE,
    Performer,
    check_people_per_shot,
    draw_performers,
)
from cpad_jax.text.prompts import PLACES

SHARD_SIZE = 2048
# Shots filmed on one painted stage: painting costs more than filming.
_SHOTS_PER_STAGE = 3
# Extras of other worlds: seen people numbered far above those with training photos in a quickstart.
_EXTRAS = (4000, 10_000)
_PORTRAIT_SHARE = 0.22
_CLOSE_SHARE = 0.4  # of the scenes
_WORLD_SEED_OFFSET = 900_000


def held_out_pairs() -> frozenset[tuple[str, str]]:
    """The quarter of the possible (action, place) pairs that occur in no captioned picture."""
    pairs = sorted((action, place) for place, possible in PLAUSIBLE.items() for action in possible)
    order = np.random.default_rng(41).permutation(len(pairs))
    return frozenset(pairs[i] for i in order[: len(pairs) // 4])


def _draw_people(rng: np.random.Generator, count: int, famous: int) -> list[int]:
    """Famous people appear often, and some much more than others; extras hardly ever twice."""
    chosen: list[int] = []
    while len(chosen) < count:
        if rng.random() < 0.5:
            number = int(famous * rng.random() ** 1.6)
        else:
            number = int(rng.integers(*_EXTRAS))
        if number not in chosen:
            chosen.append(number)
    return chosen


def _close_up(
    rng: np.random.Generator, shape: tuple[int, ...], box: np.ndarray
) -> tuple[slice, slice]:
    """The crop of a picture, at its aspect ratio, that is centred on one face."""
    height, width = shape[:2]
    share = float(rng.uniform(0.42, 0.7))
    rows, columns = round(height * share), round(width * share)
    middle_y = (box[0] + box[2]) / 2 + rows * float(rng.uniform(0.05, 0.25))
    middle_x = (box[1] + box[3]) / 2 + columns * float(rng.uniform(-0.15, 0.15))
    top = int(np.clip(middle_y - rows / 2, 0, height - rows))
    left = int(np.clip(middle_x - columns / 2, 0, width - columns))
    return slice(top, top + rows), slice(left, left + columns)


@dataclasses.dataclass(frozen=True)
class CaptionedPicture:
    """A picture uint8 [S, S, 3], its captions, and the attributes of its people."""

    picture: np.ndarray
    captions: list[synthetic_captions.Caption]
    people: list[synthetic_captions.Attributes]


def _in_view(
    performers: Sequence[Performer], seen: Sequence[SeenFace], view: tuple[slice, slice]
) -> tuple[Performer, ...]:
    """The performers whose face lies in a crop of the picture, in their order."""
    inside = []
    for index, face in enumerate(seen):
        y, x = (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2
        if view[0].start <= y < view[0].stop and view[1].start <= x < view[1].stop:
            inside.append(index)
    positions = {index: position for position, index in enumerate(inside)}
    return tuple(
        dataclasses.replace(performers[i], target=positions.get(performers[i].target, -1))
        for i in inside
    )


def _scene_pictures(
    rng: np.random.Generator, famous: int, size: int, people_per_shot: Sequence[int]
) -> Iterator[CaptionedPicture]:
    style = TitleStyle.draw(rng)
    place = str(rng.choice(PLACES))
    stage = draw_place(place, rng, STAGE_HEIGHT, STAGE_WIDTH, style)
    for _ in range(_SHOTS_PER_STAGE):
        cast = _draw_people(rng, 3, famous)
        performers = draw_performers(rng, place, cast, held_out_pairs(), people_per_shot)
        shot = Shot(stage, place, performers, rng, head_artist(None, 'train'))
        picture, seen = shot.film(float(rng.random()))
        picture = style.grade(picture, rng)
        view = (slice(0, picture.shape[0]), slice(0, picture.shape[1]))
        if rng.random() < _CLOSE_SHARE:
            # A crop around one person: between portraits and wide shots.
            nearest = int(rng.integers(len(performers)))
            view = _close_up(rng, picture.shape, seen[nearest].box)
        performers = _in_view(performers, seen, view)
        if performers:
            yield CaptionedPicture(
                canvas.resize(picture[view], size, size),
                synthetic_captions.scene_captions(rng, performers, place, famous),
                attributes.scene_attributes(performers, place),
            )


def _portrait(rng: np.random.Generator, famous: int, size: int) -> CaptionedPicture:
    person = _draw_people(rng, 1, famous)[0]
    # Photo numbers far above those of the training and reference photos.
    seed = int(rng.integers(1_000_000, 2_000_000))
    photo = draw_portrait(person, seed, head_artist(None, 'train'))
    session = np.random.default_rng((77, person, seed // 2))
    outfit = people.draw_outfit(session, people.person(person).looks)
    image = photo.image
    if rng.random() < 0.6:
        height, width = image.shape[:2]
        image = faces.crop_face(image, photo.bbox * (height, width, height, width), size=size)
    else:
        image = canvas.resize(image, size, size)
    texts = synthetic_captions.portrait_captions(rng, person, outfit, famous)
    return CaptionedPicture(image, texts, [attributes.person_attributes(person, outfit)])


def make_shard(
    number: int,
    seed: int,
    famous: int,
    size: int,
    people_per_shot: Sequence[int] = PEOPLE_PER_SHOT,
) -> list[CaptionedPicture]:
    """Draws the `SHARD_SIZE` pictures of one shard.

    Args:
        number: Number of the shard.
        seed: Seed of all shards.
        famous: People with a number below this appear often and are named.
        size: Side of the pictures, pixels.
        people_per_shot: As in `draw_performers`, of scenes.
    """
    rng = np.random.default_rng((_WORLD_SEED_OFFSET + seed, number))
    drawn: list[CaptionedPicture] = []
    while len(drawn) < SHARD_SIZE:
        if rng.random() < _PORTRAIT_SHARE * _SHOTS_PER_STAGE / (1 + _PORTRAIT_SHARE * 2):
            drawn.append(_portrait(rng, famous, size))
        else:
            drawn.extend(_scene_pictures(rng, famous, size, people_per_shot))
    # Shots of one stage must not stand side by side in a batch.
    return [drawn[i] for i in rng.permutation(SHARD_SIZE)]


def write_shard(folder: Path, number: int, drawn: Sequence[CaptionedPicture]) -> None:
    """Writes `shard-NNNNN.jsonl`, `.facts.npy`, `.claims.npy` and last `.images.npy`.

    Args:
        folder: Folder of shards.
        number: Number of the shard.
        drawn: n pictures of one size with equally many captions C each. The facts are the
            attributes of the people, int32 [n, `MAX_PEOPLE`, F], the claims those that the
            captions state, int32 [n, C, `MAX_SUBJECTS`, F]; see `attributes`.
    """
    stem = folder / f'shard-{number:05d}'
    texts = ([text for text, _ in one.captions] for one in drawn)
    atomic.write_bytes(
        stem.with_suffix('.jsonl'), ''.join(json.dumps(t) + '\n' for t in texts).encode()
    )
    arrays = {
        'facts': [
            attributes.pack(one.people, attributes.MAX_PEOPLE, attributes.ABSENT) for one in drawn
        ],
        'claims': [
            [
                attributes.pack(stated, attributes.MAX_SUBJECTS, attributes.ANY)
                for _, stated in one.captions
            ]
            for one in drawn
        ],
        # The pictures come last: a shard is complete once they are written.
        'images': [one.picture for one in drawn],
    }
    for name, rows in arrays.items():
        with atomic.writing(stem.with_suffix(f'.{name}.npy')) as temporary:
            np.save(temporary, np.array(rows))


def _draw_shard(
    folder: str, seed: int, famous: int, size: int, people_per_shot: Sequence[int], number: int
) -> None:
    write_shard(Path(folder), number, make_shard(number, seed, famous, size, people_per_shot))


def ensure_shards(
    folder: Path,
    shards: int,
    seed: int,
    famous: int,
    size: int,
    people_per_shot: Sequence[int] = PEOPLE_PER_SHOT,
) -> None:
    """Draws the shards that are missing, on all cores.

    Args:
        folder: Folder for the files of `write_shard`.
        shards: Number of shards; each holds `SHARD_SIZE` pictures.
        seed: Seed of all shards.
        famous: People with a number below this appear often and are named.
        size: Side of the pictures, pixels.
        people_per_shot: As in `draw_performers`, of scenes.
    """
    check_people_per_shot(people_per_shot)
    folder.mkdir(parents=True, exist_ok=True)
    missing = [
        number for number in range(shards)
        if not (folder / f'shard-{number:05d}.images.npy').exists()
    ]  # fmt: skip
    if not missing:
        return
    draw = functools.partial(_draw_shard, str(folder), seed, famous, size, tuple(people_per_shot))
    with progress.bar(
        total=len(missing) * SHARD_SIZE, stage='drawing captioned pictures', unit='picture'
    ) as bar:
        for _ in workers.in_order(draw, missing, None, doing='draws pictures'):
            bar.update(SHARD_SIZE)
