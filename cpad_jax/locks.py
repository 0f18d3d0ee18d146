"""Locks on files and folders: one process at a time, and none that outlives its process."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from cpad_jax.errors import UserError


@contextlib.contextmanager
def locked(folder: Path, others: str = '', wait: bool = False) -> Iterator[None]:
    """Keeps other processes out of a folder; on a file system without locks, it does nothing.

    Args:
        folder: Created if need be.
        others: What to say when another process has it, and what to do then.
        wait: Whether to wait until the other process has ended, rather than raise.

    Raises:
        UserError: Another process has it, or there can be no such folder.
    """
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise UserError(
                f'{folder} cannot be written to ({error.strerror}): expected a folder, or where '
                'one can be made; give another'
            ) from error
        try:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                raise UserError(f'{folder}: {others}') from None
            except OSError:
                pass
            if not _is_there(opened, folder):
                continue
            yield
            return
        finally:
            os.close(opened)


def try_lock(path: Path) -> int | None:
    """Locks a file or folder that is there, until what is returned is closed or the process ends.

    Returns:
        A file descriptor; None if another process has it, or the file system has no locks.
    """
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_there(opened, path):
            return opened
    except OSError:
        pass
    os.close(opened)
    return None


def _is_there(opened: int, path: Path) -> bool:
    """Whether a path still leads to what was opened: whoever had it may have removed it."""
    try:
        return os.path.samestat(os.fstat(opened), os.stat(path))
    except FileNotFoundError:
        return False
