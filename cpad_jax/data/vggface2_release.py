"""Finds the parts of a copy of VGGFace2: copies are laid out as many ways as they were passed on.

Folders are looked through from the outside in, but not those of people. Pictures are known by the
names of their folders or archives, tables by their columns.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from cpad_jax.data import vggface2_tables
from cpad_jax.errors import UserError

SPLITS = ('train', 'test')
INSTRUCTIONS = """\
VGGFace2 is no longer given out by its authors, so you bring your own copy. \
DIR of --manual_dir must hold, in it or up to three folders down: \
(1) vggface2_train.tar.gz and, where you have it, vggface2_test.tar.gz as they came, or the \
folders train/ and test/ (or val/) that they unpack to (where both are there, the folder is read); \
(2) identity_meta.csv; \
(3) where you have them: loose_bb_train.csv, loose_bb_test.csv, loose_landmark_train.csv and \
loose_landmark_test.csv, or other tables with their columns; train_list.txt and test_list.txt (or \
train.txt and test.txt)."""

_DEPTH = 3  # Folders below DIR that are looked into.
_OTHER_NAMES = {'val': 'test', 'validation': 'test'}
_SPLIT = '(train|test|val|validation)'
_PICTURES = re.compile(rf'(?:vgg[-_ ]?face[-_ ]?2?[-_ ])?{_SPLIT}', re.IGNORECASE)
_ARCHIVE = re.compile(rf'{_PICTURES.pattern}\.(?:tar(?:\.gz|\.bz2|\.xz)?|tgz|zip)', re.IGNORECASE)
_LIST = re.compile(rf'{_SPLIT}(_list)?\.txt', re.IGNORECASE)
_IN_NAME = re.compile(rf'(?<![a-z]){_SPLIT}(?![a-z])', re.IGNORECASE)
_PERSON = re.compile(r'n\d{6}')


@dataclasses.dataclass(frozen=True)
class Release:
    """Where the parts of a copy are.

    Attributes:
        meta: identity_meta.csv.
        pictures: Split → archive or folder; 'test' may be missing.
        lists: Split → list of pictures, where there is one.
        boxes: Split → boxes, where there are any; one table may serve both splits.
        landmarks: Split → landmarks, where there are any.
    """

    meta: Path
    pictures: dict[str, Path]
    lists: dict[str, Path]
    boxes: dict[str, Path]
    landmarks: dict[str, Path]

    def missing(self) -> list[str]:
        """What a copy can have and this one has not, by the names that its authors gave it."""
        named = (
            (self.pictures, 'vggface2_{}.tar.gz'),
            (self.lists, '{}_list.txt'),
            (self.boxes, 'loose_bb_{}.csv'),
            (self.landmarks, 'loose_landmark_{}.csv'),
        )
        # Of a split without pictures, nothing else is missed.
        return [
            name.format(split)
            for parts, name in named
            for split in SPLITS
            if split not in parts and (parts is self.pictures or split in self.pictures)
        ]


def find_release(manual_dir: str | os.PathLike[str]) -> Release:
    """Looks for the parts of a copy.

    Args:
        manual_dir: Laid out as `INSTRUCTIONS` say.

    Raises:
        UserError: Pictures to train on or identity_meta.csv are missing; says what goes where.
    """
    folder = Path(manual_dir)
    # Kind → (what speaks against it, the most telling first; split, path).
    found: dict[str, list[tuple[tuple, str, Path]]] = {
        kind: [] for kind in ('pictures', 'lists', 'boxes', 'landmarks', 'meta')
    }

    def add(kind: str, split: str, path: Path, *against: object) -> None:
        other = split.lower() in _OTHER_NAMES
        place = (*against, other, len(path.parts), path)
        found[kind].append((place, _OTHER_NAMES.get(split.lower(), split.lower()), path))

    for path in _entries(folder):
        if path.is_dir():
            if (match := _PICTURES.fullmatch(path.name)) and _holds_people(path):
                add('pictures', match[1], path, False)
        elif match := _ARCHIVE.fullmatch(path.name):
            add('pictures', match[1], path, True)
        elif match := _LIST.fullmatch(path.name):
            add('lists', match[1], path, len(path.parts), match[2] is None)
        elif path.is_file() and (kind := _kind(path)):
            match = _IN_NAME.search(path.stem)
            usual = path.name.lower().startswith(('identity_meta', 'loose_'))
            for split in (match[1],) if match and kind != 'meta' else SPLITS:
                add(kind, split, path, not usual, match is None)
    chosen = {
        kind: {split: path for _, split, path in sorted(places, reverse=True)}
        for kind, places in found.items()
    }
    meta = chosen.pop('meta').get('train')
    if meta is None or 'train' not in chosen['pictures']:
        _refuse(folder, chosen['pictures'], meta)
    return Release(meta=meta, **chosen)


def _refuse(folder: Path, pictures: Mapping[str, Path], meta: Path | None) -> None:
    missing = [f'vggface2_{split}.tar.gz' for split in SPLITS if split not in pictures]
    missing += [] if meta else [vggface2_tables.META]
    what = ' and '.join(filter(None, (', '.join(missing[:-1]), missing[-1])))
    raise UserError(f'{folder}: {what} not found. {INSTRUCTIONS}')


def _entries(folder: Path, depth: int = _DEPTH) -> Iterator[Path]:
    """Files and folders, from the outside in; neither hidden ones nor those of people."""
    own = sorted(
        (entry for entry in os.scandir(folder) if not entry.name.startswith('.')),
        key=lambda entry: entry.name,
    )
    own = [entry for entry in own if not _PERSON.fullmatch(entry.name)]
    yield from map(Path, own)
    for entry in own:
        if depth and entry.is_dir() and not _holds_people(Path(entry)):
            yield from _entries(Path(entry), depth - 1)


def _holds_people(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(_PERSON.fullmatch(entry.name) and entry.is_dir() for entry in entries)


def _kind(path: Path) -> str | None:
    """'meta', 'boxes' or 'landmarks' by a table's first line; None for anything else."""
    if path.suffix.lower() not in ('.csv', '.tsv'):
        return None
    if path.name.lower() == vggface2_tables.META:
        return 'meta'
    first = itertools.islice(vggface2_tables.lines(path), 1)
    return vggface2_tables.kind(line for _, line in first)
