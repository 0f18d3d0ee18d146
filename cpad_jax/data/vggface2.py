"""Reads the pictures of VGGFace2 as its authors packed it, with all that its tables know of them.

Nothing is believed that can be checked. What does not fit is set aside with its file and line.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cpad_jax.data import archives, jpeg_validation, vggface2_tables
from cpad_jax.data.built_dataset import PersonEntry
from cpad_jax.data.records import IdentityRecord, check_identity
from cpad_jax.data.rejection_log import RejectionList, RejectionSink
from cpad_jax.data.vggface2_release import INSTRUCTIONS, SPLITS, Release, find_release
from cpad_jax.data.vggface2_tables import BOX, LANDMARKS, Listed, Measures, read_people

__all__ = [
    'INSTRUCTIONS', 'SOURCE', 'SPLITS', 'PartReader', 'Release', 'Split', 'find_release',
    'read_people',
]  # fmt: skip

SOURCE = 'vggface2'
_CLASS = re.compile(r'n\d{6}')


class _Candidate(NamedTuple):
    where: Path
    item: str
    name_id: str
    key: int


class Split:
    """The pictures of a split with all that is known of them."""

    def __init__(
        self, release: Release, split: str, people: Iterable[PersonEntry], aside: RejectionSink
    ):
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
        boxes, landmarks = release.boxes, release.landmarks
        self._boxes = Measures(boxes.get(split), BOX, _once(boxes, split, aside))
        self._landmarks = Measures(landmarks.get(split), LANDMARKS, _once(landmarks, split, aside))
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

    def records(self, aside: RejectionSink, threads: int | None = None) -> Iterator[IdentityRecord]:
        """All records, in the order of the archive or of the names of folders and files.

        Args:
            aside: Gets pictures that are left out, and those that are listed and not there.
            threads: As in `jpeg_validation.check_all`.
        """
        candidates = (c for part in self.parts() for c in self._candidates(part, aside))
        yield from self._checked(candidates, aside, threads)
        self._listed.tell_absent(aside)

    def part_records(
        self, part: Path, aside: RejectionSink
    ) -> Iterator[tuple[int, IdentityRecord]]:
        """The records of one of `parts`, with keys in the order of their names."""
        for record in self._checked(self._candidates(part, aside), aside, 1):
            yield vggface2_tables.key(record['image_id']), record
        if part == self._path:
            self._listed.tell_absent(aside)
        elif _CLASS.fullmatch(part.name):
            self._listed.tell_absent(aside, part.name)

    def part_reader(self) -> PartReader:
        """Reads `parts` on another machine."""
        return PartReader(self._release, self.name)

    def _checked(
        self, candidates: Iterable[tuple[_Candidate, bytes | Path]], aside: RejectionSink, threads
    ) -> Iterator[IdentityRecord]:
        for candidate, picture in jpeg_validation.check_all(candidates, threads):
            if isinstance(picture, str):
                aside.add(candidate.where, None, 'not a whole JPEG', f'{candidate.item}: {picture}')
            else:
                yield self._record(candidate, picture)

    def _candidates(
        self, part: Path, aside: RejectionSink
    ) -> Iterator[tuple[_Candidate, bytes | Path]]:
        """Pictures that belong to the split, unread; sets others aside."""
        if part.is_dir():
            for entry in sorted(os.scandir(part), key=lambda e: e.name):
                item = f'{part.name}/{entry.name}'
                if candidate := self._candidate(self._path, item, aside):
                    yield candidate, Path(entry)
        elif part == self._path:
            refused = functools.partial(_refuse, part, aside)
            for member in archives.members(part, jpeg_validation.LARGEST, refused):
                if candidate := self._candidate(part, member.name, aside):
                    yield candidate, member.read()
        elif part.exists():
            aside.add(self._path, None, 'not a picture of the data set', part.name)

    def _candidate(self, where: Path, item: str, aside: RejectionSink) -> _Candidate | None:
        name_id = vggface2_tables.picture_id(item)
        if name_id is None:
            aside.add(where, None, 'not a picture of the data set', item)
            return None
        key = vggface2_tables.key(name_id)
        person = self._people.get(name_id[:7])
        if person is None:
            reason = f'a picture of nobody in {vggface2_tables.META}'
        elif person['seen'] != (self.name == 'train'):
            reason = 'a picture of somebody of the other split'
        elif not self._listed.takes(key):
            reason = 'a picture that the list does not name'
        elif self._listed.came_before(key):
            reason = 'a picture that came before'
        else:
            return _Candidate(where, item, name_id, key)
        aside.add(where, None, reason, item)
        return None

    def _record(self, candidate: _Candidate, picture: jpeg_validation.Picture) -> IdentityRecord:
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

    def __call__(self, part: Path, aside: RejectionSink) -> Iterator[tuple[int, IdentityRecord]]:
        """As `Split.part_records`."""
        key = (str(self.release), self.split)
        if key not in _opened:
            # Errors of the tables were reported where the build was started.
            people = read_people(self.release.meta, RejectionList())
            _opened[key] = Split(self.release, self.split, people, RejectionList())
        return _opened[key].part_records(part, aside)


_opened: dict[tuple[str, str], Split] = {}


def _once(tables: dict[str, Path], split: str, aside: RejectionSink) -> RejectionSink:
    """Where errors of a table are reported: of one that serves both splits, once."""
    first = next((other for other in SPLITS if tables.get(other) == tables.get(split)), split)
    return aside if first == split else RejectionList()


def _refuse(archive: Path, aside: RejectionSink, name: str, reason: str) -> None:
    aside.add(archive, None, reason, name)
