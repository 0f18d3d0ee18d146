"""Reads VGGFace2 as its authors packed it: who is in it, the lists, boxes, landmarks and pictures.

Nothing is believed that can be checked. What does not fit is set aside with its file and line.
"""

from __future__ import annotations

import array
import bisect
import dataclasses
import functools
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cpad_jax.data import archives, pictures
from cpad_jax.data.built_dataset import PersonEntry
from cpad_jax.data.records import IdentityRecord, check_identity
from cpad_jax.data.set_aside import Aside, Entries
from cpad_jax.errors import UserError

SPLITS = ('train', 'test')
SOURCE = 'vggface2'
INSTRUCTIONS = """\
VGGFace2 is no longer given out by its authors, so you bring your own copy. \
DIR of --manual_dir must hold: \
(1) vggface2_train.tar.gz and vggface2_test.tar.gz as they came, or the folders train/ and test/ \
that they unpack to (where both are there, the folder is read); \
(2) identity_meta.csv, in DIR or DIR/meta; \
(3) where you have them: loose_bb_train.csv, loose_bb_test.csv, loose_landmark_train.csv and \
loose_landmark_test.csv, in DIR or DIR/bb_landmark; train_list.txt and test_list.txt (or train.txt \
and test.txt), in DIR or DIR/meta."""

_META = 'identity_meta.csv'
# n000002, "A_Fine_Frenzy",315,1, f,  — the name takes what the other fields leave.
_PERSON = re.compile(
    r'\s*(n\d{6})\s*,\s*(.*?)\s*,\s*"?(\d+)"?\s*,\s*"?([01])"?\s*,\s*"?([a-zA-Z]?)"?\s*(?:,\s*)*'
)
_NAME_ID = re.compile(r'n(\d{6})/(\d{4,6})_(\d{2,4})')
_IN_ARCHIVE = re.compile(r'(?:^|.*/)(n\d{6}/[^/]+)\.jpe?g', re.IGNORECASE)
_CLASS = re.compile(r'n\d{6}')
_GENDERS = {'f': 'woman', 'm': 'man'}


@dataclasses.dataclass(frozen=True)
class Release:
    """Where the parts of a copy are.

    Attributes:
        meta: identity_meta.csv.
        pictures: Split → archive or folder.
        lists: Split → list of pictures, where there is one.
        boxes: Split → boxes, where there are any.
        landmarks: Split → landmarks, where there are any.
    """

    meta: Path
    pictures: dict[str, Path]
    lists: dict[str, Path]
    boxes: dict[str, Path]
    landmarks: dict[str, Path]


def find_release(manual_dir: str | os.PathLike[str]) -> Release:
    """Looks for the parts of a copy.

    Args:
        manual_dir: Laid out as `INSTRUCTIONS` say.

    Raises:
        UserError: Pictures of a split or identity_meta.csv are missing; says what goes where.
    """
    folder = Path(manual_dir)

    def first(*names: str) -> Path | None:
        return next((path for name in names if (path := folder / name).exists()), None)

    meta = first(_META, f'meta/{_META}')
    found: dict[str, dict[str, Path]] = {'pictures': {}, 'lists': {}, 'boxes': {}, 'landmarks': {}}
    for split in SPLITS:
        wanted = {
            'pictures': (split, *(f'vggface2_{split}.{end}' for end in ('tar.gz', 'tgz', 'tar'))),
            'lists': [
                f'{place}{split}{end}.txt' for place in ('', 'meta/') for end in ('_list', '')
            ],
            'boxes': [f'{place}loose_bb_{split}.csv' for place in ('', 'bb_landmark/')],
            'landmarks': [f'{place}loose_landmark_{split}.csv' for place in ('', 'bb_landmark/')],
        }
        for kind, names in wanted.items():
            if path := first(*names):
                found[kind][split] = path
    missing = [f'vggface2_{split}.tar.gz' for split in SPLITS if split not in found['pictures']]
    missing += [] if meta else [_META]
    if missing:
        raise UserError(f'{folder}: {" and ".join(missing)} not found. {INSTRUCTIONS}')
    return Release(meta=meta, **found)


def read_people(path: Path, aside: Aside) -> list[PersonEntry]:
    """The table of people that identity_meta.csv holds, in its order.

    Args:
        path: Rows `Class_ID, Name, Sample_Num, Flag, Gender`; Flag 1 is the training split.
        aside: Gets rows that cannot be read, and second rows about a person.
    """
    people: dict[str, PersonEntry] = {}
    for number, line in _lines(path):
        match = _PERSON.fullmatch(line)
        if match is None:
            if not (number == 1 and line.lower().lstrip(' "').startswith('class_id')):
                aside.add(path, number, 'not a row about a person', line)
            continue
        person_id, name, _, flag, gender = match.groups()
        name = _unquoted(name).replace('_', ' ').strip()
        if person_id in people:
            aside.add(path, number, 'a person that an earlier row is about', person_id)
        elif not name:
            aside.add(path, number, 'a person without a name', person_id)
        else:
            people[person_id] = PersonEntry(
                person_id=person_id,
                name=name,
                gender=_GENDERS.get(gender.lower(), ''),
                seen=flag == '1',
                identity=len(people),
            )
    if not people:
        raise UserError(
            f'{path}: no row about a person, expected rows like n000002, "A_Fine_Frenzy",315,1, f'
        )
    return list(people.values())


def _unquoted(name: str) -> str:
    # Quotes inside a name, as in Dwayne_"The_Rock"_Johnson, belong to it.
    if len(name) >= 2 and name[0] == name[-1] == '"':
        name = name[1:-1].replace('""', '"')
    elif name.count('"') == 1:
        name = name.strip('"')
    return name


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, without empty ones; copies saved as Latin-1 are read as well."""
    with path.open('rb') as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.decode('utf-8-sig')
            except UnicodeDecodeError:
                text = line.decode('latin-1')
            if text.strip():
                yield number, text.strip()


def _key(name_id: str) -> int | None:
    """A NAME_ID such as 'n000002/0001_01' as a number that sorts as it does; None for others."""
    match = _NAME_ID.fullmatch(name_id)
    if match is None:
        return None
    person, image, face = (int(part) for part in match.groups())
    if f'{image:04d}_{face:02d}' != name_id[8:]:
        return None  # Zeros in front would give two names one number.
    return (person << 34) | (image << 14) | face


def _name_id(key: int) -> str:
    return f'n{key >> 34:06d}/{key >> 14 & 0xFFFFF:04d}_{key & 0x3FFF:02d}'


class _Rows:
    """Keys of a table with the line of each, sorted: 12 bytes a row, so that millions fit."""

    def __init__(self, path: Path, keys: array.array, lines: array.array, aside: Aside, twice: str):
        unsorted = np.frombuffer(keys, np.int64)
        self.order = np.argsort(unsorted, kind='stable')
        self.keys, self.lines = unsorted[self.order], np.frombuffer(lines, np.int32)[self.order]
        again = np.flatnonzero(self.keys[1:] == self.keys[:-1]) + 1
        for row in again:  # The earlier line counts: the sorting is stable.
            aside.add(path, int(self.lines[row]), twice, _name_id(int(self.keys[row])))
        if len(again):
            self.keys, self.lines, self.order = (
                np.delete(values, again) for values in (self.keys, self.lines, self.order)
            )
        self._view = memoryview(self.keys)

    def find(self, key: int) -> int | None:
        # Not numpy's search: it gives up Python's lock, and waits to have it back.
        row = bisect.bisect_left(self._view, key)
        return row if row < len(self._view) and self._view[row] == key else None


class Measures:
    """Boxes or landmarks by picture: as many numbers a row as its kind has."""

    def __init__(self, path: Path | None, numbers: int, aside: Aside):
        """Reads a table.

        Args:
            path: Rows `NAME_ID,…`; None for an empty table.
            numbers: How many follow the NAME_ID: X, Y, W and H, or five times X and Y; in pixels.
            aside: Gets rows that cannot be read, and second rows about a picture.
        """
        keys, lines, values = array.array('q'), array.array('i'), array.array('f')
        for number, line in _lines(path) if path else ():
            name, *fields = line.rstrip(', ').split(',')
            name = name.strip(' "')
            key = _key(name.removesuffix('.jpg'))
            row = _floats(fields)
            if key is None or row is None or len(row) != numbers:
                if not (number == 1 and name.lower() == 'name_id'):
                    aside.add(path, number, 'not a row about a picture', line)
            elif numbers == 4 and min(row[2:]) <= 0:
                aside.add(path, number, 'a box without an area', line)
            else:
                keys.append(key)
                lines.append(number)
                values.extend(row)
        self._rows = _Rows(path, keys, lines, aside, 'a picture that an earlier row is about')
        self._values = np.frombuffer(values, np.float32).reshape(-1, numbers)[self._rows.order]

    def of(self, key: int) -> np.ndarray | None:
        """float32 [numbers] in pixels, or None where nobody marked them."""
        row = self._rows.find(key)
        return None if row is None else self._values[row]


def _floats(fields: list[str]) -> list[float] | None:
    try:
        row = [float(field.strip(' "')) for field in fields]
    except ValueError:
        return None
    return row if np.isfinite(row).all() else None


class Listed:
    """The pictures that a split is said to have, and which of them came."""

    def __init__(self, path: Path | None, aside: Aside):
        """Reads train_list.txt or the like.

        Args:
            path: A line `n000002/0001_01.jpg` for each picture; None for "whatever there is".
            aside: Gets lines that name no picture, and second lines about one.
        """
        self.path = path
        keys, lines = array.array('q'), array.array('i')
        for number, line in _lines(path) if path else ():
            match = _IN_ARCHIVE.fullmatch(line.rstrip(', ').strip('"'))
            key = _key(match[1]) if match else None
            if key is None:
                aside.add(path, number, 'not the name of a picture', line)
            else:
                keys.append(key)
                lines.append(number)
        self._rows = _Rows(path, keys, lines, aside, 'listed a second time')
        self._came = np.zeros(len(self._rows.keys), bool)
        self._others: set[int] = set()

    def __len__(self) -> int:
        return len(self._rows.keys)

    def takes(self, key: int) -> bool:
        """Whether a picture belongs to the split."""
        return self.path is None or self._rows.find(key) is not None

    def came_before(self, key: int) -> bool:
        """Whether a picture was asked about before; from now on it was."""
        row = self._rows.find(key)
        if row is None:
            before = key in self._others
            self._others.add(key)
        else:
            before = bool(self._came[row])
            self._came[row] = True
        return before

    def people(self) -> list[str]:
        """The person_id of everybody of whom a picture is listed."""
        return [f'n{number:06d}' for number in np.unique(self._rows.keys >> 34)]

    def tell_absent(self, aside: Aside, person: str | None = None) -> None:
        """Sets listed pictures aside that did not come: all, or those of a person_id."""
        first, end = 0, len(self)
        if person is not None:
            low = int(person[1:]) << 34
            first, end = self._rows.keys.searchsorted((low, low + (1 << 34)))
        for row in np.flatnonzero(~self._came[first:end]) + first:
            line = int(self._rows.lines[row])
            aside.add(self.path, line, 'listed, and not there', _name_id(int(self._rows.keys[row])))


class _Candidate(NamedTuple):
    where: Path
    item: str
    name_id: str
    key: int


class Split:
    """The pictures of a split with all that is known of them."""

    def __init__(self, release: Release, split: str, people: Iterable[PersonEntry], aside: Aside):
        """Reads the split's tables; 72 bytes of memory a row in all.

        Args:
            release: Where everything is.
            split: 'train' or 'test'.
            people: As `read_people` gives them.
            aside: Gets what is wrong with the tables.
        """
        self.name = split
        self._release = release
        self._path = release.pictures[split]
        self._people = {person['person_id']: person for person in people}
        self._boxes = Measures(release.boxes.get(split), 4, aside)
        self._landmarks = Measures(release.landmarks.get(split), 10, aside)
        self._listed = Listed(release.lists.get(split), aside)

    def __len__(self) -> int:
        """How many pictures there should be; 0 where no list says."""
        return len(self._listed)

    def parts(self) -> list[Path]:
        """What can be read apart: the archive, or each person's folder, whether there or listed."""
        if not self._path.is_dir():
            return [self._path]
        there = {Path(entry) for entry in os.scandir(self._path)}
        return sorted(there | {self._path / person for person in self._listed.people()})

    def records(self, aside: Aside, threads: int | None = None) -> Iterator[IdentityRecord]:
        """All records, in the order of the archive or of the names of folders and files.

        Args:
            aside: Gets pictures that are left out, and those that are listed and not there.
            threads: As in `pictures.check_all`.
        """
        candidates = (c for part in self.parts() for c in self._candidates(part, aside))
        yield from self._checked(candidates, aside, threads)
        self._listed.tell_absent(aside)

    def part_records(self, part: Path, aside: Aside) -> Iterator[tuple[int, IdentityRecord]]:
        """The records of one of `parts`, with keys in the order of their names."""
        for record in self._checked(self._candidates(part, aside), aside, 1):
            yield _key(record['image_id']), record
        if part == self._path:
            self._listed.tell_absent(aside)
        elif _CLASS.fullmatch(part.name):
            self._listed.tell_absent(aside, part.name)

    def part_reader(self) -> PartReader:
        """Reads `parts` on another machine."""
        return PartReader(self._release, self.name)

    def _checked(
        self, candidates: Iterable[tuple[_Candidate, bytes | Path]], aside: Aside, threads
    ) -> Iterator[IdentityRecord]:
        for candidate, picture in pictures.check_all(candidates, threads):
            if isinstance(picture, str):
                aside.add(candidate.where, None, 'not a whole JPEG', f'{candidate.item}: {picture}')
            else:
                yield self._record(candidate, picture)

    def _candidates(self, part: Path, aside: Aside) -> Iterator[tuple[_Candidate, bytes | Path]]:
        """Pictures that belong to the split, unread; sets others aside."""
        if part.is_dir():
            for entry in sorted(os.scandir(part), key=lambda e: e.name):
                item = f'{part.name}/{entry.name}'
                if candidate := self._candidate(self._path, item, aside):
                    yield candidate, Path(entry)
        elif part == self._path:
            refused = functools.partial(_refuse, part, aside)
            for member in archives.members(part, pictures.LARGEST, refused):
                if candidate := self._candidate(part, member.name, aside):
                    yield candidate, member.read()
        elif part.exists():
            aside.add(self._path, None, 'not a picture of the data set', part.name)

    def _candidate(self, where: Path, item: str, aside: Aside) -> _Candidate | None:
        match = _IN_ARCHIVE.fullmatch(item)
        key = _key(match[1]) if match else None
        if key is None:
            aside.add(where, None, 'not a picture of the data set', item)
            return None
        person = self._people.get(match[1][:7])
        if person is None:
            reason = f'a picture of nobody in {_META}'
        elif person['seen'] != (self.name == 'train'):
            reason = 'a picture of somebody of the other split'
        elif not self._listed.takes(key):
            reason = 'a picture that the list does not name'
        elif self._listed.came_before(key):
            reason = 'a picture that came before'
        else:
            return _Candidate(where, item, match[1], key)
        aside.add(where, None, reason, item)
        return None

    def _record(self, candidate: _Candidate, picture: pictures.Picture) -> IdentityRecord:
        person = self._people[candidate.name_id[:7]]
        size = np.asarray((picture.width, picture.height), np.float32)
        bbox, landmarks = np.full(4, -1, np.float32), np.full((5, 2), -1, np.float32)
        if (box := self._boxes.of(candidate.key)) is not None:
            (xmin, ymin), (xmax, ymax) = box[:2] / size, (box[:2] + box[2:]) / size
            bbox = np.asarray((ymin, xmin, ymax, xmax), np.float32)
        if (points := self._landmarks.of(candidate.key)) is not None:
            landmarks = points.reshape(5, 2) / size
        record = IdentityRecord(
            image=picture.data,
            image_id=candidate.name_id,
            identity=person['identity'],
            name=person['name'],
            bbox=bbox,
            landmarks=landmarks,
            source=SOURCE,
        )
        check_identity(record)
        return record


@dataclasses.dataclass(frozen=True)
class PartReader:
    """Reads parts of a split anywhere: the tables are read there, once in each process.

    Attributes:
        release: Where everything is, by paths that are the same there.
        split: 'train' or 'test'.
    """

    release: Release
    split: str

    def __call__(self, part: Path, aside: Aside) -> Iterator[tuple[int, IdentityRecord]]:
        """As `Split.part_records`."""
        key = (str(self.release), self.split)
        if key not in _opened:
            # What is wrong with the tables was told where the build was started.
            people = read_people(self.release.meta, Entries())
            _opened[key] = Split(self.release, self.split, people, Entries())
        return _opened[key].part_records(part, aside)


_opened: dict[tuple[str, str], Split] = {}


def _refuse(archive: Path, aside: Aside, name: str, reason: str) -> None:
    aside.add(archive, None, reason, name)
