"""The cast list of a title: who may be in it, and what they are called."""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import re
import unicodedata
from pathlib import Path

from cpad_jax.errors import UserError

_COLUMNS = ('name', 'person_id', 'character')
_MOST = 1 << 22  # Bytes: a cast list of a hundred thousand people is not one.


@dataclasses.dataclass(frozen=True)
class CastMember:
    """Somebody who may be in the title.

    Attributes:
        person_id: Key of the person, unique in the list, where case and accents do not count.
        name: As queries say it; unique like that.
        character: What they are called in the dialogue where that is another name, or ''.
    """

    person_id: str
    name: str
    character: str = ''


def read_cast(path: str | os.PathLike[str]) -> list[CastMember]:
    """Reads a cast list: a CSV file with a header of `name` and perhaps `person_id`, `character`.

    Args:
        path: The file, UTF-8. Where there is no `person_id`, the name serves.

    Raises:
        UserError: There is no such file, or a line is not as expected; names line and column.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f'{path}: there is no such cast list; expected a CSV file with {_COLUMNS}')
    if path.stat().st_size > _MOST:
        raise UserError(f'{path}: {path.stat().st_size} bytes are no cast list')
    try:
        text = path.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise UserError(f'{path}: this is not UTF-8 text ({error}); save it as UTF-8') from error
    rows = csv.reader(io.StringIO(text, newline=''), skipinitialspace=True)
    members: list[CastMember] = []
    called: dict[str, CastMember] = {}
    header: list[str] = []
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            where = f'{path}:{rows.line_num}'
            if not header:
                header = _header(cells, where)
                continue
            if len(cells) != len(header):
                raise UserError(f'{where}: {len(cells)} cells, expected {", ".join(header)}')
            values = dict(zip(header, cells, strict=True))
            if not values['name']:
                raise UserError(f'{where}: the name is missing')
            members.append(
                CastMember(
                    values.get('person_id') or values['name'],
                    values['name'],
                    values.get('character', ''),
                )
            )
            # As folders of photos and corrections may call them by either.
            for key in {members[-1].name, members[-1].person_id}:
                if not plain(key):
                    raise UserError(f'{where}: {key!r} has neither letters nor figures')
                other = called.setdefault(plain(key), members[-1])
                if other is not members[-1]:
                    raise UserError(f'{where}: {key!r} stands for {other.name!r} already')
    except csv.Error as error:
        raise UserError(f'{path}:{rows.line_num}: this is not CSV ({error})') from error
    if not members:
        raise UserError(f'{path}: the cast list is empty; expected a header with {_COLUMNS}')
    return members


def _header(cells: list[str], where: str) -> list[str]:
    header = [cell.casefold() for cell in cells]
    if 'name' not in header or len(set(header)) != len(header) or set(header) - set(_COLUMNS):
        raise UserError(f'{where}: the header is {cells}, expected name and perhaps {_COLUMNS[1:]}')
    return header


def plain(text: str) -> str:
    """A name as it is compared: small letters without accents, `_` and the like as one space."""
    letters = unicodedata.normalize('NFKD', text.casefold())
    letters = ''.join(letter for letter in letters if not unicodedata.combining(letter))
    return ' '.join(re.findall(r'\w+', letters.replace('_', ' ')))
