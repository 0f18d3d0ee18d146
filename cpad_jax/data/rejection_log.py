"""What a builder leaves out of a data set, and why: counted in full, listed in a file.

A single bad line or picture among millions does not stop a build, and does not vanish either.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from types import TracebackType
from typing import Protocol

from cpad_jax import atomic, strict_json
from cpad_jax.errors import UserError
from cpad_jax.printable import printable

LIST, GROUPS = 'rejection_log.txt', 'rejection_log.json'
# Entries that are listed of each reason; what goes beyond is counted.
LISTED = 10_000
FIRST = 3  # Entries of each reason that are printed with its count.
_ITEM = 200  # Characters of an item that are kept.


@dataclasses.dataclass
class Group:
    """What was left out for one reason.

    Attributes:
        count: How many things.
        first: The first few entries: where, and what.
        more: Whether there are others.
    """

    count: int = 0
    first: list[str] = dataclasses.field(default_factory=list)
    more: bool = False


class RejectionSink(Protocol):
    """Whoever collects what is left out."""

    def add(
        self,
        file: str | os.PathLike[str],
        line: int | None,
        reason: str,
        item: str = '',
        count: int = 1,
    ) -> None:
        """Notes something that is left out; see `RejectionLog.add`."""


class RejectionList:
    """Keeps entries as a list: for a part of a data set that another process reads."""

    def __init__(self):
        self.entries: list[tuple[str, int | None, str, str, int]] = []

    def add(
        self,
        file: str | os.PathLike[str],
        line: int | None,
        reason: str,
        item: str = '',
        count: int = 1,
    ) -> None:
        """As `RejectionLog.add`."""
        self.entries.append((os.fspath(file), line, reason, item[:_ITEM], count))


class RejectionLog:
    """Collects (file, line, reason, item); the list goes straight to a file, memory holds counts.

    A context manager. `FOLDER/rejection_log.txt` grows as entries come,
    `FOLDER/rejection_log.json` is written when the block ends well: a folder that has it was
    finished.
    """

    def __init__(self, folder: str | os.PathLike[str], listed: int = LISTED):
        """Begins an empty list.

        Args:
            folder: Where the two files go: the one that TFDS renames when the build has succeeded.
            listed: How many entries of each reason are listed, >= 0.
        """
        self._folder = Path(folder)
        self._listed = listed
        self._file = (self._folder / LIST).open('w', encoding='utf-8')
        self._groups: dict[str, Group] = {}

    def add(
        self,
        file: str | os.PathLike[str],
        line: int | None,
        reason: str,
        item: str = '',
        count: int = 1,
    ) -> None:
        """Notes something that is left out.

        Args:
            file: The file or archive it is in.
            line: Number of the line, from 1; None where there are none.
            reason: One of a few fixed phrases, such as 'not a JPEG picture': entries are counted by
                it, so names and numbers belong into `item`.
            item: What it is, such as the name of a picture. It may come from the data.
            count: How many things the entry stands for.
        """
        group = self._groups.setdefault(reason, Group())
        before = group.count
        group.count += count
        if before >= self._listed:
            group.more = True
            return
        where = os.fspath(file) if line is None else f'{os.fspath(file)}:{line}'
        what = f': {item[:_ITEM]}' if item else ''
        self._file.write(printable(f'{where}: {reason}{what}') + '\n')
        if len(group.first) < FIRST:
            group.first.append(printable(f'{where}{what}'))
        else:
            group.more = True

    def groups(self) -> dict[str, Group]:
        """Reason → what was left out for it, the most frequent first."""
        return dict(sorted(self._groups.items(), key=lambda item: -item[1].count))

    def __enter__(self) -> RejectionLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            for reason, group in self.groups().items():
                if group.count > self._listed:
                    self._file.write(f'… and others, {group.count} in all: {reason}\n')
        self._file.close()
        if kind is None:
            groups = {reason: dataclasses.asdict(group) for reason, group in self.groups().items()}
            atomic.write_json(self._folder / GROUPS, groups)


def read_groups(folder: str | os.PathLike[str]) -> dict[str, Group]:
    """What was set aside when a version's folder was built, as `RejectionLog.groups`."""
    path = Path(folder) / GROUPS
    try:
        groups = strict_json.read(path) if path.is_file() else {}
        return {reason: Group(**group) for reason, group in groups.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f'{path} is damaged ({error}): delete {path.parent} to build that again'
        ) from error
