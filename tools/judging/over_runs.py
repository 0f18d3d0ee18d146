"""The poster's table over several initial seeds and worlds: mean and standard deviation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cpad_jax.retrieval import table
from cpad_jax.retrieval.scenarios import SCENARIOS
from tools.judging.report import Ranked

_METRICS = ('hit@1', 'hit@5')
_CELL, _POSTERS = 10, 5


def methods(runs: Sequence[Ranked]) -> list[str]:
    """`Method.key` of all that is no control in any run: the poster's rows first, CE always."""
    return table.in_order(key for run in runs for key in run.hits)


def shares(
    runs: Sequence[Ranked], key: str, scenario: str, metric: str, seen: bool = True
) -> np.ndarray:
    """A metric's share of the queries of a scenario in each run that has the method and queries."""
    cells = [(run, run.cell(scenario, seen)) for run in runs if key in run.hits]
    return np.array([run.hits[key][metric][own].mean() for run, own in cells if own.any()])


def _cell(values: np.ndarray) -> str:
    """For instance '62.1±0.8', percent; of a single run without the spread."""
    if not len(values):
        return '–'
    text = f'{100 * values.mean():.1f}'
    return text if len(values) == 1 else f'{text}±{100 * values.std(ddof=1):.1f}'


def render(runs: Sequence[Ranked]) -> str:
    """The tables of seen and of unseen people.

    Args:
        runs: What came out of each initial seed on each world, one or more.
    """
    lines = [f'Percent, mean ± standard deviation over {len(runs)} runs (initial seeds × worlds)']
    for seen, who in ((True, 'people seen in learning'), (False, 'people never seen')):
        if any((run.seen == seen).any() for run in runs):
            lines += ['', *_grid(runs, seen, who)]
    fewer = {key: sum(key in run.hits for run in runs) for key in methods(runs)}
    lines += [''] + [
        f'{table.label(key).strip()}: {count} of {len(runs)} runs'
        for key, count in fewer.items()
        if count < len(runs)
    ]
    return '\n'.join(lines).rstrip()


def _grid(runs: Sequence[Ranked], seen: bool, who: str) -> list[str]:
    width = len(_METRICS) * (_CELL + 1)
    heads = [f'{s} @1, @5'.rjust(width) for s in SCENARIOS]
    lines = [f'{who:<{table.LABEL}} ' + ''.join(heads)]
    if seen:
        lines[0] += ' │ the poster: other data'
    for key in methods(runs):
        line = f'{table.label(key):<{table.LABEL}} '
        for scenario in SCENARIOS:
            for metric in _METRICS:
                line += _cell(shares(runs, key, scenario, metric, seen)).rjust(_CELL + 1)
        if seen:
            theirs = [number for s in SCENARIOS for number in table.posters(key, s)]
            line += ' │ ' + ' '.join(number.rjust(_POSTERS - 1) for number in theirs)
        lines.append(line)
    return lines
