"""Builds data sets, or finds those that were built: what training and evaluation ask for data.

A data set lies in `DIR/NAME/`: `identities/VERSION/` and `clips/VERSION/` as TFDS writes them,
`people.json`, and for the drawn world `world.json` and the video files, for Celebrities in Action
`data_set.json`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypedDict

from cpad_jax import atomic
from cpad_jax.data.synthetic.world import RENDERER_VERSION, World, WorldSpec
from cpad_jax.errors import UserError

if TYPE_CHECKING:
    from cpad_jax.data import celebrities_in_action

SYNTHETIC_CAST = 'synthetic_cast'
SYNTHETIC_CAST_VERSION = '1.0.0'
CELEBRITIES_IN_ACTION = 'celebrities_in_action'
CELEBRITIES_IN_ACTION_VERSION = '1.0.0'

# Where config.data calls something by another name than WorldSpec does.
CONFIG_KEYS = {'seed': 'world_seed', 'train_people': 'seen_people', 'cast_unseen': 'unseen_people'}


class PersonEntry(TypedDict):
    """A row of a data set's table of people.

    Attributes:
        person_id: In VGGFace2's style, 'n000001'.
        name: As queries say it.
        gender: 'woman' or 'man', or '' where nobody says.
        seen: Whether there are training photos.
        identity: The number that records use.
    """

    person_id: str
    name: str
    gender: str
    seen: bool
    identity: int


@dataclasses.dataclass(frozen=True)
class DatasetPaths:
    """Where a built data set is.

    Attributes:
        folder: All of it.
        identities: Version folder of the photos, for `readers.IdentityReader`.
        clips: Version folder of the clips, for `readers.ClipReader`.
        version: Of the data set.
        fingerprint: Changes when the data would be different.
    """

    folder: Path
    identities: Path
    clips: Path
    version: str
    fingerprint: str

    def read_people(self) -> list[PersonEntry]:
        """Everybody, in the order of `identity`."""
        return json.loads((self.folder / 'people.json').read_text(encoding='utf-8'))


def world_spec(data: Mapping[str, Any]) -> WorldSpec:
    """The world that a configuration's `config.data` describes."""
    values = {}
    for field in dataclasses.fields(WorldSpec):
        key = CONFIG_KEYS.get(field.name, field.name)
        if key in data:
            values[field.name] = data[key]
    return WorldSpec(**values)


def ensure(
    data: Mapping[str, Any], workdir: str | os.PathLike[str], processes: int | None = None
) -> DatasetPaths:
    """Finds the data set of a configuration, and builds it where it can be built from nothing.

    Args:
        data: `config.data`: `name`, `dir` (empty for `WORKDIR/data`), and what describes the world.
        workdir: The run's folder.
        processes: As in `filming.film`.

    Raises:
        UserError: The data set is unknown, or another one is in its place.
    """
    if data['name'] == CELEBRITIES_IN_ACTION:
        return locate(data, workdir)
    _known(data['name'])
    return ensure_synthetic_cast(_directory(data, workdir), world_spec(data), processes)


def locate(data: Mapping[str, Any], workdir: str | os.PathLike[str]) -> DatasetPaths:
    """Finds the data set of a configuration; builds nothing.

    Args:
        data: `config.data`, as in `ensure`.
        workdir: The run's folder.

    Raises:
        UserError: The data set is unknown, not there, incomplete, or another one is in its place.
    """
    if data['name'] == CELEBRITIES_IN_ACTION:
        return _locate_celebrities(_directory(data, workdir))
    _known(data['name'])
    spec = world_spec(data)
    paths = _paths(_directory(data, workdir), spec)
    _refuse_other_world(paths.folder, spec)
    for part in (paths.identities, paths.clips):
        if not _complete(part):
            raise UserError(
                f'{part}: the data set is not there, or was not finished; '
                '`python -m cpad_jax.train` with the same --config and --workdir builds it'
            )
    return paths


def ensure_synthetic_cast(
    directory: str | os.PathLike[str], spec: WorldSpec, processes: int | None = None
) -> DatasetPaths:
    """Builds the drawn world, or uses what is there of it.

    Args:
        directory: Folder of data sets; the world goes into `synthetic_cast` in it. A build that was
            interrupted goes on: videos that were finished are used.
        spec: The world.
        processes: As in `filming.film`.

    Returns:
        Where it is.

    Raises:
        UserError: Another world is there, or the package was installed without its repository.
    """
    paths = _paths(Path(directory), spec)
    claim_world(paths.folder, spec)
    for part in (paths.identities, paths.clips):
        if not _complete(part):
            prepare(SYNTHETIC_CAST, part.parent.name, directory, spec=spec, processes=processes)
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
    if (folder / 'world.json').is_file() and (folder / 'people.json').is_file():
        return
    people: list[PersonEntry] = [
        {
            'person_id': person.person_id,
            'name': person.name,
            'gender': person.looks.gender,
            'seen': person.seen,
            'identity': identity,
        }
        for identity, person in enumerate(World(spec).people)
    ]
    atomic.write_json(folder / 'people.json', people)
    atomic.write_json(
        folder / 'world.json',
        {
            'fingerprint': spec.fingerprint(),
            'renderer': RENDERER_VERSION,
            'spec': dataclasses.asdict(spec),
        },
    )


def write_people(folder: Path, people: Sequence[PersonEntry]) -> None:
    """Writes a data set's table of people, by whose numbers its records call them.

    Args:
        folder: `DIR/NAME`.
        people: In the order of `identity`.

    Raises:
        UserError: Another table is there, which other records may use.
    """
    path = folder / 'people.json'
    if path.is_file() and json.loads(path.read_text(encoding='utf-8')) != list(people):
        raise UserError(
            f'{path}: other people are in this data set already, so the annotation table is '
            f'another one now; delete {folder}, or give another folder'
        )
    atomic.write_json(path, list(people))


def unknown_people(people: Sequence[tuple[str, str]]) -> list[PersonEntry]:
    """A table of people of whom (person_id, name) are known and no training photos are there."""
    return [
        {'person_id': person_id, 'name': name, 'gender': '', 'seen': False, 'identity': number}
        for number, (person_id, name) in enumerate(people)
    ]


def claim_celebrities(folder: Path, made: celebrities_in_action.DataSet) -> None:
    """Writes down what a folder holds, and its people, before anything else is in it.

    Args:
        folder: `DIR/celebrities_in_action`.
        made: The data set.

    Raises:
        UserError: The folder holds another one.
    """
    path = folder / 'data_set.json'
    if path.is_file() and _fingerprint(path) != made.fingerprint:
        raise UserError(
            f'{folder}: this was built of other clips, another annotation table or other splits; '
            'delete it, or give another folder'
        )
    people = unknown_people(made.people)
    for entry, seen in zip(people, made.is_seen(), strict=True):
        entry['seen'] = seen
    write_people(folder, people)
    atomic.write_json(path, {'fingerprint': made.fingerprint})


def _fingerprint(path: Path) -> str:
    try:
        return str(json.loads(path.read_text(encoding='utf-8'))['fingerprint'])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f'{path}: this is not the description of a data set; delete {path.parent}'
        ) from error


def _locate_celebrities(directory: Path) -> DatasetPaths:
    folder, version = directory / CELEBRITIES_IN_ACTION, CELEBRITIES_IN_ACTION_VERSION
    identities, clips = folder / 'identities' / version, folder / 'clips' / version
    for part in (identities, clips):
        if not _complete(part):
            raise UserError(
                f'{part}: the data set is not there, or was not finished; build it with `python '
                f'tools/build_dataset.py {CELEBRITIES_IN_ACTION} --manual_dir DIR --data_dir '
                f'{directory}`'
            )
    return DatasetPaths(folder, identities, clips, version, _fingerprint(folder / 'data_set.json'))


def builder_module(name: str) -> ModuleType:
    """Loads `datasets/NAME/NAME_dataset_builder.py` of the repository, which imports TFDS.

    By its path and not by import, because `datasets` is the name of another well-known package.

    Raises:
        UserError: The package was installed without its repository.
    """
    path = Path(__file__).parents[2] / 'datasets' / name / f'{name}_dataset_builder.py'
    if not path.is_file():
        raise UserError(
            f'{path}: the code that builds {name} is not there, as it is not part of the installed '
            'package; clone the repository, install it with `pip install -e .` and run from there'
        )
    if path.stem in sys.modules:
        return sys.modules[path.stem]  # TFDS registers a builder once.
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def prepare(
    name: str,
    part: str,
    directory: str | os.PathLike[str],
    manual_dir: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Path:
    """Writes one configuration of a data set, or finds that it is written.

    Args:
        name: Of the data set.
        part: Of the configuration, e.g. 'clips'.
        directory: Folder of data sets.
        manual_dir: Where the archives are that the user brought.
        **options: What its builder takes, e.g. `processes`.

    Returns:
        The version's folder.

    Raises:
        UserError: What the builder needs is not there, or the package's repository is not.
    """
    module = builder_module(name)
    if manual_dir is not None and not Path(manual_dir).is_dir():
        raise UserError(
            f'{manual_dir}: there is no such folder; {module.Builder.MANUAL_DOWNLOAD_INSTRUCTIONS}'
        )
    import tensorflow as tf
    import tensorflow_datasets as tfds

    # TensorFlow writes files here; it must not take the accelerator's memory from JAX.
    with contextlib.suppress(RuntimeError):
        tf.config.set_visible_devices([], 'GPU')
    tfds.disable_progress_bar()  # Ours counts clips and photos.
    builder = module.Builder(data_dir=directory, config=part, file_format='array_record', **options)
    # TFDS announces downloads on stdout and makes a folder for them; there are none.
    with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as nothing:
        builder.download_and_prepare(
            download_dir=nothing,
            download_config=tfds.download.DownloadConfig(manual_dir=manual_dir),
        )
    folder = Path(builder.data_dir)
    shutil.rmtree(unfinished(folder.parents[1], part), ignore_errors=True)
    return folder


def unfinished(folder: Path, part: str) -> Path:
    """Where a build of `DIR/NAME` keeps what it has decoded, until it is finished."""
    return folder / f'.unfinished_{part}'


def _paths(directory: Path, spec: WorldSpec) -> DatasetPaths:
    folder = directory / SYNTHETIC_CAST
    return DatasetPaths(
        folder=folder,
        identities=folder / 'identities' / SYNTHETIC_CAST_VERSION,
        clips=folder / 'clips' / SYNTHETIC_CAST_VERSION,
        version=SYNTHETIC_CAST_VERSION,
        fingerprint=spec.fingerprint(),
    )


def _complete(part: Path) -> bool:
    # TFDS renames the folder into place when everything in it is written.
    return (part / 'dataset_info.json').is_file()


def _directory(data: Mapping[str, Any], workdir: str | os.PathLike[str]) -> Path:
    return Path(data['dir']) if data['dir'] else Path(workdir) / 'data'


def _known(name: str) -> None:
    if name != SYNTHETIC_CAST:
        raise UserError(
            f'config.data.name is {name!r}, expected {SYNTHETIC_CAST!r} or '
            f'{CELEBRITIES_IN_ACTION!r}'
        )


def _refuse_other_world(folder: Path, spec: WorldSpec) -> None:
    path = folder / 'world.json'
    if not path.is_file():
        return
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
        same = found['fingerprint'] == spec.fingerprint()
        there, renderer = dict(found['spec']), found['renderer']
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f'{path}: this is not the description of a drawn world; delete {folder}, or give '
            'another folder'
        ) from error
    if same:
        return
    differences = [
        f'{key} is {there.get(key)!r} there and {value!r} here'
        for key, value in dataclasses.asdict(spec).items()
        if there.get(key) != value
    ]
    if renderer != RENDERER_VERSION:
        differences.append(f'it was drawn by version {renderer} and this is {RENDERER_VERSION}')
    raise UserError(
        f'{folder}: another world is there ({"; ".join(differences)}); '
        'give another folder for the data, or delete this one'
    )
