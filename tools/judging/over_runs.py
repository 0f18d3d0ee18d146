"""The paper's table over several initial seeds and worlds: means with their 95 % intervals.

People and initial seeds are drawn anew (`bootstrap.over_runs`); worlds are as they were given.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cpad_jax.protocols.compound import results, table
from cpad_jax.ranking import bootstrap
from cpad_jax.ranking.method import CONTROLS
from cpad_jax.ranking.query import SCENARIOS
from tools.judging.report import SAMPLES, SEED, STRATIFIED, Ranked

_METRICS = ('hit@1', 'hit@5')
_AT_1, _AT_5, _PAPER_WIDTH = 21, 6, 5
_WHO = {
    'seen': 'people seen',
    'read': 'seen, name read',
    'unread': 'seen, name not read',
    'unseen': 'people never seen',
}
# Differences a − b of the last table, whichever of these there are.
_PAIRS = tuple(dict.fromkeys([*results.IN_STRATA, *results.DIFFERENCES]))

Runs = Sequence[tuple[int, Ranked]]  # Initial seed, and what came out of it on a world.


def methods(runs: Runs) -> list[str]:
    """`Method.key` of all that is no control in any run: the paper's rows first, CE always."""
    return table.in_order(key for _, run in runs for key in run.hits)


def _of(
    runs: Runs, scenario: str, people: str, metric: str, a: str, b: str | None = None
) -> list[bootstrap.Run]:
    """A metric of a method, or its difference to another, in each run that has it and queries."""
    found = []
    for seed, run in runs:
        which = run.cell(scenario, people)
        if which.any() and a in run.hits and (b is None or b in run.hits):
            values = run.hits[a][metric][which]
            if b is not None:
                values = values - run.hits[b][metric][which]
            found.append(bootstrap.Run(seed, run.person[which], values))
    return found


def shares(runs: Runs, key: str, scenario: str, metric: str, people: str = 'seen') -> np.ndarray:
    """A metric's share of the queries of a scenario in each run that has the method and queries."""
    return np.array([run.values.mean() for run in _of(runs, scenario, people, metric, key)])


def _cell(runs: list[bootstrap.Run], metric: str, sign: str = '') -> str:
    """For instance '62.1 [60.0, 64.3]', percent; of hit@5 without the interval."""
    if not runs:
        return '–'
    found = bootstrap.over_runs(runs, SAMPLES, SEED)
    text = f'{100 * found["mean"]:{sign}.1f}'
    if metric == 'hit@5' or not np.isfinite(found['low']):
        return text
    return f'{text} [{100 * found["low"]:{sign}.1f}, {100 * found["high"]:{sign}.1f}]'


def render(runs: Runs) -> str:
    """The tables by group of people, and the differences that texts lean on.

    Args:
        runs: What came out of each initial seed on each world, one or more.
    """
    seeds = sorted({seed for seed, _ in runs})
    lines = [
        f'Percent, means over {len(runs)} runs (initial seeds × worlds)',
        f'[95 % interval: people and the {len(seeds)} initial seeds drawn anew, worlds as given]',
    ]
    stratified = [method.key for method in STRATIFIED]
    for people, who in _WHO.items():
        if not any(run.cell(s, people).any() for _, run in runs for s in SCENARIOS):
            continue
        keys = methods(runs)
        if people in ('read', 'unread'):
            keys = [key for key in keys if key in stratified]
        lines += ['', *_grid(runs, people, who, keys, paper=people == 'seen')]
    lines += ['', *_controls(runs), '', *_differences(runs)]
    fewer = {key: sum(key in run.hits for _, run in runs) for key in methods(runs)}
    lines += [''] + [
        f'{table.label(key).strip()}: {count} of {len(runs)} runs'
        for key, count in fewer.items()
        if count < len(runs)
    ]
    return '\n'.join(lines).rstrip()


def _grid(runs: Runs, people: str, who: str, keys: Sequence[str], paper: bool = False) -> list[str]:
    heads = [f'{s} @1'.rjust(_AT_1) + '@5'.rjust(_AT_5) for s in SCENARIOS]
    lines = [f'{who:<{table.LABEL}} ' + ''.join(heads)]
    if paper:
        lines[0] += ' │ the paper: other data'
    for key in keys:
        line = f'{table.label(key):<{table.LABEL}} '
        for scenario in SCENARIOS:
            for metric, width in zip(_METRICS, (_AT_1, _AT_5), strict=True):
                line += _cell(_of(runs, scenario, people, metric, key), metric).rjust(width)
        if paper:
            theirs = [number for s in SCENARIOS for number in table.paper_values(key, s)]
            line += ' │ ' + ' '.join(number.rjust(_PAPER_WIDTH - 1) for number in theirs)
        lines.append(line)
    return lines


def _controls(runs: Runs) -> list[str]:
    keys = [c.key for c in CONTROLS if any(c.key in run.hits for _, run in runs)]
    return _grid(runs, 'seen', 'controls, people seen', keys) if keys else []


def _differences(runs: Runs) -> list[str]:
    lines = ['differences in hit@1, points' + ''.join(s.rjust(22) for s in SCENARIOS)]
    for people in _WHO:
        for a, b in _PAIRS:
            if people != 'seen' and (a, b) not in results.IN_STRATA:
                continue
            cells = [
                _cell(_of(runs, scenario, people, 'hit@1', a.key, b.key), 'hit@1', '+')
                for scenario in SCENARIOS
            ]
            if set(cells) == {'–'}:
                continue
            pair = ' '.join(f'{table.label(a.key)} − {table.label(b.key)}'.split())
            lines.append(f'{people}: {pair}')
            lines.append(' ' * 28 + ''.join(cell.rjust(22) for cell in cells))
    return lines if len(lines) > 1 else []
