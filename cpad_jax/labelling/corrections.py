"""Manual corrections, which override the automatic labels.

A correction identifies a face by video, time and box, so that it still applies to the same face
after the videos are tracked or clustered again.
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
# A correction matches a track within so many seconds whose box has at least this overlap.
_NEAR, _OVERLAP = 0.5, 0.3


@dataclasses.dataclass(frozen=True)
class Correction:
    """One correction: who a face is, or is not.

    Attributes:
        line: Line number in the file.
        video: Name of the video in `tracks.csv`.
        time: Seconds of the video.
        box: ymin xmin ymax xmax as fractions of the picture.
        scope: 'track' for this track alone, 'cluster' for all tracks of its automatic cluster.
        person_id: Person of the cast, or '' for an unknown person.
        denied: Whether the face is *not* this person.
    """

    line: int
    video: str
    time: float
    box: tuple[float, float, float, float]
    scope: str
    person_id: str
    denied: bool


@dataclasses.dataclass(frozen=True)
class TrackCorrection:
    """The merged corrections of one track.

    Attributes:
        person_id: The person; '' for an unknown person, None without a correction that names one.
        denied: People whom the corrections exclude.
    """

    person_id: str | None
    denied: frozenset[str]

    def excludes(self, person_id: str) -> bool:
        """Whether the corrections exclude that this track is `person_id`."""
        return person_id in self.denied or self.person_id not in (None, person_id)


def read_corrections(path: str | os.PathLike[str], cast: Iterable[CastMember]) -> list[Correction]:
    """Reads a CSV file with the columns `COLUMNS`, whose rows may be copied from `tracks.csv`.

    Args:
        path: The file. `name` is a name or person_id of the cast, `not NAME`, or `unknown` for a
            face that stays unnamed. Further columns are ignored.
        cast: The people that names refer to.

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
    """Matches each correction to a face track.

    Args:
        corrections: As read.
        tracks: N tracks.
        videos: The video of each.

    Returns:
        (number of a track -> its corrections in the file's order, corrections without a match).
    """
    matched: dict[int, list[Correction]] = {}
    unmatched = []
    for correction in corrections:
        overlaps = [
            (_overlap(correction, track), -number)
            for number, track in enumerate(tracks)
            if in_utf8(videos[number]) == correction.video
        ]
        overlap, number = max(overlaps, default=(0.0, 0))
        if overlap >= _OVERLAP:
            matched.setdefault(-number, []).append(correction)
        else:
            unmatched.append(correction)
    return matched, unmatched


def by_track(
    matched: Mapping[int, Sequence[Correction]], groups: np.ndarray
) -> dict[int, TrackCorrection]:
    """Merges the corrections of each track and of its cluster.

    Args:
        matched: Number of a track -> its corrections.
        groups: int [N]: the cluster of each track, computed without corrections.

    Returns:
        Number of a track -> its merged correction. Those of the track override those of its
        cluster, and later lines of the file override earlier ones.
    """
    rows = [
        (correction.scope == 'track', correction.line, correction, track)
        for track, corrections in matched.items()
        for correction in corrections
    ]
    names: dict[int, str] = {}
    denied: dict[int, set[str]] = collections.defaultdict(set)
    for _, _, correction, track in sorted(rows, key=lambda row: row[:2]):
        members = [track]
        if correction.scope == 'cluster':
            members = np.flatnonzero(groups == groups[track]).tolist()
        for number in members:
            if correction.denied:
                denied[number].add(correction.person_id)
            else:
                names[number] = correction.person_id
    return {
        number: TrackCorrection(names.get(number), frozenset(denied[number]))
        for number in sorted({*names, *denied})
    }


def add_cannot_links(
    corrected: Mapping[int, TrackCorrection], cannot_link: np.ndarray
) -> np.ndarray:
    """Adds the pairs of tracks that are two people according to corrections; bool [N, N]."""
    cannot_link = cannot_link.copy()
    for first, a in corrected.items():
        for second, b in corrected.items():
            if first != second and (
                (b.person_id and a.excludes(b.person_id))
                or (a.person_id and b.excludes(a.person_id))
            ):
                cannot_link[first, second] = True
    return cannot_link


def constraint_ids(corrected: Mapping[int, TrackCorrection], count: int) -> np.ndarray:
    """Numbers the different corrections of tracks.

    Args:
        corrected: Number of a track -> its merged correction.
        count: N, the number of tracks.

    Returns:
        int [N]: 0 without a correction, else the same number for equal corrections.
    """
    numbers = {
        correction: number for number, correction in enumerate(dict.fromkeys(corrected.values()), 1)
    }
    ids = np.zeros(count, int)
    for track, correction in corrected.items():
        ids[track] = numbers[correction]
    return ids


def _overlap(correction: Correction, track: FaceTrack) -> float:
    """Intersection over union of a correction's box and the track's at that time, 0 to 1."""
    if not track.start - _NEAR <= correction.time <= track.end + _NEAR:
        return 0.0
    box = np.array([np.interp(correction.time, track.times, side) for side in track.boxes.T])
    other = np.asarray(correction.box)
    sides = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    common = np.clip(sides, 0, None).prod()
    return float(common / ((box[2:] - box[:2]).prod() + (other[2:] - other[:2]).prod() - common))


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
    # A person of the cast may be named Not.
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
