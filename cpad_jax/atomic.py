"""Files that are either whole or not there: written under a temporary name, then renamed."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a temporary name beside `path`; renames it to `path` when the block ends well.

    Args:
        path: The file or folder to appear. A file that is there already is replaced.

    Yields:
        A path on the same file system to write to, with the same suffix. Whatever stands there is
        removed when the block raises.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(_temporary_name(path))
    try:
        yield temporary
        if temporary.is_dir() and path.is_dir():
            shutil.rmtree(path)
        os.replace(temporary, path)
    except OSError as error:
        # The file that the user knows; what a full disk refuses comes without any name.
        name = error.filename if isinstance(error.filename, str) else str(path)
        error.filename = name.replace(str(temporary), str(path))
        del error.filename2
        raise
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def check(path: str | os.PathLike[str]) -> None:
    """Makes sure, before long work, that a file can be written when it ends; leaves nothing behind.

    Args:
        path: The file to appear. Folders above it that are not there can be made, too.

    Raises:
        OSError: It cannot be written.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    folder = path.parent
    # A link that leads nowhere is there: no folder can be made in its place.
    while not os.path.lexists(folder):
        folder = folder.parent
    # Permissions alone do not tell: the file system may be full, or let nobody write.
    probe = folder / _temporary_name(path)
    try:
        probe.write_bytes(b'\0')
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def same_file(first: str | os.PathLike[str], second: str | os.PathLike[str]) -> bool:
    """Whether two paths lead to one file, by whatever spelling or links; it need not be there."""
    try:
        return os.path.samefile(first, second)
    except OSError:
        return os.path.realpath(first) == os.path.realpath(second)


def _temporary_name(path: Path) -> str:
    return f'.{uuid.uuid4().hex[:8]}.partial-{path.name}'


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes `data` to `path`, whole or not at all."""
    with writing(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Writes `value` as indented JSON to `path`, whole or not at all."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False) + '\n').encode())
