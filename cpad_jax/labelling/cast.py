"""The cast list of a title: its people and the names of their characters."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from cpad_jax.data import csv_lists
from cpad_jax.errors import UserError
from cpad_jax.text import person_names

_MOST = 1 << 22  # Bytes: a cast list of a hundred thousand people is not one.


@dataclasses.dataclass(frozen=True)
class CastMember:
    """A person of the cast.

    Attributes:
        person_id: Key of the person, unique in the list, where case and accents do not count.
        name: Name in queries; unique likewise.
        character: Their name in the dialogue if it differs, or ''.
    """

    person_id: str
    name: str
    character: str = ''


def read_cast(path: str | os.PathLike[str]) -> list[CastMember]:
    """Reads a cast list: a CSV file with a header of `name` and perhaps `person_id`, `character`.

    Args:
        path: The file, UTF-8. Without `person_id`, the name is used.

    Raises:
        UserError: There is no such file, or a line is not as expected; names line and column.
    """
    path = Path(path)
    members: list[CastMember] = []
    keys: dict[str, tuple[CastMember, int]] = {}
    rows = csv_lists.read_rows(path, 'cast list', _MOST, ('name',), ('person_id', 'character'))
    for line, row in rows:
        where = f'{path}:{line}'
        if not row['name']:
            raise UserError(f'{where}: the name is missing')
        members.append(
            CastMember(row.get('person_id') or row['name'], row['name'], row.get('character', ''))
        )
        # Folders of photos and corrections may use either.
        for key in {members[-1].name, members[-1].person_id}:
            if not person_names.key(key):
                raise UserError(f'{where}: {key!r} has neither letters nor figures')
            other, earlier = keys.setdefault(person_names.key(key), (members[-1], line))
            if other is not members[-1]:
                raise UserError(
                    f'{where}: {key!r} is in line {earlier} already, as {other.name!r}; no two '
                    'people may share a name or person_id (capitals and accents do not count)'
                )
    if not members:
        raise UserError(f'{path}: the cast list is empty; write one line per person')
    return members
