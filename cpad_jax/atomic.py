"""Files that are either whole or not there: written under a temporary name, then renamed.

Links are followed, and what is no file (a device, a pipe, a file descriptor such as /dev/stdout) is
written into and never replaced.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import stat
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cpad_jax.locks import try_lock

# File systems allow names of 255 bytes, encrypted ones of 143.
_LONGEST_TAIL = 100
_PARTIAL = re.compile(r'\.[0-9a-f]{8}\.partial-.')
# Where each file descriptor of a process is a link to what it leads to.
_DESCRIPTORS = re.compile(r'/proc/(self|thread-self|\d+)(/task/\d+)?/fd')
_MOST_LINKS = 40
# Folders that this process has swept.
_swept: set[str] = set()


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a temporary file, which becomes `path` when the block ends well.

    Args:
        path: The file to appear. One that is there is replaced, and its permissions are kept; a
            link stays, and the file that it leads to is replaced; a device, a pipe or a file
            descriptor gets what was written.

    Yields:
        An empty file to write to, with the same suffix. It is removed when the block raises.

    Raises:
        OSError: It is a folder, or the system refuses.
    """
    target = _target(Path(path))
    if target is None:
        with tempfile.TemporaryDirectory() as folder:
            temporary = Path(folder) / temporary_name(Path(path), 'partial')
            temporary.touch()
            try:
                yield temporary
                _pour(temporary, Path(path))
            except OSError as error:
                name_as_given(error, temporary, Path(path))
                raise
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    sweep(target.parent)
    temporary, lock = _locked_file(target)
    try:
        yield temporary
        keep_permissions(target, temporary)
        os.replace(temporary, target)
    except OSError as error:
        name_as_given(error, temporary, Path(path))
        raise
    finally:
        temporary.unlink(missing_ok=True)
        os.close(lock)


def check(path: str | os.PathLike[str]) -> None:
    """Makes sure, before long work, that a file can be written when it ends; leaves nothing behind.

    Args:
        path: The file to appear. Folders above it that are not there can be made, too.

    Raises:
        OSError: It cannot be written.
    """
    target = _target(Path(path))
    if target is None:
        number = _own_descriptor(Path(path))
        if number is None:
            allowed = os.access(path, os.W_OK)
        else:
            allowed = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
        if not allowed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return
    folder = target.parent
    # A link that leads nowhere is there: no folder can be made in its place.
    while not os.path.lexists(folder):
        folder = folder.parent
    if len(os.fsencode(target.name)) > os.pathconf(folder, 'PC_NAME_MAX'):
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), str(path))
    # Permissions alone do not tell: the file system may be full, or read-only for all.
    probe = folder / temporary_name(target, 'partial')
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


def is_stdout(path: str | os.PathLike[str]) -> bool:
    """Whether what is written to `path` goes where this process prints."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(1))
    except OSError:
        return False


def remove(path: str | os.PathLike[str]) -> None:
    """Removes what `writing` put there, if anything; a link, a device or a pipe stays."""
    target = _target(Path(path))
    if target is not None:
        target.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes `data` to `path`, whole or not at all."""
    with writing(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Writes `value` as indented JSON to `path`, whole or not at all.

    Bytes of a file name that are not UTF-8 become escapes, which `json.loads` and `os.fsencode`
    turn into those bytes again.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False) + '\n'
    write_bytes(path, text.encode('utf-8', 'backslashreplace'))


def temporary_name(path: Path, kind: str) -> str:
    """A new name that says what it is of, with the suffix of `path` and not too long for a disk."""
    tail = os.fsencode(path.name)[-_LONGEST_TAIL:]
    # No letter is cut in two.
    while len(tail) < len(os.fsencode(path.name)) and 0x80 <= tail[0] < 0xC0:
        tail = tail[1:]
    return f'.{uuid.uuid4().hex[:8]}.{kind}-{os.fsdecode(tail)}'


def keep_permissions(there: Path, new: Path) -> None:
    """Gives `new` the permissions, and as far as that is allowed the owner, of what it replaces."""
    with contextlib.suppress(FileNotFoundError):
        before = there.stat()
        made = new.stat()
        if (made.st_uid, made.st_gid) != (before.st_uid, before.st_gid):
            with contextlib.suppress(OSError):
                os.chown(new, before.st_uid, before.st_gid)
        new.chmod(stat.S_IMODE(before.st_mode))


def name_as_given(error: OSError, temporary: Path, path: Path) -> None:
    """Makes an error name the file that the user knows; what a full disk refuses has no name."""
    name = error.filename if isinstance(error.filename, str) else str(path)
    error.filename = name.replace(str(temporary), str(path))
    del error.filename2


def sweep(folder: Path) -> None:
    """Removes what killed processes left of `writing` in a folder; looks once per process."""
    real = os.path.realpath(folder)
    if real in _swept:
        return
    _swept.add(real)
    with os.scandir(real) as entries:
        left = [Path(entry.path) for entry in entries if _PARTIAL.match(entry.name)]
    for path in left:
        # Whoever is at work has it locked.
        if (held := try_lock(path)) is None:
            continue
        with contextlib.suppress(OSError):
            if stat.S_ISDIR(os.fstat(held).st_mode):
                shutil.rmtree(path)
            else:
                path.unlink()
        os.close(held)


def _locked_file(target: Path) -> tuple[Path, int]:
    """A new empty file beside `target`, and what holds its lock."""
    while True:
        path = target.with_name(temporary_name(target, 'partial'))
        path.touch(exist_ok=False)
        if (held := try_lock(path)) is not None:
            return path, held
        if path.exists():  # This file system knows no locks.
            return path, os.open(path, os.O_RDONLY)


def _target(path: Path) -> Path | None:
    """The file to replace, at the end of all links; None for what must be written into.

    Raises:
        OSError: It is a folder, or its links lead to themselves.
    """
    for _ in range(_MOST_LINKS):
        folder = os.path.realpath(path.parent)
        if _DESCRIPTORS.fullmatch(folder):
            return None
        if not path.is_symlink():
            break
        path = Path(folder, os.readlink(path))
    else:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return path
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return path if stat.S_ISREG(mode) else None


def _own_descriptor(path: Path) -> int | None:
    """The number of the file descriptor of this process that a path such as /dev/stdout names."""
    for _ in range(_MOST_LINKS):
        folder = os.path.realpath(path.parent)
        if _DESCRIPTORS.fullmatch(folder):
            own = folder.startswith(f'/proc/{os.getpid()}/') and path.name.isdigit()
            return int(path.name) if own else None
        if not path.is_symlink():
            break
        path = Path(folder, os.readlink(path))
    return None


def _pour(source: Path, path: Path) -> None:
    """Writes a file into what is no file."""
    number = _own_descriptor(path)
    if number is None:
        target = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY)
    else:
        # Opened anew, a file would be written from its beginning.
        if sys.stdout is not None:
            sys.stdout.flush()
        target = os.dup(number)
    with source.open('rb') as file, open(target, 'wb') as to:
        shutil.copyfileobj(file, to)
