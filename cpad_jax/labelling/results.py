"""The files of a results folder that a run may replace: those that an earlier run wrote.

A list beside them holds their names and hashes. So other files are never deleted, nor results that
were edited since.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from cpad_jax import atomic, strict_json
from cpad_jax.errors import UserError

LIST = 'written.json'
_KEY = 'sha256 of the files that label_title wrote here'
_MOST = 1 << 24  # Bytes.
# The list may come from anywhere, and must not lead out of the folder.
_NAME = re.compile(r'(?:[a-z]+/)?[A-Za-z0-9_]+\.[a-z]+')


class ResultFolder:
    """A folder of results, with the list of files that runs wrote into it."""

    def __init__(self, folder: str | os.PathLike[str]):
        """Reads the list of files that earlier runs wrote.

        Args:
            folder: The folder, which need not exist.

        Raises:
            UserError: The list is damaged or not such a list.
        """
        self.folder = Path(folder)
        self._written: dict[str, str] = {}
        path = self.folder / LIST
        if not os.path.lexists(path):
            return
        try:
            if path.stat().st_size > _MOST:
                raise ValueError('too large')
            written = strict_json.read(path, _MOST)[_KEY]
            if not all(_NAME.fullmatch(name) for name in written):
                raise ValueError('a name that is not among them')
            self._written = dict(written)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise _foreign_file(path) from error

    def check_replaceable(self, names: Iterable[str]) -> None:
        """Checks that this run replaces only files that earlier runs wrote.

        Args:
            names: Files that it may write, relative to the folder, with `/`.

        Raises:
            UserError: One of them, or of the listed files, differs from what an earlier run wrote.
        """
        for name in dict.fromkeys([*names, *self._written]):
            path = self.folder / name
            if os.path.lexists(path):
                if name not in self._written or _sha256(path) != self._written[name]:
                    raise _foreign_file(path)

    def remove(self) -> None:
        """Deletes the files that earlier runs wrote, after `check_replaceable`."""
        for name in self._written:
            (self.folder / name).unlink(missing_ok=True)
        for part in {Path(name).parent for name in self._written} - {Path()}:
            with contextlib.suppress(OSError):  # It holds other files.
                (self.folder / part).rmdir()

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yields a temporary path, as `atomic.writing`; the file is listed before it is renamed.

        Args:
            name: Relative to the folder, with `/`.
        """
        with atomic.writing(self.folder / name) as temporary:
            yield temporary
            self._written[name] = _sha256(temporary)
            # Before the file has its name: a listed file that is missing does no harm.
            atomic.write_json(self.folder / LIST, {_KEY: self._written})


def _sha256(path: Path) -> str:
    """The hash of a file, or a text that equals no hash if it is not a regular file."""
    if not path.is_file():
        return 'no file'
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def _foreign_file(path: Path) -> UserError:
    return UserError(
        f'{path}: this run would replace that file, which label_title did not write, or which '
        'was changed since; move it away, or give another folder'
    )
