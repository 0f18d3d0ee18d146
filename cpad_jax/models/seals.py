"""Digests in the `config.json` of a folder of weights: damage to it, or to the files, is noticed.

Two of its keys are ours: `files`, the sha256 of each file beside it, and `sha256`, of all the rest
of it. Folders without them, made earlier or by others, are read as they are.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cpad_jax import atomic, digests, strict_json
from cpad_jax.errors import UserError

_FILES = 'files'


def file_sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def write(config: Path, values: Mapping[str, Any], *names: str) -> None:
    """Writes a `config.json` with digests.

    Args:
        config: The file.
        values: What it says.
        names: The files beside it that it vouches for; they are there already.
    """
    files = {name: file_sha256(config.with_name(name)) for name in names}
    # As JSON reads them back: without tuples.
    values = json.loads(json.dumps({**values, _FILES: files}))
    atomic.write_json(config, digests.sealed(values))


def bare(values: Mapping[str, Any]) -> dict[str, Any]:
    """What a `config.json` says, without the keys that are ours."""
    return {key: value for key, value in values.items() if key not in (_FILES, digests.KEY)}


def check(config: Path, values: Mapping[str, Any]) -> None:
    """Makes sure that a `config.json` is as it was written, where it can tell.

    Args:
        config: The file, for the message.
        values: What was read from it.

    Raises:
        UserError: It is not.
    """
    if digests.KEY in values or _FILES in values:
        try:
            digests.opened(values)
            if not all(map(_is_beside, values[_FILES].items())):
                raise ValueError
        except (ValueError, KeyError, AttributeError):
            raise UserError(
                f'{config} is damaged, or was changed by hand: copy or export the folder again, or '
                f'take "{_FILES}" and "{digests.KEY}" out of it if you changed it'
            ) from None


def _is_beside(entry: tuple[Any, Any]) -> bool:
    """Whether this is the name of a file in the same folder, with a digest."""
    return all(type(text) is str for text in entry) and Path(entry[0]).name == entry[0]


def add(config: Path, name: str) -> None:
    """Lets a `config.json` vouch for one file more, which is beside it already."""
    values = strict_json.read(config)
    files = {**values[_FILES], name: file_sha256(config.with_name(name))}
    atomic.write_json(config, digests.sealed({**bare(values), _FILES: files}))


def written_sha256(config: Path, name: str) -> str:
    """The sha256 of a file beside a `config.json`, as this has it."""
    return strict_json.read(config)[_FILES][name]


def checked_sha256(config: Path, values: Mapping[str, Any], name: str) -> str:
    """The sha256 of the file `name` beside a `config.json`; all that this vouches for is checked.

    Args:
        config: The file.
        values: What was read from it, and `check` has passed.
        name: A file beside it.

    Raises:
        UserError: A file is not as it was written.
    """
    files = values.get(_FILES, {})
    actual = {each: _sha256(config.with_name(each)) for each in {name, *files}}
    for each, sha256 in files.items():
        if actual[each] != sha256:
            raise UserError(
                f'{config.with_name(each)} is damaged: its sha256 is {actual[each][:12]}…, and '
                f'{sha256[:12]}… was written; copy, convert or export the folder again'
            )
    return actual[name]


def _sha256(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, 'it is no file')
        return file_sha256(path)
    except OSError as error:
        raise UserError(f'{path} cannot be read ({error.strerror})') from error
