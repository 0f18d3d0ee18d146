"""What a data set was made from: the small files that say what is in it, written down beside it.

Pictures and videos are not among them; there may be millions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from cpad_jax import atomic, strict_json
from cpad_jax.errors import UserError

FILE = 'provenance.json'


class Made(TypedDict):
    """Where a table is, and the digest of its contents."""

    path: str
    digest: str


def describe(tables: Mapping[str, Path]) -> dict[str, Made]:
    """Reads tables as they are now.

    Args:
        tables: What each is called → a file, or a folder of them.

    Raises:
        UserError: One is not there or cannot be read.
    """
    return {name: Made(path=str(path), digest=_digest(path)) for name, path in tables.items()}


def _digest(path: Path) -> str:
    if not path.is_dir():
        return _content(path)
    # Copying tools leave hidden files behind, which are not read either.
    files = (f for f in sorted(path.iterdir()) if f.is_file() and not f.name.startswith('.'))
    listed = json.dumps({file.name: _content(file) for file in files})
    return hashlib.sha256(listed.encode()).hexdigest()


def _content(path: Path) -> str:
    try:
        with path.open('rb') as file:
            return hashlib.file_digest(file, 'sha256').hexdigest()
    except OSError as error:
        raise UserError(f'{path}: this cannot be read ({error.strerror})') from error


def write(folder: Path, made: Mapping[str, Made]) -> None:
    """Writes down, in a version's folder, what it is made from."""
    atomic.write_json(folder / FILE, dict(made))


def differences(folder: Path, now: Mapping[str, Made]) -> str:
    """What a finished version was made from, where that is not what it would be made from now.

    Args:
        folder: The version's.
        now: As `describe` gives it.

    Returns:
        In words; empty where there is no difference.
    """
    try:
        then = strict_json.read(folder / FILE)
        digests = {name: made['digest'] for name, made in then.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f'{folder / FILE} does not say from what'
    return '; '.join(
        f'{name} {_was(then.get(name))} then and {_was(now.get(name))} now'
        for name in sorted({*digests, *now})
        if digests.get(name) != (now[name]['digest'] if name in now else None)
    )


def _was(made: Made | None) -> str:
    return f'{made["path"]} ({made["digest"][:8]})' if made else 'none'
