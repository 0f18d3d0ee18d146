"""The drawn world as a data set: which world a folder holds, finding it and building it."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cpad_jax import atomic, bounds, strict_json
from cpad_jax.data import built_dataset
from cpad_jax.data.built_dataset import PEOPLE, DatasetPaths, PersonEntry
from cpad_jax.errors import UserError
from cpad_jax.synthetic import render
from cpad_jax.synthetic.world import RENDERER_VERSION, World, WorldSpec

SYNTHETIC_CAST = 'synthetic_cast'
SYNTHETIC_CAST_VERSION = '1.0.0'
SYNTHETIC_CAST_PARTS = ('identities', 'clips')

# Where config.data calls something by another name than WorldSpec does.
CONFIG_KEYS = {'seed': 'world_seed', 'train_people': 'seen_people', 'cast_unseen': 'unseen_people'}


def world_spec(data: Mapping[str, Any]) -> WorldSpec:
    """The world that a configuration's `config.data` describes.

    Raises:
        UserError: A value is out of range.
    """
    keys = {f.name: CONFIG_KEYS.get(f.name, f.name) for f in dataclasses.fields(WorldSpec)}
    bounds.check({key: data[key] for key in keys.values() if key in data}, '')
    return WorldSpec(**{name: data[key] for name, key in keys.items() if key in data})


def ensure_synthetic_cast(
    directory: str | os.PathLike[str],
    spec: WorldSpec,
    processes: int | None = None,
    parts: Sequence[str] = SYNTHETIC_CAST_PARTS,
) -> DatasetPaths:
    """Builds the drawn world, or uses what is there of it.

    Args:
        directory: Folder of data sets; the world goes into `synthetic_cast` in it. A build that was
            interrupted goes on: videos that were finished are used.
        spec: The world.
        processes: As in `filming.film`.
        parts: Which of its parts are wanted.

    Returns:
        Where it is.

    Raises:
        UserError: Another world is there, the folder cannot be written to, `faces_dir` has too
            few faces, or the package was installed without its repository.
    """
    paths = _paths(Path(directory), spec, parts)
    if all(map(built_dataset.is_complete, paths.parts.values())):
        claim_world(paths.folder, spec)
        return paths
    built_dataset.check_writable(paths.folder)
    # Rather now than when a folder says which world is in it.
    render.check_faces(World(spec))
    with built_dataset.drawn_alone(paths.folder):
        claim_world(paths.folder, spec)
        options = {'spec': spec, 'processes': processes}
        for part, version in paths.parts.items():
            if built_dataset.is_complete(version):
                continue
            # TFDS's name for a folder that it renames in the end: of a build that was killed.
            for left in version.parent.glob(f'incomplete.??????_{version.name}'):
                shutil.rmtree(left)
            built_dataset.download_and_prepare(
                built_dataset.open_builder(SYNTHETIC_CAST, part, Path(directory), options)
            )
    return paths


def locate_synthetic_cast(directory: str | os.PathLike[str], spec: WorldSpec) -> DatasetPaths:
    """Finds the drawn world; builds nothing.

    Args:
        directory: Folder of data sets.
        spec: The world.

    Raises:
        UserError: It is not there or incomplete, or another one is in its place.
    """
    paths = _paths(Path(directory), spec)
    _refuse_other_world(paths.folder, spec)
    if paths.people.is_file() and not _is_written(paths.people, spec):
        raise UserError(
            f'{paths.people} is damaged, as it is not the people of this world: '
            '`python -m cpad_jax.train` with the same --config and --workdir writes it again'
        )
    for part in paths.parts.values():
        if not built_dataset.is_complete(part):
            raise UserError(
                f'{part}: the data set is not there, or was not finished; '
                '`python -m cpad_jax.train` with the same --config and --workdir builds it'
            )
    return paths


def claim_world(folder: Path, spec: WorldSpec) -> None:
    """Writes down which world a folder holds, and its people, before anything else is in it.

    Args:
        folder: `DIR/synthetic_cast`.
        spec: The world.

    Raises:
        UserError: The folder holds another world.
    """
    _refuse_other_world(folder, spec)
    if (folder / 'world.json').is_file() and _is_written(folder / PEOPLE, spec):
        return
    atomic.write_json(folder / PEOPLE, _people(spec))
    atomic.write_json(
        folder / 'world.json',
        {
            'fingerprint': spec.fingerprint(),
            'renderer': RENDERER_VERSION,
            'spec': dataclasses.asdict(spec),
        },
    )


def _people(spec: WorldSpec) -> list[PersonEntry]:
    return [
        {
            'person_id': person.person_id,
            'name': person.name,
            'gender': person.looks.gender,
            'seen': person.seen,
            'identity': identity,
        }
        for identity, person in enumerate(World(spec).people)
    ]


def _is_written(table: Path, spec: WorldSpec) -> bool:
    """Whether a table of people is there and is that of a world."""
    try:
        return built_dataset.read_people(table) == _people(spec)
    except UserError:
        return False


def _paths(
    directory: Path, spec: WorldSpec, parts: Sequence[str] = SYNTHETIC_CAST_PARTS
) -> DatasetPaths:
    folder = directory / SYNTHETIC_CAST
    return DatasetPaths(
        folder=folder,
        people=folder / PEOPLE,
        parts={part: folder / part / SYNTHETIC_CAST_VERSION for part in parts},
        version=SYNTHETIC_CAST_VERSION,
        fingerprint=spec.fingerprint(),
    )


def _refuse_other_world(folder: Path, spec: WorldSpec) -> None:
    path = folder / 'world.json'
    if not path.is_file():
        return
    try:
        found = strict_json.read(path)
        same = found['fingerprint'] == spec.fingerprint()
        there, renderer = dict(found['spec']), found['renderer']
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f'{path}: this is not the description of a drawn world; delete {folder}, or give '
            'another folder'
        ) from error
    if same:
        return
    # As JSON has it, in which tuples are lists.
    here = json.loads(json.dumps(dataclasses.asdict(spec)))
    differences = [
        f'{key} is {there.get(key)!r} there and {value!r} here'
        for key, value in here.items()
        if there.get(key) != value
    ]
    if there == here and renderer == RENDERER_VERSION:
        differences.append('its people were given other faces of faces_dir')
    if renderer != RENDERER_VERSION:
        differences.append(f'it was drawn by version {renderer} and this is {RENDERER_VERSION}')
    raise UserError(
        f'{folder}: another world is there ({"; ".join(differences)}); '
        'give another folder for the data, or delete this one'
    )
