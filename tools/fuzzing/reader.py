"""What is damaged and read: a reader of the project, and the whole files that it begins with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple


class Reader(NamedTuple):
    """A reader of the project.

    Attributes:
        name: As the command line and the table call it.
        make: Writes whole files into an empty folder, and gives the names of those to damage, one
            at a time.
        read: Reads the folder, in which the file of that name is damaged.
        text: Whether the files are text.
    """

    name: str
    make: Callable[[Path], Sequence[str]]
    read: Callable[[Path, str], object]
    text: bool


class Ignored:
    """Takes notes of what readers leave out, and forgets them."""

    def add(self, *_, **__) -> None:
        """See `cpad_jax.data.rejection_log.RejectionLog.add`."""


def below(folder: Path, *patterns: str) -> list[str]:
    """The files of a folder at any depth that match, as `Reader.make` gives them."""
    found = {file for pattern in patterns for file in folder.rglob(pattern) if file.is_file()}
    return sorted(str(file.relative_to(folder)) for file in found)
