"""Corrections by hand, which win over the machine and outlive it.

A correction names a face by video, time and box, so that it still means the same face after the
videos were tracked or clustered anew.
"""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from cpad_jax.data import csv_lists
from cpad_jax.errors import UserError
from cpad_jax.labelling.cast import CastMember
from cpad_jax.media.tracks import FaceTrack
from cpad_jax.printable import in_utf8
from cpad_jax.text import person_names

COLUMNS = ('video', 'time', 'ymin', 'xmin', 'ymax', 'xmax', 'scope', 'name')
SCOPES = ('track', 'cluster')
UNKNOWN = 'unknown'
_NOT = 'not '
_MOST = 1 << 24  # Bytes.
# A face is looked for among tracks that are seen within so many seconds and overlap so much.
_NEAR, _OVERLAP = 0.5, 0.3


@dataclasses.dataclass(frozen=True)
class Correction:
    """Who a face is, or is not.

    Attributes:
        line: Of the file.
        video: As `tracks.csv` names it.
        time: Seconds of the video.
        box: ymin xmin ymax xmax as fractions of the picture.
        scope: 'track' for this appearance alone, 'cluster' for all that the machine takes for the
            same person.
        person_id: Of the cast, or '' for nobody of it.
        denied: Whether it is *not* this person.
    """

    line: int
    video: str
    time: float
    box: tuple[float, float, float, float]
    scope: str
    person_id: str
    denied: bool


@dataclasses.dataclass(frozen=True)
class Said:
    """What was said by hand of one track.

    Attributes:
        person_id: Who it is; '' for nobody of the cast, None where that was not said.
        denied: Who it is not.
    """

    person_id: str | None
    denied: frozenset[str]

    def is_not(self, person_id: str) -> bool:
        """Whether this track is somebody else than `person_id`."""
        return person_id in self.denied or self.person_id not in (None, person_id)


def read_corrections(path: str | os.PathLike[str], cast: Iterable[CastMember]) -> list[Correction]:
    """Reads a CSV file with the columns `COLUMNS`, whose rows may be copied from `tracks.csv`.

    Args:
        path: The file. `name` is a name or person_id of the cast, `not NAME`, or `unknown` for a
            face that shall go without a name. Further columns are not looked at.
        cast: Who may be meant.

    Raises:
        UserError: There is no such file, or a line is not as expected; names line and column.
    """
    path = Path(path)
    people = {}
    for member in cast:
        for key in (member.name, member.person_id):
            people[person_names.key(key)] = member.person_id
    rows = csv_lists.read_rows(path, 'file of corrections', _MOST, COLUMNS)
    return [_correction(row, line, people, f'{path}:{line}') for line, row in rows]


def find_tracks(
    corrections: Sequence[Correction], tracks: Sequence[FaceTrack], videos: Sequence[str]
) -> tuple[dict[int, list[Correction]], list[Correction]]:
    """Finds the face that each correction means.

    Args:
        corrections: As read.
        tracks: N tracks.
        videos: The video of each.

    Returns:
        (number of a track -> its corrections in the file's order, those that fit no face).
    """
    found: dict[int, list[Correction]] = {}
    lost = []
    for correction in corrections:
        fits = [
            (_fit(correction, track), -number)
            for number, track in enumerate(tracks)
            if in_utf8(videos[number]) == correction.video
        ]
        overlap, number = max(fits, default=(0.0, 0))
        if overlap >= _OVERLAP:
            found.setdefault(-number, []).append(correction)
        else:
            lost.append(correction)
    return found, lost


def settle(found: Mapping[int, Sequence[Correction]], groups: np.ndarray) -> dict[int, Said]:
    """Gathers what is said of each track, directly or of its cluster.

    Args:
        found: Number of a track -> its corrections.
        groups: int [N]: the cluster of each track, as the machine has it without corrections.

    Returns:
        Number of a track -> what is said of it: of the track before that of the cluster, and a
        later line of the file before an earlier one.
    """
    rows = [(c.scope == 'track', c.line, c, track) for track, of in found.items() for c in of]
    names: dict[int, str] = {}
    denied: dict[int, set[str]] = collections.defaultdict(set)
    for _, _, correction, track in sorted(rows, key=lambda row: row[:2]):
        whole = correction.scope == 'cluster'
        for number in np.flatnonzero(groups == groups[track]).tolist() if whole else [track]:
            if correction.denied:
                denied[number].add(correction.person_id)
            else:
                names[number] = correction.person_id
    return {
        number: Said(names.get(number), frozenset(denied[number]))
        for number in sorted({*names, *denied})
    }


def kept_apart(said: Mapping[int, Said], apart: np.ndarray) -> np.ndarray:
    """Adds the pairs of tracks that are two people by what is said of them, bool [N, N]."""
    apart = apart.copy()
    for first, ours in said.items():
        for second, theirs in said.items():
            if first != second and (
                (theirs.person_id and ours.is_not(theirs.person_id))
                or (ours.person_id and theirs.is_not(ours.person_id))
            ):
                apart[first, second] = True
    return apart


def kinds(said: Mapping[int, Said], count: int) -> np.ndarray:
    """Numbers what is said of each track.

    Args:
        said: Number of a track -> what is said of it.
        count: N, how many tracks there are.

    Returns:
        int [N]: 0 where nothing is said, else the same number where the same is said.
    """
    numbers = {words: number for number, words in enumerate(dict.fromkeys(said.values()), 1)}
    found = np.zeros(count, int)
    for track, words in said.items():
        found[track] = numbers[words]
    return found


def _fit(correction: Correction, track: FaceTrack) -> float:
    """How much of the box and the track's at that time is common, 0 to 1."""
    if not track.start - _NEAR <= correction.time <= track.end + _NEAR:
        return 0.0
    box = np.array([np.interp(correction.time, track.times, side) for side in track.boxes.T])
    own = np.asarray(correction.box)
    common = np.clip(np.minimum(box[2:], own[2:]) - np.maximum(box[:2], own[:2]), 0, None).prod()
    return float(common / ((box[2:] - box[:2]).prod() + (own[2:] - own[:2]).prod() - common))


def _correction(row: dict[str, str], line: int, people: dict[str, str], where: str) -> Correction:
    values = {}
    for column in ('time', 'ymin', 'xmin', 'ymax', 'xmax'):
        try:
            # A spreadsheet may write numbers with a comma, and semicolons between cells.
            values[column] = float(row[column].replace(',', '.'))
        except ValueError:
            values[column] = np.nan
        if not np.isfinite(values[column]):
            raise UserError(f'{where}: {column} is {row[column]!r}, expected a number')
    box = tuple(values[column] for column in ('ymin', 'xmin', 'ymax', 'xmax'))
    if not (box[0] < box[2] and box[1] < box[3]):
        raise UserError(f'{where}: the box is {box}, expected ymin < ymax and xmin < xmax')
    scope = row['scope'] or 'track'
    if scope not in SCOPES:
        raise UserError(f'{where}: scope is {scope!r}, expected one of {SCOPES}')
    name = row['name']
    # There are people who are called Not.
    denied = name.casefold().startswith(_NOT) and person_names.key(name) not in people
    name = name[len(_NOT) :] if denied else name
    unknown = not denied and person_names.same(name, UNKNOWN)
    person_id = '' if unknown else people.get(person_names.key(name))
    if person_id is None:
        raise UserError(
            f'{where}: {name!r} is not in the cast list; expected one of its names, "not NAME" or '
            f'{UNKNOWN!r}'
        )
    return Correction(line, row['video'], values['time'], box, scope, person_id, denied)
