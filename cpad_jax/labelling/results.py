"""The files of a folder of results that a run may replace: those that an earlier run wrote there.

A list beside them says which they are and what was in them. So files of anybody else are never
taken away, nor results that were put right by hand since.
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


class Results:
    """What runs wrote into a folder, and what this one writes."""

    def __init__(self, folder: str | os.PathLike[str]):
        """Reads what earlier runs wrote.

        Args:
            folder: Need not be there.

        Raises:
            UserError: The list is no such list.
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
            raise _strange(path) from error

    def refuse_others(self, names: Iterable[str]) -> None:
        """Makes sure that nothing but what earlier runs wrote stands where this one writes.

        Args:
            names: What it may write, relative to the folder, with `/`.

        Raises:
            UserError: One of them, or of what was written, is not as an earlier run left it.
        """
        for name in dict.fromkeys([*names, *self._written]):
            path = self.folder / name
            if os.path.lexists(path):
                if name not in self._written or _sha256(path) != self._written[name]:
                    raise _strange(path)

    def remove(self) -> None:
        """Takes away what earlier runs wrote, which `refuse_others` has looked at."""
        for name in self._written:
            (self.folder / name).unlink(missing_ok=True)
        for part in {Path(name).parent for name in self._written} - {Path()}:
            with contextlib.suppress(OSError):  # Somebody's own files are in it.
                (self.folder / part).rmdir()

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Gives a temporary name to write to, as `atomic.writing`; the file is listed, then there.

        Args:
            name: Relative to the folder, with `/`.
        """
        with atomic.writing(self.folder / name) as temporary:
            yield temporary
            self._written[name] = _sha256(temporary)
            # Before the file has its name: one that is listed and not there does no harm.
            atomic.write_json(self.folder / LIST, {_KEY: self._written})


def _sha256(path: Path) -> str:
    """The hash of a file; of what is none, nothing that could be listed."""
    if not path.is_file():
        return 'no file'
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def _strange(path: Path) -> UserError:
    return UserError(
        f'{path}: this run would replace that file, which label_title did not write, or somebody '
        'has changed since; move it away, or give another folder'
    )
