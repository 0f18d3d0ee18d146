"""The paper's table over several initial seeds and worlds: means with their 95 % intervals.

The bootstrap is over people and initial seeds (`bootstrap.over_runs`); worlds are fixed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cpad_jax.protocols.compound import results, table
from cpad_jax.ranking import bootstrap
from cpad_jax.ranking.method import CONTROLS
from cpad_jax.ranking.query import SCENARIOS
from cpad_jax.report.table import Cell, Table, in_percent
from tools.judging.report import SAMPLES, SEED, STRATIFIED, Ranked

_METRICS = ('hit@1', 'hit@5')
_PEOPLE = {
    'seen': 'people seen',
    'read': 'seen, name read',
    'unread': 'seen, name not read',
    'unseen': 'people never seen',
}
# Differences a − b of the last table.
_PAIRS = tuple(dict.fromkeys([*results.IN_STRATA, *results.DIFFERENCES]))

Runs = Sequence[tuple[int, Ranked]]  # Initial seed, and its evaluation on a world.


def methods(runs: Runs) -> list[str]:
    """`Method.key` of the methods of any run: the paper's rows first, with CE, no controls."""
    return table.in_order(key for _, run in runs for key in run.hits)


def _runs_of(
    runs: Runs, scenario: str, people: str, metric: str, a: str, b: str | None = None
) -> list[bootstrap.Run]:
    """A metric of a method, or its difference to another, in each run that has it and queries."""
    values_of_runs = []
    for seed, run in runs:
        which = run.cell(scenario, people)
        if which.any() and a in run.hits and (b is None or b in run.hits):
            values = run.hits[a][metric][which]
            if b is not None:
                values = values - run.hits[b][metric][which]
            values_of_runs.append(bootstrap.Run(seed, run.person[which], values))
    return values_of_runs


def shares(runs: Runs, key: str, scenario: str, metric: str, people: str = 'seen') -> np.ndarray:
    """A metric's share of the queries of a scenario in each run that has the method and queries."""
    values = _runs_of(runs, scenario, people, metric, key)
    return np.array([run.values.mean() for run in values])


def _cell(runs: list[bootstrap.Run], form: str = '.1f', bounds: bool = True) -> Cell:
    """The mean over runs in percent, such as '62.1 [60.0, 64.3]'."""
    if not runs:
        return Cell(None)
    mean = bootstrap.over_runs(runs, SAMPLES, SEED)
    low, high = (mean['low'], mean['high']) if bounds else (None, None)
    return in_percent(Cell(mean['mean'], low, high, form))


def render(runs: Runs) -> str:
    """The tables by group of people, controls, and differences.

    Args:
        runs: Evaluations of each initial seed on each world, one or more.
    """
    seeds = sorted({seed for seed, _ in runs})
    parts = [
        f'Percent, means over {len(runs)} runs (initial seeds × worlds)\n'
        f'[95 % interval: bootstrap over people and the {len(seeds)} initial seeds, worlds fixed]'
    ]
    stratified = [method.key for method in STRATIFIED]
    for people, title in _PEOPLE.items():
        if not any(run.cell(s, people).any() for _, run in runs for s in SCENARIOS):
            continue
        keys = methods(runs)
        if people in ('read', 'unread'):
            keys = [key for key in keys if key in stratified]
        parts.append(_table(runs, people, title, keys, paper=people == 'seen').text())
    controls = [c.key for c in CONTROLS if any(c.key in run.hits for _, run in runs)]
    if controls:
        parts.append(_table(runs, 'seen', 'controls, people seen', controls).text())
    differences = _differences(runs)
    if differences.rows:
        parts.append(differences.text())
    counts = {key: sum(key in run.hits for _, run in runs) for key in methods(runs)}
    fewer = [
        f'{table.label(key).strip()}: {count} of {len(runs)} runs'
        for key, count in counts.items()
        if count < len(runs)
    ]
    return '\n\n'.join([*parts, '\n'.join(fewer)]).rstrip()


def _table(runs: Runs, people: str, title: str, keys: Sequence[str], paper: bool = False) -> Table:
    rows = []
    for key in keys:
        row: list[str | Cell] = [table.label(key)]
        for scenario in SCENARIOS:
            at_1, at_5 = (_runs_of(runs, scenario, people, name, key) for name in _METRICS)
            row += [_cell(at_1), _cell(at_5, bounds=False)]
        if paper:
            row += [Cell(v, form='.1f') for s in SCENARIOS for v in table.paper_values(key, s)]
        rows.append(row)
    count = len(SCENARIOS) * len(_METRICS)
    scenarios = [(scenario, len(_METRICS)) for scenario in SCENARIOS]
    if not paper:
        headings = [[('', 1), *scenarios]]
        return Table(title, ['', *('@1', '@5') * len(SCENARIOS)], rows, headings=headings)
    return Table(
        title, ['', *('@1', '@5') * (2 * len(SCENARIOS))], rows,
        headings=[
            [('', 1), ('', count), ('the paper: other data', count)],
            [('', 1), *scenarios, *scenarios],
        ],
        rules=(1 + count,),
    )  # fmt: skip


def _differences(runs: Runs) -> Table:
    rows = []
    for people in _PEOPLE:
        for a, b in _PAIRS:
            if people != 'seen' and (a, b) not in results.IN_STRATA:
                continue
            cells = [
                _cell(_runs_of(runs, scenario, people, 'hit@1', a.key, b.key), '+.1f')
                for scenario in SCENARIOS
            ]
            if any(cell.value is not None for cell in cells):
                pair = ' '.join(f'{table.label(a.key)} − {table.label(b.key)}'.split())
                rows.append([f'{people}: {pair}', *cells])
    return Table('differences in hit@1, points', ['', *SCENARIOS], rows)
