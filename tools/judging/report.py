"""Checks evaluations against the claims: gains over CLIP, order of forms, controls."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cpad_jax.protocols.compound import comparison, results, table
from cpad_jax.ranking import bootstrap, rows
from cpad_jax.ranking.method import (
    BLURRED_FACES,
    CLIP,
    CLIP_FACES,
    CONTROLS,
    LATE_FUSION,
    NO_PERSON,
    PAD_IMAGE,
    PAD_TEXT,
    PAD_TEXT_IMAGE,
    PERSON_ONLY,
    WITH_FACES,
    WITH_FACES_AND_NAME,
    WRONG_PERSON,
    Method,
)
from cpad_jax.ranking.query import SCENARIOS
from cpad_jax.report.table import Cell, Table
from cpad_jax.synthetic.caption_shards import held_out_pairs

SAMPLES, SEED = 2000, 0
# Training photos of a person: label, fewest, most.
PHOTOS = (('0', 0, 0), ('1-5', 1, 5), ('6-20', 6, 20), ('more', 21, np.inf))
KEPT = 0.85  # Least ratio of hits of unseen to seen people, and of held-out to other pairs.
CEILING = 0.20  # Of controls at hit@1 of action + place.
SLACK = 0.02  # Tolerance of "no worse than".
FORMS = (PAD_TEXT, PAD_IMAGE, PAD_TEXT_IMAGE)
# Row → the row of the paper whose gain it is compared with.
GAINED = {form: form for form in FORMS} | {
    WITH_FACES: PAD_IMAGE, WITH_FACES_AND_NAME: PAD_TEXT_IMAGE,
}  # fmt: skip
# The rows of tables by strata.
STRATIFIED = (
    CLIP, *FORMS, CLIP_FACES, LATE_FUSION, WITH_FACES,
)  # fmt: skip
SHORT_CUTS = (
    PERSON_ONLY, NO_PERSON, WRONG_PERSON, BLURRED_FACES,
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Ranked:
    """Evaluations of one world, the mean over initial seeds.

    Attributes:
        scenario: str [Q].
        person: str [Q], the person of each query.
        pair: (action, place) of each query, '' for none.
        seen: bool [Q].
        hits: `Method.key` → metric ('hit@1', 'hit@5') → [Q], shares of the seeds.
        each: The same by initial seed, [S, Q].
        read: bool [Q], whether plain CLIP has read the name; None where it is not known.
    """

    scenario: np.ndarray
    person: np.ndarray
    pair: list[tuple[str, str]]
    seen: np.ndarray
    hits: dict[str, dict[str, np.ndarray]]
    each: dict[str, dict[str, np.ndarray]]
    read: np.ndarray | None = None

    def cell(self, scenario: str, people: str = 'seen') -> np.ndarray:
        """The queries of a scenario about one of `rows.GROUPS`: bool [Q]."""
        return (self.scenario == scenario) & rows.in_group(self.seen, self.read, people)

    def runs(
        self,
        which: np.ndarray,
        a: Method,
        b: Method | None = None,
        metric: str = 'hit@1',
        first_seed: int = 0,
    ) -> list[bootstrap.Run]:
        """A metric of method `a`, or its difference to that of `b`, by initial seed.

        Args:
            which: bool [Q], queries, one or more.
            a: A method.
            b: Another one, or None.
            metric: 'hit@1' or 'hit@5'.
            first_seed: Number of the first initial seed; the others follow.
        """
        values = self.each[a.key][metric]
        if b is not None:
            values = values - self.each[b.key][metric]
        people = self.person[which]
        return [bootstrap.Run(first_seed + n, people, row[which]) for n, row in enumerate(values)]


def read(folders: Sequence[Path]) -> Ranked:
    """Reads `ranks.npz` of one world, one folder per initial seed."""
    loaded: list[dict[str, np.ndarray]] = []
    for folder in folders:
        with np.load(folder / 'ranks.npz', allow_pickle=False) as file:
            loaded.append({name: file[name] for name in file.files})
    first = loaded[0]
    ids = [str(name).split('/') for name in first['query_id']]
    ends = np.cumsum(first['num_relevant'])[:-1]
    each: dict[str, dict[str, np.ndarray]] = {}
    for key in first:
        if key in comparison.NO_METHOD or not all(key in one for one in loaded):
            continue
        best = np.array([
            [ranks[0] for ranks in np.split(one[key], ends)] for one in loaded
        ])  # fmt: skip
        each[key] = {f'hit@{k}': (best <= k).astype(float) for k in (1, 5)}
    hits = {
        key: {metric: values.mean(axis=0) for metric, values in by_metric.items()}
        for key, by_metric in each.items()
    }
    pairs = [
        (words[0] if scenario != 'place' else '', words[-1] if scenario != 'action' else '')
        for scenario, _, *words in ids
    ]
    return Ranked(
        scenario=np.array([i[0] for i in ids]), person=np.array([i[1] for i in ids]), pair=pairs,
        seen=first['seen'], hits=hits, each=each, read=first.get('read'),
    )  # fmt: skip


class Interval(NamedTuple):
    """A number with its 95 % bounds, NaN where they are not defined."""

    value: float
    low: float
    high: float

    def cell(self, form: str = '+.3f') -> Cell:
        """The cell of a table."""
        return Cell(*self, form=form)


def _difference(
    ranked: Ranked,
    which: np.ndarray,
    a: Method,
    b: Method,
    metric: str = 'hit@1',
) -> Interval:
    change = bootstrap.over_runs(ranked.runs(which, a, b, metric), SAMPLES, SEED)
    return Interval(change['mean'], change['low'], change['high'])


def _ratio(ranked: Ranked, method: Method, a: np.ndarray, b: np.ndarray) -> Interval:
    above, below = ranked.runs(a, method), ranked.runs(b, method)
    ratio = bootstrap.ratio_over_runs(above, below, SAMPLES, SEED)
    return Interval(ratio['ratio'], ratio['low'], ratio['high'])


def _verdict(holds: bool) -> str:
    return 'holds' if holds else 'FAILS'


def gains(ranked: Ranked) -> Table:
    """Hits and lower bounds of CLIP-PAD − CLIP on seen people, against the paper's."""
    lines = []
    for form, published in GAINED.items():
        if form.key not in ranked.hits:
            continue
        name = f'{form.person_query} + faces' if form != published else form.person_query
        for number, scenario in enumerate(SCENARIOS):
            which = ranked.cell(scenario)
            for place, metric in enumerate(('hit@1', 'hit@5')):
                paper_hit = table.PAPER[published.key][number][place] / 100
                paper_gain = paper_hit - table.PAPER[CLIP.key][number][place] / 100
                hit = float(ranked.hits[form.key][metric][which].mean())
                low = _difference(ranked, which, form, CLIP, metric).low
                short = [f'hit by {paper_hit - hit:.3f}'] if hit < paper_hit else []
                short += [f'gain by {paper_gain - low:.3f}'] if low < paper_gain else []
                verdict = ' '.join(filter(None, [_verdict(not short), ', '.join(short)]))
                lines.append([
                    name, scenario, metric, Cell(hit), Cell(low, form='+.3f'), Cell(paper_hit),
                    Cell(paper_gain, form='+.3f'), verdict,
                ])  # fmt: skip
    return Table(
        'seen people: hits, and the lower bound of the paired gain over CLIP',
        ['query', 'scenario', 'metric', 'hit', 'gain ≥', 'paper: hit', 'gain', 'claim'], lines,
        labels=3,
    )  # fmt: skip


def orders(ranked: Ranked) -> Table:
    """Text + image ≥ image ≥ text, at hit@1."""
    lines = []
    for a, b in ((PAD_TEXT_IMAGE, PAD_IMAGE), (PAD_IMAGE, PAD_TEXT)):
        for scenario in SCENARIOS:
            change = _difference(ranked, ranked.cell(scenario), a, b)
            pair = f'{a.person_query} − {b.person_query}'
            lines.append([pair, scenario, change.cell(), _verdict(change.low > -SLACK)])
    return Table(
        'order of forms at hit@1, seen people', ['', 'scenario', 'difference', 'claim'], lines, 2
    )


def unseen_people(ranked: Ranked) -> Table:
    """People never seen: photos keep most of the hits, names alone give none."""
    lines = []
    for scenario in SCENARIOS:
        seen, unseen = ranked.cell(scenario), ranked.cell(scenario, 'unseen')
        if not seen.any() or not unseen.any():
            continue
        kept = _ratio(ranked, PAD_IMAGE, unseen, seen)
        verdict = _verdict(kept.value >= KEPT)
        lines.append(['image: unseen / seen', scenario, kept.cell('.2f'), verdict])
        if NO_PERSON.key not in ranked.hits:
            continue
        change = _difference(ranked, unseen, PAD_TEXT, NO_PERSON)
        holds = change.low <= 0 <= change.high
        lines.append(['text − no person', scenario, change.cell(), _verdict(holds)])
    return Table('people never seen, hit@1', ['', 'scenario', 'value', 'claim'], lines, 2)


def controls(ranked: Ranked) -> Table:
    """Every control at hit@1, and those that have to be near zero."""
    lines = []
    for method in CONTROLS:
        if method.key not in ranked.hits:
            continue
        hits = [float(ranked.hits[method.key]['hit@1'][ranked.cell(s)].mean()) for s in SCENARIOS]
        verdict = _verdict(hits[-1] < CEILING) if method in SHORT_CUTS else ''
        lines.append([str(method.control), *map(Cell, hits), verdict])
    return Table('controls at hit@1, seen people', ['control', *SCENARIOS, 'claim'], lines)


def held_out(ranked: Ranked) -> Table:
    """Pairs that no captioned picture of the backbone's training has."""
    pairs, both = held_out_pairs(), ranked.cell('action+place')
    rare = np.array([pair in pairs for pair in ranked.pair])
    lines = []
    for form in FORMS:
        kept = _ratio(ranked, form, both & rare, both & ~rare)
        count = str(int((both & rare).sum()))
        verdict = _verdict(kept.value >= KEPT)
        lines.append([form.person_query, count, kept.cell('.2f'), verdict])
    return Table(
        'action-place pairs held out of pre-training, hit@1 relative to the other pairs',
        ['query', 'queries', 'ratio', 'claim'], lines,
    )  # fmt: skip


def strata(ranked: Ranked) -> Table:
    """The rows of `STRATIFIED`, by whether plain CLIP has read the name."""
    lines = []
    for people in rows.STRATA:
        for scenario in SCENARIOS:
            which = ranked.cell(scenario, people)
            if not which.any():
                continue
            counts = [str(int(which.sum())), str(len(set(ranked.person[which])))]
            group = [people, scenario]
            for method in STRATIFIED:
                if method.key not in ranked.hits:
                    continue
                mean = bootstrap.over_runs(ranked.runs(which, method), SAMPLES, SEED)
                hits = Cell(mean['mean'], mean['low'], mean['high'])
                lines.append([*group, ' '.join(table.label(method.key).split()), *counts, hits])
            for a, b in results.IN_STRATA:
                if a.key in ranked.hits and b.key in ranked.hits:
                    pair = ' '.join(f'{table.label(a.key)} − {table.label(b.key)}'.split())
                    lines.append([*group, pair, *counts, _difference(ranked, which, a, b).cell()])
    return Table(
        'by whether plain CLIP has read the name: hit@1 [95 % interval]',
        ['people', 'scenario', 'method', 'queries', 'people', 'hit@1'], lines, labels=3,
    )  # fmt: skip


def by_photos(ranked: Ranked, photos: Mapping[str, int]) -> Table:
    """The gain of text + image over text, by the person's training photos.

    Args:
        ranked: Evaluations of one world.
        photos: person_id → training photos, 0 for people never seen.
    """
    lines = []
    counts = np.array([photos[person] for person in ranked.person])
    for name, low, high in PHOTOS:
        which = (counts >= low) & (counts <= high)
        if which.any():
            text, both = (
                Cell(float(ranked.hits[form.key]['hit@1'][which].mean()))
                for form in (PAD_TEXT, PAD_TEXT_IMAGE)
            )
            change = _difference(ranked, which, PAD_TEXT_IMAGE, PAD_TEXT)
            lines.append([name, str(int(which.sum())), text, both, change.cell()])
    return Table(
        'hit@1, all scenarios, by training photos of the person',
        ['photos', 'queries', 'text', 'text+image', 'difference'], lines,
    )  # fmt: skip


def render(ranked: Ranked, photos: Mapping[str, int]) -> str:
    """The whole report on one world; arguments as in `by_photos`."""
    tables = (
        gains(ranked), strata(ranked), orders(ranked), unseen_people(ranked), controls(ranked),
        held_out(ranked), by_photos(ranked, photos),
    )  # fmt: skip
    return '\n\n'.join(part.text() for part in tables if part.rows)
