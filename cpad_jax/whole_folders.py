"""Folders that appear whole or not at all, and that replace nothing but such folders."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from cpad_jax import atomic, strict_json
from cpad_jax.errors import UserError
from cpad_jax.locks import try_lock

# Lists what is in a folder: only one that is as it was written is ever replaced.
LIST = '.cpad_jax.json'
_KEY = 'written_by_cpad_jax'
# Larger files are known by their size.
_HASHED = 1 << 20
_LONGEST_LIST = 1 << 20


def check(path: str | os.PathLike[str], option: str = '', source: Path | None = None) -> None:
    """Makes sure that `writing` may put a folder there.

    Args:
        path: The folder to appear.
        option: What gave it, for the error, such as '--out'.
        source: What is read to make it, if anything.

    Raises:
        UserError: Something else is there, or `source` is.
    """
    path = Path(path)
    said = f'{option} {path}'.strip()
    real = os.path.realpath(path)
    if source is not None and os.path.exists(source):
        read = os.path.realpath(source)
        if os.path.commonpath([real, read]) == real:
            raise UserError(
                f'{said}: something else is there, {source}, which is read; name a new folder'
            )
    if not os.path.lexists(path):
        return
    if not os.path.isdir(path):
        raise UserError(f'{said}: something else is there, and no folder; name a new folder')
    if why := _not_ours(path):
        raise UserError(f'{said}: something else is there ({why}); name a new folder')


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a new folder, which becomes `path` when the block ends well.

    Args:
        path: The folder to appear. An empty one, or one that was written here and has not been
            changed since, is replaced: it is set aside until the new one stands. A link stays.

    Yields:
        An empty folder beside `path`. It is removed when the block raises.

    Raises:
        UserError: Something else is there.
    """
    check(path)
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    atomic.sweep(target.parent)
    _settle(target)
    temporary = target.with_name(atomic.temporary_name(target, 'partial'))
    temporary.mkdir()
    lock = try_lock(temporary)
    try:
        yield temporary
        _list(temporary)
        check(path)
        _replace(temporary, target)
    except OSError as error:
        atomic.name_as_given(error, temporary, Path(path))
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _replace(new: Path, target: Path) -> None:
    if not target.exists():
        os.replace(new, target)
        return
    atomic.keep_permissions(target, new)
    before = target.with_name(atomic.temporary_name(target, 'before'))
    lock = try_lock(target)
    try:
        os.replace(target, before)
        try:
            os.replace(new, target)
        except BaseException:
            os.replace(before, target)
            raise
        shutil.rmtree(before)
    finally:
        if lock is not None:
            os.close(lock)


def _settle(target: Path) -> None:
    """Ends what a killed process began: the folder that it set aside is put back, or removed."""
    tail = atomic.temporary_name(target, 'before')[9:]
    name = re.compile(r'\.[0-9a-f]{8}' + re.escape(tail))
    for left in [path for path in target.parent.iterdir() if name.fullmatch(path.name)]:
        lock = try_lock(left)
        if lock is None:
            continue
        if not target.exists():
            os.replace(left, target)
        elif not _not_ours(left):
            shutil.rmtree(left)
        os.close(lock)


def _list(folder: Path) -> None:
    """Lists what a folder holds."""
    atomic.write_json(folder / LIST, {_KEY: _contents(folder)})


def _contents(folder: Path) -> dict[str, list[int | str]]:
    """Name of each file in a folder, at any depth → its size, and what it holds if it is small."""
    held: dict[str, list[int | str]] = {}
    for path in sorted(folder.rglob('*')):
        name = path.relative_to(folder).as_posix()
        if name == LIST or (path.is_dir() and not path.is_symlink()):
            continue
        if path.is_symlink() or not path.is_file():
            raise OSError(errno.EINVAL, 'not a plain file', str(path))
        size = path.stat().st_size
        digest = [hashlib.sha256(path.read_bytes()).hexdigest()] if size <= _HASHED else []
        held[name] = [size, *digest]
    return held


def _not_ours(folder: Path) -> str:
    """Why a folder is not as `writing` left it; '' if it is, or if it is empty."""
    if not any(folder.iterdir()):
        return ''
    path = folder / LIST
    try:
        if path.is_symlink() or path.stat().st_size > _LONGEST_LIST:
            raise ValueError
        listed = strict_json.read(path)[_KEY]
        there = _contents(folder)
    except FileNotFoundError:
        return f'no {LIST} says that this program wrote it'
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return 'what is there was not written by this program alone'
    if there.keys() - listed.keys():
        return f'{min(there.keys() - listed.keys())} was put there since'
    if listed != there:
        return 'it was changed since it was written'
    return ''
