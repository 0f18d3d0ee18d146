"""The tables of two people and of rejection: for a terminal, as Markdown, and on a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cpad_jax.protocols.open_set import evaluate
from cpad_jax.protocols.pairs import results, scores
from cpad_jax.protocols.pairs.queries import ACTION, TOGETHER, WITHOUT
from cpad_jax.ranking import method, metrics, rejection
from cpad_jax.report import charts, page
from cpad_jax.report.table import Cell, Table, cell

# The method of each `person_query`.
_METHODS = {
    method.TEXT: 'CLIP, text', method.IMAGE: 'CLIP-PAD, image',
    method.TEXT_IMAGE: 'CLIP-PAD, text+image', scores.FACES: 'CLIP-PAD + faces, image',
    scores.NAMES_ON_FACES: 'CLIP + faces, text',
}  # fmt: skip
_QUERIES = {TOGETHER: '[A] and [B]', ACTION: '[A] hugging [B]', WITHOUT: '[A] without [B]'}
# The metrics that tables show; all are in `results.json`.
_COMPARED = ('hit@1', results.APART)
_POINTS = 200  # Of a curve, at most.


def _pairs(outcome: Mapping[str, Any]) -> list[Table]:
    tables = []
    for scenario in dict.fromkeys(row['scenario'] for row in outcome['pairs']):
        rows = [row for row in outcome['pairs'] if row['scenario'] == scenario]
        every = (*results.METRICS, results.APART, results.BOTH)
        names = [name for name in every if name in rows[0]]
        lines = [[row['way'], _METHODS[row['person_query']], *(cell(row, name) for name in names)]
                 for row in rows]  # fmt: skip
        first = rows[0]
        title = (
            f'"{_QUERIES[scenario]}": {first["num_queries"]} queries of {first["num_titles"]} '
            f'titles, {first["num_relevant"]:.1f} right clips each among {outcome["num_clips"]}'
        )
        tables.append(Table(title, ['query', 'method', *names], lines, 2))
    lines = []
    for row in outcome['comparisons']:
        if row['metric'] not in _COMPARED:
            continue
        value = Cell(row['difference'], row['low'], row['high'], '+.3f')
        lines.append([_QUERIES[row['scenario']], row['metric'], row['a'], row['b'], value])
    title = 'Both people less the better single one (A alone for A without B), on the same queries'
    tables.append(Table(title, ['scenario', 'metric', 'a', 'b', 'a − b'], lines, 4))
    lines = [
        [row['known'], _METHODS[row['person_query']], Cell(row['hit@1'])]
        for row in outcome['bounds']
    ]
    title = f'What bounds "{_QUERIES[ACTION]}": only clips in which a half is right are searched'
    return [*tables, *([Table(title, ['known', 'method', 'hit@1'], lines, 2)] if lines else [])]


def _order(rows: Sequence[Mapping[str, Any]]) -> Table:
    actions = list(dict.fromkeys(row['action'] for row in rows))
    ways = dict.fromkeys((row['way'], row['person_query']) for row in rows)
    by = {(row['way'], row['person_query'], row['action']): row for row in rows}
    lines = [
        [way, _METHODS[form], *(cell(by[way, form, action], 'told') for action in actions)]
        for way, form in ways
    ]
    head = [f'{a or "all"} ({by[*next(iter(ways)), a]["num_pairs"]})' for a in actions]
    title = 'Order: "A … B" above "B … A" for a clip in which A does it; 0.5 by chance'
    return Table(title, ['query', 'method', *head], lines, 2)


def _detection(rows: Sequence[Mapping[str, Any]]) -> Table:
    lines = [
        [
            row['scenario'], row['method'], row['calibration'], cell(row, 'equal_error_rate'),
            Cell(row['floor']), Cell(row['missed_at_0.1']),
            *(Cell(row[kind], form='.2f') for kind in evaluate.KINDS),
        ]
        for row in rows
    ]  # fmt: skip
    counts = ', '.join(
        f'{count} of {scenario}'
        for scenario, count in dict.fromkeys((r['scenario'], r['num_queries']) for r in rows)
    )
    title = (
        'Rejection: each query with its relevant clips in the gallery, and with only partial '
        f'matches left ({counts})'
    )
    head = ['scenario', 'method', 'calibrated', 'equal error rate', 'floor']
    head += ['missed at 10 % false alarms', *(f'alarm: {kind}' for kind in evaluate.KINDS)]
    return Table(title, head, lines, 3)


def tables(outcome: Mapping[str, Any]) -> list[Table]:
    """All tables of `results.json`."""
    made = _pairs(outcome)
    made += [_order(outcome['order'])] if outcome['order'] else []
    return made + ([_detection(outcome['detection'])] if outcome['detection'] else [])


def render(outcome: Mapping[str, Any]) -> str:
    """The tables for a terminal."""
    bounds = '[95 % intervals: whole titles drawn anew; of the last, people]'
    return '\n\n'.join([*(table.text() for table in tables(outcome)), bounds])


def markdown(outcome: Mapping[str, Any]) -> str:
    """The tables as Markdown."""
    return '\n\n'.join(table.markdown() for table in tables(outcome)) + '\n'


def sections(outcome: Mapping[str, Any], trials: Sequence[rejection.Trials]) -> list[page.Section]:
    """The parts of the page.

    Args:
        outcome: What `results.json` holds.
        trials: Of each row of its 'detection'.
    """
    grids = [table.html() for table in tables(outcome)]
    charted = _curves(outcome['detection'], trials)
    last = [grids.pop()] if outcome['detection'] else []
    return [
        page.Section('pairs', 'Two people', ''.join(grids)),
        page.Section('rejection', 'Rejection', ''.join([*last, charted])),
    ]


def _curves(rows: Sequence[Mapping[str, Any]], trials: Sequence[rejection.Trials]) -> str:
    """The trade-offs, a chart for each scenario and method."""
    drawn = []
    kinds = list(evaluate.CALIBRATIONS)
    for chart in dict.fromkeys((row['scenario'], row['method']) for row in rows):
        lines = []
        for row, of_row in zip(rows, trials, strict=True):
            if (row['scenario'], row['method']) != chart:
                continue
            both = metrics.det_curve(of_row.target, of_row.nontarget)
            step = -(-len(both.misses) // _POINTS)
            series = charts.Series(row['calibration'], kinds.index(row['calibration']))
            points = zip(both.false_alarms[::step], both.misses[::step], strict=True)
            lines.append((series, [(float(a), float(b)) for a, b in points]))
        drawn.append(charts.trade_off(', '.join(chart), lines, ('false alarms', 'missed')))
    if not drawn:
        return ''
    legend = charts.legend([charts.Series(name, number) for number, name in enumerate(kinds)])
    return f'{legend}<div class="charts">{"".join(drawn)}</div>'
