"""The tables of VGGFace2: who is in it, where faces are, and which pictures belong to a split.

Copies differ in encoding, separator, quotes, order of columns, and in whether there is a header.
Rows that cannot be read are set aside one by one with their file and line.
"""

from __future__ import annotations

import array
import bisect
import dataclasses
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from cpad_jax.data import text_lines
from cpad_jax.data.built_dataset import PersonEntry
from cpad_jax.data.rejection_log import RejectionSink
from cpad_jax.errors import UserError

META = 'identity_meta.csv'
BOX = ('x', 'y', 'w', 'h')
LANDMARKS = tuple(f'p{point}{axis}' for point in range(1, 6) for axis in 'xy')

_PEOPLE_COLUMNS = ('classid', 'name', 'samplenum', 'flag', 'gender')
_OTHER_NAMES = {
    'identity': 'classid', 'identityid': 'classid', 'personid': 'classid', 'id': 'classid',
    'identityname': 'name', 'personname': 'name', 'fullname': 'name', 'samples': 'samplenum',
    'sex': 'gender', 'imageid': 'nameid', 'image': 'nameid', 'file': 'nameid',
    'filename': 'nameid', 'width': 'w', 'height': 'h',
}  # fmt: skip
_SEPARATORS = ',;\t|'
_MOST_CELLS = 1000
_ID = re.compile(r'n\d{6}')
# What cells of identity_meta.csv hold; those of other columns hold anything.
_CELLS = {
    'classid': _ID,
    'samplenum': re.compile(r'\d+(?:\.0*)?'),
    'flag': re.compile(r'[01](?:\.0*)?'),
    'gender': re.compile(r'[a-zA-Z]*'),
}
_GENDERS = {'f': 'woman', 'w': 'woman', 'm': 'man'}
_NAME_ID = re.compile(r'n(\d{6})/(\d{4,6})_(\d{2,4})')
_PICTURE = re.compile(r'(?:^|.*/)(n\d{6}/[^/]+?)\.(?:jpe?g|png)', re.IGNORECASE)

lines = text_lines.read_any


@dataclasses.dataclass(frozen=True)
class Columns:
    """The columns of a table.

    Attributes:
        separator: What stands between cells.
        names: In order, in lower case and without anything but letters and digits.
    """

    separator: str
    names: tuple[str, ...]


def header(line: str) -> Columns | None:
    """The columns that a table's first line names; None where it is a row."""
    if _ID.search(line):
        return None
    separator = max(_SEPARATORS, key=line.count)
    names = [re.sub('[^a-z0-9]', '', cell.lower()) for cell in line.split(separator)]
    while names and not names[-1]:
        names.pop()
    return Columns(separator, tuple(_OTHER_NAMES.get(name, name) for name in names))


def kind(first: Iterable[str]) -> str | None:
    """What a table is, by its first line: 'meta', 'boxes' or 'landmarks'; None for another."""
    first = list(first)
    names = set(columns.names) if first and (columns := header(first[0])) else set()
    for found, needed in (
        ('meta', {'classid', 'name'}),
        ('boxes', {'nameid', *BOX}),
        ('landmarks', {'nameid', *LANDMARKS}),
    ):
        if needed <= names:
            return found
    if names or not first:
        return None
    if _person(first[0], _without_header(first[0])):
        return 'meta'
    name, *cells = first[0].rstrip(' ,;').split(_separator(first[0]))
    numbers = _floats(cells)
    if key(_without_ending(name)) is not None and numbers is not None:
        return {4: 'boxes', 10: 'landmarks'}.get(len(numbers))
    return None


def read_people(path: Path, aside: RejectionSink) -> list[PersonEntry]:
    """The table of people that identity_meta.csv holds, in its order.

    Args:
        path: Rows `Class_ID, Name, Sample_Num, Flag, Gender`, or as its header says; Flag 1 is the
            training split.
        aside: Gets rows that cannot be read, and second rows about a person.

    Returns:
        Everybody; `seen` says who belongs to the training split.

    Raises:
        UserError: The header lacks a column that is needed, or there is no row about a person.
    """
    people: dict[str, PersonEntry] = {}
    columns: Columns | None = None
    for number, line in lines(path):
        if columns is None:
            columns = header(line)
            if columns and set(columns.names) & set(_PEOPLE_COLUMNS):
                if lacking := [c for c in ('classid', 'name', 'flag') if c not in columns.names]:
                    raise UserError(
                        f'{path}:{number}: there is no column {", ".join(lacking)} in the header, '
                        'expected Class_ID, Name, Sample_Num, Flag, Gender in any order'
                    )
                continue
            columns = _without_header(line)
        row = _person(line, columns) or _person(line, Columns(_separator(line), columns.names))
        if row is None:
            aside.add(path, number, 'not a row about a person', line)
            continue
        person_id, name = row['classid'], clean_name(row['name'])
        if person_id in people:
            aside.add(path, number, 'a person that an earlier row is about', person_id)
        elif not name:
            aside.add(path, number, 'a person without a name', person_id)
        else:
            people[person_id] = PersonEntry(
                person_id=person_id,
                name=name,
                gender=_GENDERS.get(row.get('gender', '')[:1].lower(), ''),
                seen=row['flag'].startswith('1'),
                identity=len(people),
            )
    if not people:
        raise UserError(
            f'{path}: no row about a person, expected rows like n000002, "A_Fine_Frenzy",315,1, f'
        )
    return list(people.values())


def _separator(line: str) -> str:
    """What stands after the first name or number of a row."""
    match = re.search(rf'[\w./-]["\']?\s*([{_SEPARATORS}])', line)
    return match[1] if match else ','


def _without_header(line: str) -> Columns:
    return Columns(_separator(line), _PEOPLE_COLUMNS)


def _person(line: str, columns: Columns) -> dict[str, str] | None:
    """A row by column; the name takes what the other cells leave, separators and quotes too."""
    cells = line.split(columns.separator)
    if len(cells) > _MOST_CELLS:
        return None
    names = columns.names
    place = names.index('name')
    after = len(names) - place - 1
    empty = next((i for i, cell in enumerate(reversed(cells)) if cell.strip(' "\t')), len(cells))
    # There may be separators at the end, one too many or, without a gender, one too few.
    for dropped in range(empty, -2, -1):
        own = cells[: len(cells) - dropped] if dropped >= 0 else [*cells, '']
        if len(own) < len(names):
            continue
        end = len(own) - after
        values = [*own[:place], columns.separator.join(own[place:end]), *own[end:]]
        row = {
            column: value if column == 'name' else value.strip(' "\'\t')
            for column, value in zip(names, values, strict=True)
        }
        if all(_CELLS[column].fullmatch(row[column]) for column in _CELLS if column in row):
            return row
    return None


def clean_name(name: str) -> str:
    """The name that a cell holds: without the quotes around it, `_` as a space.

    Quotes inside a name, as in Dwayne_"The_Rock"_Johnson, belong to it. A table that was written
    once more by a spreadsheet has quotes around quotes, and each of those inside doubled.
    """
    name = name.replace('\\"', '"').strip()
    while len(name) >= 2 and name[0] == name[-1] == '"' and _opens(name[1:-1]):
        name = name[1:-1].replace('""', '"').strip()
    if len(name) >= 2 and name[0] == name[-1] == "'":
        name = name[1:-1]
    name = name.replace('""', '"')
    if name.count('"') == 1:
        name = name.strip('"')
    return unicodedata.normalize('NFC', name.replace('_', ' ').strip())


def _opens(inside: str) -> bool:
    """Whether the first quote in what stands between two quotes opens something, or none is there.

    In "Weird_Al"_and_"Bob" it closes what the quote in front has opened.
    """
    first = inside.find('"')
    return first <= 0 or not (inside[first - 1].isalnum() or inside[first - 1] in '.!?')


def key(name_id: str) -> int | None:
    """A NAME_ID such as 'n000002/0001_01' as a number that sorts as it does; None for others."""
    match = _NAME_ID.fullmatch(name_id)
    if match is None:
        return None
    person, image, face = (int(part) for part in match.groups())
    if f'{image:04d}_{face:02d}' != name_id[8:]:
        return None  # Zeros in front would give two names one number.
    return (person << 34) | (image << 14) | face


def name_id(number: int) -> str:
    """The NAME_ID of a `key`."""
    return f'n{number >> 34:06d}/{number >> 14 & 0xFFFFF:04d}_{number & 0x3FFF:02d}'


def picture_id(path: str) -> str | None:
    """'n000002/0001_01' of 'train/n000002/0001_01.jpg'; None where the path names no picture."""
    match = _PICTURE.fullmatch(path)
    return match[1] if match and key(match[1]) is not None else None


def _without_ending(name: str) -> str:
    name = name.strip(' "\'\t')
    return picture_id(name) or name


class Rows:
    """Keys of a table with the line of each, sorted: 12 bytes a row, so that millions fit."""

    def __init__(
        self, path: Path, keys: array.array, lines: array.array, aside: RejectionSink, twice: str
    ):
        unsorted = np.frombuffer(keys, np.int64)
        self.order = np.argsort(unsorted, kind='stable')
        self.keys, self.lines = unsorted[self.order], np.frombuffer(lines, np.int32)[self.order]
        again = np.flatnonzero(self.keys[1:] == self.keys[:-1]) + 1
        for row in again:  # The earlier line counts: the sorting is stable.
            aside.add(path, int(self.lines[row]), twice, name_id(int(self.keys[row])))
        if len(again):
            self.keys, self.lines, self.order = (
                np.delete(values, again) for values in (self.keys, self.lines, self.order)
            )
        self._view = memoryview(self.keys)

    def find(self, number: int) -> int | None:
        """The row of a key, or None."""
        # Not numpy's search: it gives up Python's lock, and waits to have it back.
        row = bisect.bisect_left(self._view, number)
        return row if row < len(self._view) and self._view[row] == number else None


class Measures:
    """Boxes or landmarks by picture: as many numbers a row as its kind has."""

    def __init__(self, path: Path | None, numbers: Sequence[str], aside: RejectionSink):
        """Reads a table.

        Args:
            path: Rows of a NAME_ID and `numbers`, or as its header says; None for an empty table.
            numbers: `BOX` or `LANDMARKS`, in pixels.
            aside: Gets rows that cannot be read, and second rows about a picture.

        Raises:
            UserError: The header lacks a column.
        """
        keys, rows, values = array.array('q'), array.array('i'), array.array('f')
        needed = ('nameid', *numbers)
        columns = separator = order = None
        for number, line in lines(path) if path else ():
            if separator is None:
                columns = header(line)
                separator = columns.separator if columns else _separator(line)
                if columns and 'nameid' in columns.names:
                    if not set(needed) <= set(columns.names):
                        raise UserError(
                            f'{path}:{number}: the header has not all of the columns NAME_ID, '
                            + ', '.join(name.upper() for name in numbers)
                        )
                    order = [columns.names.index(name) for name in needed]
                    order = None if order == list(range(len(columns.names))) else order
                    continue
                columns = None
            cells = line.rstrip(f' {separator}').split(separator)
            if order and len(cells) == len(columns.names):
                cells = [cells[place] for place in order]
            elif order:
                cells = cells[:1]
            row = _floats(cells[1:])
            own = key(cells[0].strip(' "')) or key(_without_ending(cells[0]))
            if own is None or row is None or len(row) != len(numbers):
                aside.add(path, number, 'not a row about a picture', line)
            elif numbers is BOX and min(row[2:]) <= 0:
                aside.add(path, number, 'a box without an area', line)
            else:
                keys.append(own)
                rows.append(number)
                values.extend(row)
        self._rows = Rows(path, keys, rows, aside, 'a picture that an earlier row is about')
        self._values = np.frombuffer(values, np.float32).reshape(-1, len(numbers))
        self._values = self._values[self._rows.order]

    def of(self, number: int) -> np.ndarray | None:
        """float32 [numbers] in pixels, or None where they are not marked."""
        row = self._rows.find(number)
        return None if row is None else self._values[row]


def _floats(cells: Sequence[str]) -> list[float] | None:
    try:
        row = [float(cell.strip(' "')) for cell in cells]
    except ValueError:
        return None
    return row if np.isfinite(row).all() else None


class Listed:
    """The pictures that a split is said to have, and which of them came."""

    def __init__(self, path: Path | None, aside: RejectionSink):
        """Reads train_list.txt or the like.

        Args:
            path: A line `n000002/0001_01.jpg` for each picture, and perhaps a number; None for
                "whatever there is".
            aside: Gets lines that name no picture, and second lines about one.
        """
        self.path = path
        keys, rows = array.array('q'), array.array('i')
        for number, line in lines(path) if path else ():
            name = line.rstrip(' ,;').strip('"')
            own = picture_id(name) or picture_id(name.rstrip('0123456789').rstrip(' \t,;"'))
            if own is None:
                aside.add(path, number, 'not the name of a picture', line)
            else:
                keys.append(key(own))
                rows.append(number)
        self._rows = Rows(path, keys, rows, aside, 'listed a second time')
        self._came = np.zeros(len(self._rows.keys), bool)
        self._others: set[int] = set()

    def __len__(self) -> int:
        return len(self._rows.keys)

    def takes(self, number: int) -> bool:
        """Whether a picture belongs to the split."""
        return self.path is None or self._rows.find(number) is not None

    def came_before(self, number: int) -> bool:
        """Whether a picture was looked up before; from now on it was."""
        row = self._rows.find(number)
        if row is None:
            before = number in self._others
            self._others.add(number)
        else:
            before = bool(self._came[row])
            self._came[row] = True
        return before

    def people(self) -> list[str]:
        """The person_id of everybody of whom a picture is listed."""
        return [f'n{number:06d}' for number in np.unique(self._rows.keys >> 34)]

    def tell_absent(self, aside: RejectionSink, person: str | None = None) -> None:
        """Sets listed pictures aside that did not come: all, or those of a person_id."""
        first, end = 0, len(self)
        if person is not None:
            low = int(person[1:]) << 34
            first, end = self._rows.keys.searchsorted((low, low + (1 << 34)))
        for row in np.flatnonzero(~self._came[first:end]) + first:
            line = int(self._rows.lines[row])
            aside.add(self.path, line, 'listed, and not there', name_id(int(self._rows.keys[row])))
