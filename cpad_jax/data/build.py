"""Builds data sets, or finds those that were built: what training and evaluation ask for data.

A data set lies in `DIR/NAME/`: its parts, such as `identities/VERSION/` and `clips/VERSION/`, as
TFDS writes them. The drawn world has `people.json`, `world.json` and the video files beside them;
what is built from the user's own files has `people.json` and `set_aside.txt` in the version's
folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import importlib.util
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypedDict

from cpad_jax import atomic
from cpad_jax.data.synthetic.world import RENDERER_VERSION, World, WorldSpec
from cpad_jax.errors import UserError

SYNTHETIC_CAST = 'synthetic_cast'
SYNTHETIC_CAST_VERSION = '1.0.0'

PEOPLE = 'people.json'


@dataclasses.dataclass(frozen=True)
class ManualDataset:
    """A data set that is built from files which the user has.

    Attributes:
        version: Of our form of it.
        parts: Its TFDS configurations: 'identities' are photos, everything else clips.
    """

    version: str
    parts: tuple[str, ...]


CELEBRITIES_IN_ACTION = 'celebrities_in_action'
MANUAL = {
    'vggface': ManualDataset('1.0.0', ('identities',)),
    'vggface2': ManualDataset('1.0.0', ('identities',)),
    'hollywood2': ManualDataset('1.0.0', ('actions', 'scenes')),
    'tv_human_interactions': ManualDataset('1.0.0', ('clips',)),
    CELEBRITIES_IN_ACTION: ManualDataset('1.0.0', ('identities', 'clips')),
}
NAMES = (SYNTHETIC_CAST, *MANUAL)

# Where config.data calls something by another name than WorldSpec does.
CONFIG_KEYS = {'seed': 'world_seed', 'train_people': 'seen_people', 'cast_unseen': 'unseen_people'}


class PersonEntry(TypedDict):
    """A row of a data set's table of people.

    Attributes:
        person_id: In VGGFace2's style, 'n000001'.
        name: As queries say it.
        gender: 'woman', 'man', or '' where the data set does not say.
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
        people: The table of people, `read_people` reads it.
        parts: Version folders by kind of record, e.g. 'identities'.
        version: Of the data set.
        fingerprint: Changes when the data would be different.
    """

    folder: Path
    people: Path
    parts: Mapping[str, Path]
    version: str
    fingerprint: str

    @property
    def identities(self) -> Path | None:
        """Version folder of the photos, for `readers.IdentityReader`; None where there are none."""
        return self.parts.get('identities')

    @property
    def clips(self) -> Path | None:
        """Version folder of the clips, for `readers.ClipReader`; None where there are none."""
        return self.parts.get('clips')

    def part(self, kind: str) -> Path:
        """The version folder of a kind of record.

        Raises:
            UserError: This data set has none of that kind.
        """
        if kind not in self.parts:
            raise UserError(
                f'{self.folder}: this data set has no {kind}, only {", ".join(self.parts)}; give '
                'another one as config.data.name'
            )
        return self.parts[kind]

    def read_people(self) -> list[PersonEntry]:
        """Everybody, in the order of `identity`."""
        return json.loads(self.people.read_text(encoding='utf-8'))


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
    _known(data['name'])
    if data['name'] in MANUAL:
        return find(data['name'], _directory(data, workdir))
    return ensure_synthetic_cast(_directory(data, workdir), world_spec(data), processes)


def locate(data: Mapping[str, Any], workdir: str | os.PathLike[str]) -> DatasetPaths:
    """Finds the data set of a configuration; builds nothing.

    Args:
        data: `config.data`, as in `ensure`.
        workdir: The run's folder.

    Raises:
        UserError: The data set is unknown, not there, incomplete, or another one is in its place.
    """
    _known(data['name'])
    if data['name'] in MANUAL:
        return find(data['name'], _directory(data, workdir))
    spec = world_spec(data)
    paths = _paths(_directory(data, workdir), spec)
    _refuse_other_world(paths.folder, spec)
    for part in paths.parts.values():
        if not _complete(part):
            raise UserError(
                f'{part}: the data set is not there, or was not finished; '
                '`python -m cpad_jax.train` with the same --config and --workdir builds it'
            )
    return paths


def find(
    name: str, directory: str | os.PathLike[str], parts: Sequence[str] | None = None
) -> DatasetPaths:
    """Finds a data set that was built from the user's own files.

    Args:
        name: One of `MANUAL`.
        directory: Folder of data sets.
        parts: Which of its parts; None for all.

    Raises:
        UserError: It was not built there, or not to the end.
    """
    kind, folder = MANUAL[name], Path(directory) / name
    folders = {part: folder / part / kind.version for part in parts or kind.parts}
    content = hashlib.sha256()
    for part in folders.values():
        if not _complete(part):
            raise UserError(
                f'{part}: the data set is not there, or was not finished; '
                f'`python tools/build_dataset.py {name} --manual_dir DIR --data_dir {directory}` '
                'builds it, from files that you have'
            )
        # The first holds the digest of all records, the other who their numbers are.
        for file in ('metadata.json', PEOPLE):
            if (part / file).is_file():
                content.update((part / file).read_bytes())
    return DatasetPaths(
        folder=folder,
        people=next(iter(folders.values())) / PEOPLE,
        parts=folders,
        version=kind.version,
        fingerprint=content.hexdigest(),
    )


def prepare(
    name: str,
    directory: str | os.PathLike[str],
    manual_dir: str | os.PathLike[str],
    beam_options: str = '',
    parts: Sequence[str] | None = None,
    **options: Any,
) -> DatasetPaths:
    """Builds a data set from files that the user has, or uses what is there of it.

    Args:
        name: One of `MANUAL`.
        directory: Folder of data sets; this one goes into `NAME` in it. A build that was cut off
            leaves nothing there that looks finished, and starts anew.
        manual_dir: The user's files; the data set's builder says what it expects.
        beam_options: For a build by Apache Beam, its options as `runner=DirectRunner,…`.
        parts: Which of its parts; None for all.
        **options: Taken by the data set's builder, where they are not None.

    Raises:
        UserError: Files are missing or damaged, or the package was installed without its
            repository.
    """
    kind, folder = MANUAL[name], Path(directory) / name
    instructions = builder_module(name).Builder.MANUAL_DOWNLOAD_INSTRUCTIONS
    if not Path(manual_dir).is_dir():
        raise UserError(f'--manual_dir {manual_dir}: there is no such folder. {instructions}')
    if beam_options and kind.parts != ('identities',):
        raise UserError(
            f'{name} has clips, which are not built by Apache Beam but by every core of this '
            'machine: leave --beam_options out'
        )
    options = {key: value for key, value in options.items() if value is not None}
    with _alone(folder):
        for part in parts or kind.parts:
            version = folder / part / kind.version
            if _complete(version):
                continue
            # TFDS's name for a folder that it renames in the end: of a build that was killed.
            for left in version.parent.glob(f'incomplete.*_{kind.version}'):
                shutil.rmtree(left)
            _download_and_prepare(
                name, part, Path(directory), options, manual_dir=Path(manual_dir),
                beam_options=beam_options,
            )  # fmt: skip
            shutil.rmtree(unfinished(folder, part), ignore_errors=True)
    return find(name, directory, parts)


def unfinished(folder: Path, part: str) -> Path:
    """Where a build of a part of `DIR/NAME` keeps what it has decoded, until it is finished."""
    return folder / f'.unfinished_{part}'


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps a second build of the same data set out; the system ends it with the process."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / '.building').open('w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f'{folder}: another process is building this data set') from error
        yield


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
    for part in paths.parts.values():
        if not _complete(part):
            options = {'spec': spec, 'processes': processes}
            _download_and_prepare(SYNTHETIC_CAST, part.parent.name, Path(directory), options)
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
    if (folder / 'world.json').is_file() and (folder / PEOPLE).is_file():
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
    atomic.write_json(folder / PEOPLE, people)
    atomic.write_json(
        folder / 'world.json',
        {
            'fingerprint': spec.fingerprint(),
            'renderer': RENDERER_VERSION,
            'spec': dataclasses.asdict(spec),
        },
    )


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


def _download_and_prepare(
    name: str,
    part: str,
    directory: Path,
    options: Mapping[str, Any],
    manual_dir: Path | None = None,
    beam_options: str = '',
) -> None:
    module = builder_module(name)
    import tensorflow as tf
    import tensorflow_datasets as tfds

    # TensorFlow writes files here; it must not take the accelerator's memory from JAX.
    with contextlib.suppress(RuntimeError):
        tf.config.set_visible_devices([], 'GPU')
    tfds.disable_progress_bar()  # Ours counts clips and photos.
    builder = module.Builder(data_dir=directory, config=part, file_format='array_record', **options)
    config = tfds.download.DownloadConfig(
        manual_dir=manual_dir, beam_options=_beam_options(beam_options)
    )
    # TFDS announces downloads on stdout and makes a folder for them; there are none.
    with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as nothing:
        builder.download_and_prepare(download_dir=nothing, download_config=config)


def _beam_options(text: str) -> Any:
    if not text:
        return None
    try:
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise UserError(
            "Apache Beam is not installed: `pip install -e '.[beam]'`, or leave --beam_options out"
        ) from error
    return PipelineOptions([f'--{option}' for option in text.split(',')])


def _paths(directory: Path, spec: WorldSpec) -> DatasetPaths:
    folder = directory / SYNTHETIC_CAST
    return DatasetPaths(
        folder=folder,
        people=folder / PEOPLE,
        parts={part: folder / part / SYNTHETIC_CAST_VERSION for part in ('identities', 'clips')},
        version=SYNTHETIC_CAST_VERSION,
        fingerprint=spec.fingerprint(),
    )


def _complete(part: Path) -> bool:
    # TFDS renames the folder into place when everything in it is written.
    return (part / 'dataset_info.json').is_file()


def _directory(data: Mapping[str, Any], workdir: str | os.PathLike[str]) -> Path:
    return Path(data['dir']) if data['dir'] else Path(workdir) / 'data'


def _known(name: str) -> None:
    if name not in NAMES:
        raise UserError(f'config.data.name is {name!r}, expected one of {", ".join(NAMES)}')


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
