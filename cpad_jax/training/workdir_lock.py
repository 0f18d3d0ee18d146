"""One training at a time in a workdir."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from cpad_jax.errors import UserError


@contextlib.contextmanager
def alone(workdir: Path) -> Iterator[None]:
    """Keeps a second training out of a workdir; the system lets go of it when the process ends.

    Args:
        workdir: The run's folder, created if need be.

    Raises:
        UserError: There is a training in it, or no such folder can be made.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        folder = os.open(workdir, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise UserError(
            f'--workdir {workdir} cannot be written to ({error.strerror}): expected a folder, or '
            'where one can be made; give another'
        ) from error
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f'{workdir}: another training runs in it; wait until that has ended, or give '
                'another --workdir'
            ) from None
        except OSError:
            pass  # A file system without locks.
        yield
    finally:
        os.close(folder)
