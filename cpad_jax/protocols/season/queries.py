"""Queries of a season: its videos, who does what when, and the segments that are relevant.

The truth is an annotation table (`data.annotations`), whose rows name the part of a video that they
describe. A segment is relevant to "person, action" if the person is seen doing it for at
least a stated share of the segment.
"""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cpad_jax.data import annotations as data_annotations
from cpad_jax.errors import UserError
from cpad_jax.protocols.season.segmentation import Span, overlap
from cpad_jax.text.prompts import ACTION_PHRASES, query_text


@dataclasses.dataclass(frozen=True)
class Truth:
    """The content of the annotation table of a season.

    Attributes:
        videos: Its files, by number.
        titles: The ids of the titles that the rows name; no reference photo may come from them.
        names: person_id → name.
        doings: (person_id, action) → number of the video → when the person is seen doing it.
    """

    videos: tuple[Path, ...]
    titles: frozenset[str]
    names: Mapping[str, str]
    doings: Mapping[tuple[str, str], Mapping[int, Sequence[Span]]]


@dataclasses.dataclass(frozen=True)
class SeasonQuery:
    """A compound query of a season.

    Attributes:
        person_id: The person.
        name: Their name.
        action: What they do: a key of `ACTION_PHRASES`, or a phrase.
        relevant: For each segmentation the numbers of the relevant segments, ascending.
    """

    person_id: str
    name: str
    action: str
    relevant: tuple[np.ndarray, ...]

    @property
    def query_id(self) -> str:
        """Unique and readable."""
        return f'{self.person_id}/{self.action}'

    def text(self, named: bool, person_token: bool) -> str:
        """For instance 'Orla Brandt [TOK] hugging someone', or 'a person hugging someone'."""
        who = query_text(self.name if named else None, None, None, person_token)
        return f'{who} {ACTION_PHRASES.get(self.action, self.action)}'


def read_truth(table: str | Path, folder: str | Path) -> Truth:
    """Reads the annotation table of a season.

    Args:
        table: The table; each row names its video.
        folder: Of the videos.

    Raises:
        UserError: As `annotations.read_lines`; a row names no video or one that is not there, or
            no row says what a person does.
    """
    table, folder = Path(table), Path(folder)
    numbers: dict[str, int] = {}
    titles, names = set(), {}
    doings: dict[tuple[str, str], dict[int, list[Span]]] = collections.defaultdict(
        lambda: collections.defaultdict(list)
    )
    for line, row in data_annotations.read_lines(table):
        where = f'{table}:{line}'
        if not row.video:
            raise UserError(
                f'{where}: video is empty, expected the file of the episode, under {folder}'
            )
        if row.video not in numbers:
            if not (folder / row.video).is_file():
                raise UserError(
                    f'{where}: there is no video {folder / row.video}; put it there, or give the '
                    'folder as config.eval.season.videos'
                )
            numbers[row.video] = len(numbers)
        titles.add(row.title)
        for person in row.people:
            names[person.person_id] = person.name
            span = _seen(row, person)
            for action in person.actions or ():
                doings[person.person_id, action][numbers[row.video]].append(span)
    if not doings:
        raise UserError(
            f'{table}: no row says what a person does; write it under the person\'s key "actions"'
        )
    videos = tuple(folder / name for name in numbers)
    return Truth(videos, frozenset(titles), names, doings)


def _seen(row: data_annotations.ClipAnnotation, person: data_annotations.PersonAnnotation) -> Span:
    """From the first to the last moment at which a face is seen; without any, all of the row."""
    if person.times:
        return row.start + person.times[0], row.start + person.times[-1]
    return row.start, math.inf if row.end is None else row.end


def relevant_segments(
    doing: Mapping[int, Sequence[Span]], segments: Sequence[Sequence[Span]], min_share: float
) -> np.ndarray:
    """The segments that show something long enough.

    Args:
        doing: Number of a video → when it is to be seen there.
        segments: For each video its segments; they are numbered through, video after video.
        min_share: Of a segment, above 0, at most 1.

    Returns:
        int64, numbers of segments, ascending.
    """
    relevant, first = [], 0
    for number, spans in enumerate(segments):
        lengths = np.array([end - start for start, end in spans])
        # Times in tables are rounded, and a share that is just reached counts.
        enough = overlap(doing.get(number, ()), spans) >= min_share * lengths - 1e-6
        relevant.append(first + np.flatnonzero(enough))
        first += len(spans)
    return np.concatenate(relevant)


def build_queries(
    truth: Truth,
    segmentations: Sequence[Sequence[Sequence[Span]]],
    people: Sequence[str],
    min_share: float,
    fewest: int,
    most: int,
) -> list[SeasonQuery]:
    """The queries that every segmentation allows, so that all are compared on the same ones.

    Args:
        truth: Of the season.
        segmentations: Of each segmentation the segments of each video.
        people: person_ids of whom there are photos.
        min_share: As in `relevant_segments`.
        fewest: Least number of relevant segments in each segmentation.
        most: Largest number.

    Returns:
        Queries by person, then action.
    """
    known, queries = set(people), []
    for person_id, action in sorted(truth.doings):
        if person_id not in known:
            continue
        relevant = tuple(
            relevant_segments(truth.doings[person_id, action], segments, min_share)
            for segments in segmentations
        )
        if all(fewest <= len(numbers) <= most for numbers in relevant):
            queries.append(SeasonQuery(person_id, truth.names[person_id], action, relevant))
    return queries
