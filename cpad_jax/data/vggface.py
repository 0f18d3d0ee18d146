"""Reads VGGFace: the lists of pictures of each person, and those pictures that the user has.

Its authors gave out addresses of 2.6 million pictures, most of which are gone.
"""

from __future__ import annotations

import dataclasses
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cpad_jax.data import jpeg_validation, text_lines
from cpad_jax.data.built_dataset import PersonEntry
from cpad_jax.data.records import IdentityRecord, check_identity
from cpad_jax.data.rejection_log import RejectionSink
from cpad_jax.errors import UserError

SOURCE = 'vggface'
INSTRUCTIONS = """\
VGGFace comes as addresses of pictures, most of which are gone: you bring the pictures you have. \
DIR of --manual_dir must hold: \
(1) vgg_face_dataset/files/NAME.txt, from vgg_face_dataset.tar.gz of its authors, unpacked; \
(2) images/NAME/ID.jpg (or .jpeg, .png), where NAME is that of the list and ID the first word of \
its line, for example images/Aamir_Khan/00000001.jpg."""

_ENDINGS = ('.jpg', '.jpeg', '.png')  # In any case.
_CURATION = re.compile(r'[01](?:\.0*)?')


class Release(NamedTuple):
    """Where the parts of a copy are: the folder of lists, and that of folders of pictures."""

    lists: Path
    images: Path


def find_release(manual_dir: str | os.PathLike[str]) -> Release:
    """Looks for the parts of a copy.

    Args:
        manual_dir: Laid out as `INSTRUCTIONS` say.

    Raises:
        UserError: A part is missing; says what goes where.
    """
    folder = Path(manual_dir)
    release = Release(folder / 'vgg_face_dataset' / 'files', folder / 'images')
    missing = [str(path.relative_to(folder)) for path in release if not path.is_dir()]
    if not missing and not _lists(release):
        missing = ['vgg_face_dataset/files/NAME.txt']
    if missing:
        raise UserError(f'{folder}: {" and ".join(missing)} not found. {INSTRUCTIONS}')
    return release


def read_people(release: Release) -> list[PersonEntry]:
    """Everybody of whom there is a list, in the order of names; `seen` who has a folder."""
    pictured = _folders(release)
    return [
        PersonEntry(
            person_id=name,
            name=name.replace('_', ' ').strip(),
            gender='',
            seen=name.replace(' ', '_') in pictured,
            identity=identity,
        )
        for identity, name in enumerate(sorted(_lists(release)))
    ]


def _lists(release: Release) -> dict[str, Path]:
    """Person_id → list."""
    files = (Path(entry) for entry in os.scandir(release.lists) if not entry.name.startswith('.'))
    return {_readable(path.stem): path for path in sorted(files) if path.suffix.lower() == '.txt'}


def _folders(release: Release) -> dict[str, Path]:
    """Person_id → folder of pictures. Other systems write accents and spaces otherwise."""
    folders = (Path(entry) for entry in os.scandir(release.images) if entry.is_dir())
    return {_readable(path.name).replace(' ', '_'): path for path in sorted(folders)}


def _readable(name: str) -> str:
    """The name of a file in composed letters, also where it is not UTF-8 but Windows-1252."""
    try:
        name.encode()
    except UnicodeEncodeError:
        name = name.encode('utf-8', 'surrogateescape').decode('cp1252', 'replace')
    return unicodedata.normalize('NFC', name)


class _Candidate(NamedTuple):
    person: PersonEntry
    file: Path
    picture_id: str
    line: int
    box: tuple[float, ...] | None


@dataclasses.dataclass(frozen=True)
class Pictures:
    """The pictures that are there, with the boxes that the lists give them.

    Attributes:
        release: Where everything is.
        people: As `read_people` gives them.
    """

    release: Release
    people: list[PersonEntry]

    def __len__(self) -> int:
        """Not known before the folders were read, hence 0."""
        return 0

    def records(self, aside: RejectionSink, threads: int | None = None) -> Iterator[IdentityRecord]:
        """All records, in the order of names and of the lines of their lists.

        Args:
            aside: Gets lines and pictures that are left out. Lines without a picture are counted,
                one entry a person: there may be millions.
            threads: As in `jpeg_validation.check_all`.
        """
        self._tell_strangers(aside)
        for _, record in self._keyed(aside, threads):
            yield record

    def parts(self) -> list[PersonEntry]:
        """What can be read apart: each person."""
        return self.people

    def part_reader(self) -> PartReader:
        """Reads `parts` on another machine."""
        return PartReader(self.release)

    def _keyed(
        self, aside: RejectionSink, threads: int | None
    ) -> Iterator[tuple[int, IdentityRecord]]:
        lists, folders = _lists(self.release), _folders(self.release)
        candidates = (
            (candidate, candidate.file)
            for person in self.people
            for candidate in _candidates(
                person,
                lists[person['person_id']],
                folders.get(person['person_id'].replace(' ', '_')),
                aside,
            )
        )
        for candidate, picture in jpeg_validation.check_all(candidates, threads):
            if isinstance(picture, str):
                aside.add(candidate.file, None, 'not a whole JPEG', picture)
            else:
                key = (candidate.person['identity'] << 32) | candidate.line
                yield key, _record(candidate, picture)

    def _tell_strangers(self, aside: RejectionSink) -> None:
        known = {person['person_id'].replace(' ', '_') for person in self.people}
        for entry in sorted(os.scandir(self.release.images), key=lambda e: e.name):
            name = _readable(entry.name)
            if name.replace(' ', '_') not in known:
                aside.add(self.release.images, None, 'a folder of nobody in the lists', name)


def _candidates(
    person: PersonEntry, lines: Path, folder: Path | None, aside: RejectionSink
) -> Iterator[_Candidate]:
    """Pictures of a person that a line of the list is about, unread; sets others aside."""
    there: dict[str, str] = {}  # ID → file, of which the first by name counts.
    files = sorted(os.listdir(folder)) if folder else []
    for name in files:
        stem, ending = os.path.splitext(name)
        if ending.lower() in _ENDINGS:
            there.setdefault(stem, name)
    missing, known = 0, set()
    for number, line in text_lines.read_any(lines):
        picture_id, cells = _cells(line)
        if not cells:
            aside.add(lines, number, 'not a line about a picture', line)
        elif picture_id in known:
            aside.add(lines, number, 'a picture that an earlier line is about', picture_id)
        else:
            known.add(picture_id)
            if picture_id not in there:
                missing += 1
                continue
            box = _box(cells)
            if box is None:
                aside.add(lines, number, 'a box without an area', picture_id)
            yield _Candidate(person, folder / there[picture_id], picture_id, number, box)
    for name in sorted(set(files) - {there[picture_id] for picture_id in known & set(there)}):
        aside.add(folder, None, 'a picture that no line is about', name)
    if missing:
        reason = 'a line whose picture is not there'
        aside.add(lines, None, reason, f'{missing} of {len(known)}', count=missing)


class PartReader(NamedTuple):
    """Reads the pictures of a person anywhere.

    Attributes:
        release: Where everything is, by paths that are the same there.
    """

    release: Release

    def __call__(
        self, person: PersonEntry, aside: RejectionSink
    ) -> Iterator[tuple[int, IdentityRecord]]:
        """Records, with keys in the order of people and of lines."""
        return Pictures(self.release, [person])._keyed(aside, 1)


def _cells(line: str) -> tuple[str, list[str]]:
    """ID and box of `id url left top right bottom pose detection_score curation`.

    An address may hold spaces. Of another line there is no box.
    """
    address, *cells = line.rsplit(None, 7)
    picture_id, *rest = address.split(None, 1)
    whole = len(cells) == 7 and rest and re.fullmatch(r'\d+', picture_id)
    return picture_id, cells[:4] if whole and _CURATION.fullmatch(cells[-1]) else []


def _box(fields: Iterable[str]) -> tuple[float, ...] | None:
    """Left, top, right and bottom in pixels; None where they enclose nothing."""
    try:
        left, top, right, bottom = box = tuple(float(field) for field in fields)
    except ValueError:
        return None
    return box if np.isfinite(box).all() and left < right and top < bottom else None


def _record(candidate: _Candidate, picture: jpeg_validation.Picture) -> IdentityRecord:
    person = candidate.person
    bbox = np.full(4, -1, np.float32)
    if candidate.box is not None:
        left, top, right, bottom = candidate.box
        bbox[:] = (
            top / picture.height, left / picture.width,
            bottom / picture.height, right / picture.width,
        )  # fmt: skip
    record = IdentityRecord(
        image=picture.data,
        image_id=f'{person["person_id"]}/{candidate.picture_id}',
        identity=person['identity'],
        name=person['name'],
        bbox=bbox,
        landmarks=np.full((5, 2), -1, np.float32),
        source=SOURCE,
    )
    check_identity(record)
    return record
