"""What a built data set is: where it lies, who is in it, and the TFDS builder that writes it."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.util
import io
import sys
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import Any, TypedDict

from cpad_jax import companions, digests, strict_json
from cpad_jax.errors import UserError
from cpad_jax.locks import locked

PEOPLE = 'people.json'
_DIGESTS = 'sha256.json'
_LARGEST_TABLE = 256 << 20  # Bytes: of a million people and more.


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


_KINDS = {'person_id': str, 'name': str, 'gender': str, 'seen': bool, 'identity': int}


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
                'another one as config.data.name, or as config.eval.data.name to evaluate on it'
            )
        return self.parts[kind]

    def read_people(self) -> list[PersonEntry]:
        """Everybody, in the order of `identity`.

        Raises:
            UserError: The table is damaged.
        """
        return read_people(self.people)


def read_people(path: Path) -> list[PersonEntry]:
    """Reads a table of people.

    Raises:
        UserError: It is damaged.
    """
    try:
        return _people(strict_json.read(path, _LARGEST_TABLE))
    except (OSError, ValueError) as error:
        raise UserError(
            f'{path} is damaged ({error}): delete {path.parent} to build that again'
        ) from error


def _people(people: Any) -> list[PersonEntry]:
    if not isinstance(people, list):
        raise ValueError('it is no list of people')
    for number, entry in enumerate(people):
        if not isinstance(entry, dict):
            raise ValueError(f'entry {number} is no person')
        for key, kind in _KINDS.items():
            if type(entry.get(key)) is not kind:
                raise ValueError(f'entry {number} has no {key} that is {kind.__name__}')
    if len({entry['identity'] for entry in people}) != len(people):
        raise ValueError('two people have one identity')
    return people


def is_complete(part: Path) -> bool:
    """Whether a version's folder was built to its end."""
    # TFDS renames the folder into place when everything in it is written.
    return (part / 'dataset_info.json').is_file()


def check_writable(folder: Path) -> None:
    """Makes sure, before any work, that a data set can be written to a folder, there or not.

    Raises:
        UserError: It is no folder, or cannot be written to.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise UserError(f'{there}: this is a file, expected a folder to write data to')
    try:
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        raise UserError(
            f'{there}: this folder cannot be written to ({error.strerror}); give another one for '
            'the data'
        ) from error


def drawn_alone(folder: Path) -> AbstractContextManager[None]:
    """Keeps a second process from drawing into a folder, which many workdirs may share.

    Args:
        folder: Of a drawn data set, see `locks.locked`.
    """
    return locked(
        folder,
        'another process draws this data set; wait until that has ended and run the same command '
        'again, or give another folder for the data',
    )


def builder_module(name: str) -> ModuleType:
    """Loads `datasets/NAME/NAME_dataset_builder.py`, which imports TFDS.

    By its path and not by import, because `datasets` is the name of another well-known package.

    Raises:
        UserError: The file is missing.
    """
    path = companions.folder('datasets') / name / f'{name}_dataset_builder.py'
    if not path.is_file():
        raise UserError(
            f'{path}: the code that builds {name} is not there; install the package again, or '
            'clone the repository and run from there'
        )
    if path.stem in sys.modules:
        return sys.modules[path.stem]  # TFDS registers a builder once.
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def open_builder(name: str, part: str, directory: Path, options: Mapping[str, Any]) -> Any:
    """Makes the TFDS builder of a data set; nothing is written yet.

    Args:
        name: The data set.
        part: Which of its parts.
        directory: Folder of data sets.
        options: Taken by the data set's builder.

    Raises:
        UserError: The package was installed without its repository.
    """
    module = builder_module(name)
    import tensorflow as tf

    # TensorFlow writes files here; it must not take the accelerator's memory from JAX.
    with contextlib.suppress(RuntimeError):
        tf.config.set_visible_devices([], 'GPU')
    return module.Builder(data_dir=directory, config=part, file_format='array_record', **options)


def download_and_prepare(
    builder: Any, manual_dir: Path | None = None, beam_options: str = ''
) -> None:
    """Runs the builder of a data set.

    Args:
        builder: As `open_builder` gives it.
        manual_dir: The user's files, where it is built of any.
        beam_options: For a build by Apache Beam, its options as `runner=DirectRunner,…`.

    Raises:
        UserError: Apache Beam is missing, or as the builder does.
    """
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()  # Ours counts clips and photos.
    config = tfds.download.DownloadConfig(
        manual_dir=manual_dir, beam_options=_beam_options(beam_options)
    )
    # TFDS announces downloads on stdout and makes a folder for them; there are none.
    with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as nothing:
        builder.download_and_prepare(download_dir=nothing, download_config=config)
    _write_digests(Path(builder.data_dir))


def _write_digests(version: Path) -> None:
    """Writes down the digests of all but the records, which have checksums of their own."""
    files = [file for file in version.iterdir() if file.is_file() and not _is_records(file)]
    digests.write(version / _DIGESTS, {file.name: _sha256(file) for file in files})


def check_digests(version: Path) -> None:
    """Makes sure that what describes the records of a version's folder is as it was written.

    Raises:
        UserError: It is not. A folder from before there were digests passes.
    """
    if not (version / _DIGESTS).is_file():
        return
    try:
        for name, sha256 in digests.read(version / _DIGESTS).items():
            if _sha256(version / name) != sha256:
                raise ValueError(f'{name} is not what was written')
    except (OSError, ValueError) as error:
        raise UserError(
            f'{version}: this data set is damaged ({error}): delete that folder to build it again'
        ) from error


def _is_records(file: Path) -> bool:
    return '.array_record' in file.name


def _sha256(path: Path) -> str:
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


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
