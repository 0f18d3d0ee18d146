"""Builds data sets, or finds those that were built: what training and evaluation ask for data.

A data set lies in `DIR/NAME/`: its parts, such as `identities/VERSION/` and `clips/VERSION/`, as
TFDS writes them. The drawn world has `people.json`, `world.json` and the video files beside them;
what is built from the user's own files has `people.json`, `provenance.json` and `rejection_log.txt`
in the version's folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cpad_jax.data import built_dataset, provenance
from cpad_jax.data.built_dataset import PEOPLE, DatasetPaths, is_complete
from cpad_jax.data.synthetic_cast import (
    SYNTHETIC_CAST,
    SYNTHETIC_CAST_PARTS,
    SYNTHETIC_CAST_VERSION,
    ensure_synthetic_cast,
    locate_synthetic_cast,
    world_spec,
)
from cpad_jax.errors import UserError
from cpad_jax.locks import locked


@dataclasses.dataclass(frozen=True)
class ManualDataset:
    """A data set that is built from files which the user has.

    Attributes:
        version: Of our form of it.
        parts: Its TFDS configurations: 'identities' are photos, everything else clips.
    """

    version: str
    parts: tuple[str, ...]


CELEBRITIES_IN_ACTION, THIS_IS_MY = 'celebrities_in_action', 'this_is_my'
MANUAL = {
    'vggface': ManualDataset('1.0.0', ('identities',)),
    'vggface2': ManualDataset('1.0.0', ('identities',)),
    'hollywood2': ManualDataset('1.0.0', ('actions', 'scenes')),
    'tv_human_interactions': ManualDataset('1.0.0', ('clips',)),
    CELEBRITIES_IN_ACTION: ManualDataset('1.0.0', ('identities', 'clips')),
    THIS_IS_MY: ManualDataset('1.0.0', ('identities', 'clips')),
}
NAMES = (SYNTHETIC_CAST, *MANUAL)

# What TFDS writes beside the parts before it builds.
_TFDS_MARK = '.config'


def ensure(
    data: Mapping[str, Any],
    workdir: str | os.PathLike[str],
    processes: int | None = None,
    parts: Sequence[str] = SYNTHETIC_CAST_PARTS,
) -> DatasetPaths:
    """Finds the data set of a configuration, and builds it where it can be built from nothing.

    Args:
        data: `config.data`: `name`, `dir` (empty for `WORKDIR/data`), and what describes the world.
        workdir: The run's folder.
        processes: As in `filming.film`.
        parts: Which parts of a drawn world are wanted.

    Raises:
        UserError: The data set is unknown, or another one is in its place.
    """
    _known(data['name'])
    if data['name'] in MANUAL:
        return find(data['name'], _directory(data, workdir))
    return ensure_synthetic_cast(_directory(data, workdir), world_spec(data), processes, parts)


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
    return locate_synthetic_cast(_directory(data, workdir), world_spec(data))


def evaluation_data(config: Any) -> dict[str, Any]:
    """What `config.data` would be if one learned from the data set that is evaluated on.

    Args:
        config: The configuration. `config.eval.data` has `name` and `dir`, each of which is
            `config.data`'s where it is empty.

    Raises:
        UserError: The data set is unknown.
    """
    other = {key: value for key, value in config.eval.data.items() if value}
    if 'name' in other:
        _known(other['name'], 'eval.data')
    return {**config.data, **other}


def title_splits(config: Any, workdir: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
    """Which titles a method that learns from clips may see, may be selected by, and is tested on.

    Args:
        config: The configuration. `config.clips.training` and `config.clips.validation` say in what
            their drawn worlds differ from `config.data`, which is tested on.
        workdir: The run's folder; a world without a `dir` lies in `WORKDIR/training`, ….

    Returns:
        'training', 'validation' and 'test' → what `config.data` would be.

    Raises:
        UserError: Two of them are of one world, so that a title would be in two splits.
    """
    splits = {'test': evaluation_data(config)}
    for split in ('training', 'validation'):
        data = {**config.data, **config.clips[split]}
        splits[split] = data | {'dir': data['dir'] or str(Path(workdir) / split)}
    seeds = {split: data['world_seed'] for split, data in splits.items()}
    if any(data['name'] != SYNTHETIC_CAST for data in splits.values()):
        raise UserError('config.clips is of drawn worlds: config.data.name must be synthetic_cast')
    if len(set(seeds.values())) < len(seeds):
        raise UserError(
            f'the world seeds are {seeds}: titles of one world would be in two splits; give every '
            'one of config.data, config.clips.training and config.clips.validation its own'
        )
    return splits


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
        if not is_complete(part):
            raise UserError(
                f'{part}: the data set is not there, or was not finished; '
                f'`cpad-build-dataset {name} --manual_dir DIR --data_dir {directory}` '
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
        directory: Folder of data sets; this one goes into `NAME` in it. Of a build that was cut off
            decoded clips are used again (`unfinished`); the rest starts anew.
        manual_dir: The user's files; the data set's builder says what it expects.
        beam_options: For a build by Apache Beam, its options as `runner=DirectRunner,…`.
        parts: Which of its parts; None for all.
        **options: Taken by the data set's builder, where they are not None.

    Raises:
        UserError: Files are missing or damaged, what is there was made from others, the folder
            cannot be written to, or the package was installed without its repository.
    """
    kind, folder, manual_dir = MANUAL[name], Path(directory) / name, Path(manual_dir)
    _check_manual_dir(name, manual_dir)
    if beam_options and kind.parts != ('identities',):
        raise UserError(
            f'{name} has clips, which are not built by Apache Beam but by every core of this '
            'machine: leave --beam_options out'
        )
    versions = {part: folder / part / kind.version for part in parts or kind.parts}
    missing = [part for part, version in versions.items() if not is_complete(version)]
    if missing:
        built_dataset.check_writable(folder)
    options = {key: value for key, value in options.items() if value is not None}
    builders = {
        part: built_dataset.open_builder(name, part, Path(directory), options) for part in versions
    }
    made = _describe(builders, manual_dir)
    differ = {
        versions[part]: what
        for part in versions
        if part not in missing and (what := provenance.differences(versions[part], made[part]))
    }
    if differ:
        start = f'{name} is built already, and not from this'
        advice = (
            f'delete {" and ".join(map(str, differ))} to build it again, or give another --data_dir'
        )
        # An error is one line of fewer than 400 characters, and what to do must stand in it.
        room = max(390 - len(start) - len(advice), 20)
        what = next(iter(differ.values()))
        what = what if len(what) <= room else f'{what[: room - 4]} ...'
        raise UserError(f'{start} ({what}): {advice}')
    with _alone(folder) if missing else contextlib.nullcontext():
        for part in missing:
            # TFDS's name for a folder that it renames in the end: of a build that was killed.
            for left in (folder / part).glob(f'incomplete.*_{kind.version}'):
                shutil.rmtree(left)
            built_dataset.download_and_prepare(builders[part], manual_dir, beam_options)
            shutil.rmtree(unfinished(folder, part), ignore_errors=True)
    return find(name, directory, parts)


def finished(name: str, directory: str | os.PathLike[str]) -> list[Path]:
    """The version folders of a data set that were built to their end.

    Args:
        name: One of `NAMES`.
        directory: Folder of data sets.
    """
    if name in MANUAL:
        kind = MANUAL[name]
        version, parts = kind.version, kind.parts
    else:
        version, parts = SYNTHETIC_CAST_VERSION, SYNTHETIC_CAST_PARTS
    folders = [Path(directory) / name / part / version for part in parts]
    return [folder for folder in folders if is_complete(folder)]


def _check_manual_dir(name: str, manual_dir: Path) -> None:
    if not manual_dir.is_dir():
        wrong = 'there is no such folder'
    elif not any(manual_dir.iterdir()):
        wrong = 'this folder is empty'
    else:
        return
    instructions = built_dataset.builder_module(name).Builder.MANUAL_DOWNLOAD_INSTRUCTIONS
    raise UserError(f'--manual_dir {manual_dir}: {wrong}. {instructions}')


def _describe(
    builders: Mapping[str, Any], manual_dir: Path
) -> dict[str, dict[str, provenance.Made]]:
    """Part → what it is made from; refuses before any work where something of a part is missing."""
    made, wrong = {}, []
    for part, builder in builders.items():
        try:
            made[part] = provenance.describe(builder.tables(manual_dir))
        except UserError as error:
            wrong.append(error)
    if wrong and made:
        alone = ' or '.join(f'--part {part}' for part in made)
        raise UserError(f'{wrong[0]}; what is there is built by {alone}') from wrong[0]
    if wrong:
        raise wrong[0]
    return made


def unfinished(folder: Path, part: str) -> Path:
    """Where a build of a part of `DIR/NAME` keeps what it has decoded, until it is finished."""
    return folder / f'.unfinished_{part}'


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps a second build of the same data set out.

    A build that fails before it has anything to keep leaves no folder behind.
    """
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    others = (
        'another process is building this data set; wait until that has ended and run the same '
        'command again, or give another --data_dir'
    )
    with locked(folder, others):
        try:
            yield
        except BaseException:
            for part in folder.iterdir():
                _remove_empty(part)
            if {path.name for path in folder.iterdir()} <= {_TFDS_MARK}:
                shutil.rmtree(folder)
                for path in new[1:]:
                    _remove_empty(path)
            raise


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # It is no folder, or not empty.
        folder.rmdir()


def _directory(data: Mapping[str, Any], workdir: str | os.PathLike[str]) -> Path:
    return Path(data['dir']) if data['dir'] else Path(workdir) / 'data'


def _known(name: str, section: str = 'data') -> None:
    if name not in NAMES:
        raise UserError(f'config.{section}.name is {name!r}, expected one of {", ".join(NAMES)}')
