"""The page `season.html` of a season: its tables, how far down one must look, and timelines."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax.methods.conditions import Condition
from cpad_jax.protocols.protocol import Report
from cpad_jax.protocols.season import table
from cpad_jax.protocols.season.queries import SeasonQuery
from cpad_jax.protocols.season.search import Segmentation, Values
from cpad_jax.protocols.season.timeline import FULL, HALF, Lane, Mark, Segment, timeline
from cpad_jax.ranking import bootstrap
from cpad_jax.ranking.method import CLIP, PAD_TEXT_IMAGE
from cpad_jax.report import charts, page, strips
from cpad_jax.report.page import Section, name, text
from cpad_jax.report.table import Cell, Table

CUTOFFS = (1, 5, 10, 25, 50, 100, 250, 500, 1000)
SHOWN = 4  # Queries with a timeline.
FOUND = 0.5  # Of the right clips among the first 25, for a query that succeeds.
_CUTTINGS = 2  # Timelines beside each other, at most.


@dataclasses.dataclass(frozen=True)
class Searched:
    """The results of a search of a season.

    Attributes:
        rows: Of `season.json`.
        differences: Of `season_comparisons.json`.
        videos: The episodes' files.
        segmentations: C ways in which they were segmented.
        queries: Q queries.
        conditions: R conditions.
        values: As `search.search` gives them.
        arrays: The arrays of `season_ranks.npz`.
    """

    rows: Sequence[Mapping[str, Any]]
    differences: Sequence[Mapping[str, Any]]
    videos: Sequence[Path]
    segmentations: Sequence[Segmentation]
    queries: Sequence[SeasonQuery]
    conditions: Sequence[Condition]
    values: Values
    arrays: Mapping[str, np.ndarray]

    @property
    def episodes(self) -> list[str]:
        """Their names."""
        return [video.stem for video in self.videos]

    @property
    def best(self) -> int:
        """The number of the condition whose successes and failures are shown: the last one."""
        return len(self.conditions) - 1

    def series(self, number: int) -> charts.Series:
        """Label and colour of a condition."""
        condition = self.conditions[number]
        method = condition.method
        words = f'{method.name}, {method.control or method.person_query}'
        words += ', fine-tuned' if condition.fine_tuned else ''
        # A colour of its own for whatever timelines show: what comes first, the control, is last.
        return charts.Series(words, (number - 1) % len(self.conditions))

    def segments(self, column: int) -> list[Segment]:
        """The clips of a segmentation by their numbers."""
        return [
            Segment(episode, *span)
            for episode, spans in enumerate(self.segmentations[column].segments)
            for span in spans
        ]

    def first(self, column: int, row: int, query: int) -> np.ndarray:
        """Numbers of the best clips for a query, best first, 50 at most."""
        return self.arrays[f'{self.segmentations[column].key}/{self.conditions[row].key}/best'][
            query
        ]

    def when(self, column: int, row: int, query: int) -> np.ndarray:
        """The best moments of the clips of `first`, in seconds of their videos."""
        return self.arrays[f'{self.segmentations[column].key}/{self.conditions[row].key}/when'][
            query
        ]

    def ranks(self, column: int, row: int) -> list[np.ndarray]:
        """Ranks of the right clips of each query, ascending."""
        key = self.segmentations[column].key
        ends = np.cumsum(self.arrays[f'{key}/num_relevant'])[:-1]
        return np.split(self.arrays[f'{key}/{self.conditions[row].key}'], ends)


@dataclasses.dataclass(frozen=True)
class Shown:
    """A query with a timeline: its number, and images of its best clips."""

    number: int
    pictures: Sequence[strips.Picture] = ()


def choose(searched: Searched, seed: int) -> list[int]:
    """Queries to show, drawn by chance: as many that succeed as that fail, if there are.

    A query succeeds if at least `FOUND` of its right clips are among the first 25 of the first
    segmentation.

    Args:
        searched: The results.
        seed: Seed of the draw.

    Returns:
        Numbers of at most `SHOWN` queries, those that succeed first.
    """
    found = searched.values[0, searched.best]['recall@25'] >= FOUND
    rng = np.random.default_rng((seed, 11))
    good, bad = (list(rng.permutation(np.flatnonzero(found == kind))) for kind in (True, False))
    count = max(SHOWN // 2, SHOWN - len(bad))
    good = good[:count]
    return [int(number) for number in (*good, *bad[: SHOWN - len(good)])]


def tables(searched: Searched) -> Section:
    """The table of each segmentation."""
    body = ''.join(one.html() for one in table.tables(searched.rows))
    body += (
        '<p class="faint">R@K: share of all right clips inside the first K; last rank: of the last '
        'right one; means over queries [95 % interval, people drawn anew]. The paper searched '
        'another, real season by one query: compare the pattern, not the numbers.</p>'
    )
    return Section('table', 'Results', body)


def comparisons(searched: Searched) -> Section:
    """Before and after fine-tuning, and CLIP-PAD beside CLIP, on the same queries."""
    rows = searched.differences
    body = table.comparisons(rows).html() if rows else ''
    return Section('comparisons', 'Compared query by query', body)


def curves(searched: Searched, samples: int, seed: int) -> Section:
    """The share of right clips among the first K, for every segmentation and condition."""
    people = np.array([query.person_id for query in searched.queries])
    draws = bootstrap.PersonBootstrap(people, samples, seed)
    drawn = []
    for column, way in enumerate(searched.segmentations):
        at = [k for k in CUTOFFS if k <= way.num_clips]
        lines = []
        for row in range(len(searched.conditions)):
            ranks = searched.ranks(column, row)
            found = [np.array([(own <= k).mean() for own in ranks]) for k in at]
            points = [charts.Point(float(s.mean()), *draws.mean_bounds(s)) for s in found]
            lines.append((searched.series(row), points))
        title = f'{way.clips_per_minute:g} clips per minute, {way.cut}: R@K in percent'
        drawn.append(charts.curves(title, at, lines, 'K (clips)'))
    key = charts.legend([searched.series(row) for row in range(len(searched.conditions))])
    note = '<p>The share of the relevant clips among the first K.</p>'
    return Section(
        'curves', 'How far down', f'{note}{key}<div class="charts">{"".join(drawn)}</div>'
    )


def _lanes(searched: Searched) -> list[int]:
    """The conditions that timelines show: names by CLIP, and name and photos before and after."""
    wanted = (CLIP, PAD_TEXT_IMAGE)
    return [n for n, one in enumerate(searched.conditions) if one.method in wanted]


def _columns(searched: Searched) -> list[int]:
    """The segmentations that timelines show: those that cut as the first one does."""
    cut = searched.segmentations[0].cut
    return [n for n, one in enumerate(searched.segmentations) if one.cut == cut][:_CUTTINGS]


def _timelines(searched: Searched, query: int) -> str:
    queries, drawn = searched.queries[query], []
    for column in _columns(searched):
        way, segments = searched.segmentations[column], searched.segments(column)
        right = set(map(int, queries.relevant[column]))
        lanes = [
            Lane(
                searched.series(row),
                [
                    Mark(segments[clip], rank, int(clip) in right)
                    for rank, clip in enumerate(searched.first(column, row, query)[:HALF], start=1)
                ],
            )
            for row in _lanes(searched)
        ]
        seconds = [spans[-1][1] for spans in way.segments]
        drawn.append(timeline(
            f'{way.clips_per_minute:g} clips per minute, {way.cut}: {len(right)} of '
            f'{way.num_clips} clips are relevant', searched.episodes, seconds,
            [segments[clip] for clip in sorted(right)], lanes,
        ))  # fmt: skip
    return f'<div class="charts">{"".join(drawn)}</div>'


def _scores(searched: Searched, query: int) -> str:
    columns = _columns(searched)
    lines = []
    for row in range(len(searched.conditions)):
        cells = [
            Cell(searched.values[column, row][metric][query], form=form)
            for column in columns
            for metric, form in table.METRICS.items()
        ]
        lines.append([searched.series(row).label, *cells])
    heading = [('', 1), *((searched.segmentations[column].key, 3) for column in columns)]
    heads = ['method', *table.HEAD[3:] * len(columns)]
    return Table('This query by every method', heads, lines, 1, [heading]).html()


def timelines(searched: Searched, shown: Sequence[Shown]) -> Section:
    """The season as some queries see it."""
    best = searched.series(searched.best).label
    body = (
        f'<p>Queries drawn by chance, half of those that succeed by {text(best)} (at least '
        f'{100 * FOUND:.0f} % of the right clips among the first {FULL}) and half of those that '
        'fail, as far as there are any. Each row is an episode; relevant clips are shaded. Marks '
        f'are the clips that a method ranks first: tall up to rank {FULL}, short up to {HALF}; '
        'broad if right, thin if wrong.</p>'
    ) + charts.legend([searched.series(row) for row in _lanes(searched)])
    found = searched.values[0, searched.best]['recall@25']
    for one in shown:
        query = searched.queries[one.number]
        verdict = 'succeeds' if found[one.number] >= FOUND else 'fails'
        body += f'<h3>{name(query.text(True, True))}</h3><p class="faint">{verdict}</p>'
        body += _timelines(searched, one.number) + _scores(searched, one.number)
        if one.pictures:
            body += '<p>The reference photo, and the five clips that rank first:</p>'
            body += strips.strip(one.pictures)
    return Section('timelines', 'The season, query by query', body if shown else '')


def build(searched: Searched, shown: Sequence[Shown], config: Any) -> Report:
    """The whole page.

    Args:
        searched: The results.
        shown: The queries that have a timeline.
        config: The configuration.
    """
    first = searched.rows[0]
    people = len({query.person_id for query in searched.queries})
    counts = (
        f'its best {first["moment"]:g} seconds' if first['moment'] else 'the mean of its frames'
    )
    lead = (
        f'<p>{page.text(first["season"])}, {len(searched.videos)} episodes of together '
        f'{first["minutes"]:.0f} minutes: {len(searched.queries)} queries about {people} people; '
        f'backbone {page.text(first["backbone"])}, up to {first["num_references"]} reference '
        f'photos. A clip counts as {counts}.</p>'
    )
    sections = [
        tables(searched),
        curves(searched, config.eval.bootstrap_samples, config.seed),
        timelines(searched, shown),
        comparisons(searched),
    ]
    return Report(f'Searching a season: {config.name}', lead, sections)
