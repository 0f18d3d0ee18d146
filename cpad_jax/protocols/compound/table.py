"""The tables of compound queries, with the paper's own numbers beside ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cpad_jax.ranking.method import (
    CE,
    CLIP,
    CLIP_FACES,
    CONTROLS,
    LATE_FUSION,
    METHODS,
    PAD_IMAGE,
    PAD_MEMORY,
    PAD_TEXT,
    PAD_TEXT_IMAGE,
    WITH_FACES,
)
from cpad_jax.ranking.query import SCENARIOS
from cpad_jax.ranking.rows import STRATA
from cpad_jax.report.table import Cell, Table, percent

# Korbar and Zisserman, BMVC 2022: R@1 and R@5 in percent for action, place, action + place.
PAPER = {
    CE.key: ((35.3, 65.1), (36.7, 65.3), (32.1, 62.5)),
    CLIP.key: ((42.4, 73.5), (58.2, 78.1), (39.9, 72.0)),
    PAD_TEXT.key: ((62.1, 81.3), (67.8, 87.0), (64.2, 81.1)),
    PAD_IMAGE.key: ((64.5, 83.7), (68.2, 87.3), (64.9, 81.8)),
    PAD_TEXT_IMAGE.key: ((65.0, 85.4), (71.5, 88.6), (66.3, 82.7)),
}
PAPER_NOTE = (
    'CE is Collaborative Experts. The paper of CLIP-PAD (BMVC 2022) measured on real films,',
    'Celebrities in Action: another data set. Compare the pattern, not the numbers.',
)
# Of Celebrities in Action as it is built here.
REBUILT_NOTE = (
    'CE is Collaborative Experts. The paper of CLIP-PAD (BMVC 2022) had clips of this kind, but',
    'which ones and whose is not public. Compare the pattern, not the numbers.',
)
CLIP_RELEVANCE_NOTE = (
    'Where it is unknown who does what, all people of a clip count as doing what is done in it.'
)
# Of rows that look at faces from near.
FACES = tuple(method.key for method in (CLIP_FACES, LATE_FUSION, WITH_FACES))
FACES_NOTE = (
    "Rows with faces look where the records' boxes say that faces are (oracle), those named",
    "'detected' where a face detector finds some; 'closed': the bank of words is the queries' own.",
)
# The rows that are shown of seen people by whether plain CLIP has read their names.
STRATIFIED = (
    CLIP.key, PAD_TEXT.key, PAD_IMAGE.key, PAD_TEXT_IMAGE.key,
    *FACES,
)  # fmt: skip

_KNOWN = tuple(method.key for method in METHODS + CONTROLS)
LABEL = 22  # Columns of the terminal that the name of a row takes, at most.

Row = Mapping[str, Any]


def key_of(row: Row) -> str:
    """`method.Method.key` of the method that a row is about."""
    return '/'.join(filter(None, [row['method'], row['person_query'], row['control']]))


def find(rows: Sequence[Row], key: str, scenario: str, people: str) -> Row | None:
    """The row of a method (`method.Method.key`) for a scenario and a group of people, or None."""
    for row in rows:
        if (key_of(row), row['scenario'], row['people']) == (key, scenario, people):
            return row
    return None


def in_order(keys: Iterable[str]) -> list[str]:
    """`Method.key`s in the order of the table: the paper's rows, CE always, then further methods.

    Args:
        keys: Keys of evaluated methods; controls are left out.
    """
    keys = list(dict.fromkeys(keys))
    known = [method.key for method in METHODS if method.key in keys or method == CE]
    return [*known, *(key for key in keys if key not in _KNOWN)]


def label(key: str) -> str:
    """The name of a row in a terminal: 'CLIP-PAD  text+image', 'CLIP-PAD  name memory'."""
    method, form, *control = key.split('/')
    if control:
        return f'{method}  {control[0]}'
    if key == PAD_MEMORY.key:
        method, form = PAD_TEXT.name, 'name memory'
    elif key not in _KNOWN:
        # The names of further methods are longer than the column: 'PAD + faces, detected'.
        return method.replace('CLIP-PAD', 'PAD')[:LABEL] if len(method) > LABEL else method
    return f'{method:<8}  {form}'


def paper_values(key: str, scenario: str) -> tuple[float | None, float | None]:
    """The paper's R@1 and R@5 in percent of a method for a scenario; None where it has none."""
    return PAPER[key][SCENARIOS.index(scenario)] if key in PAPER else (None, None)


def scenarios_of(rows: Sequence[Row]) -> list[str]:
    """The scenarios of some rows, in the order of the paper."""
    return [s for s in SCENARIOS if any(row['scenario'] == s for row in rows)]


def hits(
    rows: Sequence[Row],
    title: str,
    keys: Sequence[str],
    people: str,
    paper: bool = False,
    compact: bool = False,
    notes: Sequence[str] = (),
) -> Table:
    """hit@1 with its interval, and hit@5, of methods by scenario.

    Args:
        rows: Of `results.json`.
        title: Of the table.
        keys: `Method.key` of its rows.
        people: One of `rows.GROUPS`.
        paper: Whether the paper's numbers stand beside ours.
        compact: Whether a row has one label, see `label`, in place of method and person query.
        notes: Below the table.
    """
    scenarios, labels = scenarios_of(rows), 1 if compact else 2
    lines: list[list[str | Cell]] = []
    for key in keys:
        method, form, *control = key.split('/')
        names = [label(key)] if compact else [', '.join([method, *control]), form]
        line: list[str | Cell] = list(names)
        for scenario in scenarios:
            row = find(rows, key, scenario, people)
            line += [percent(row, 'hit@1'), percent(row, 'hit@5', bounds=False)]
        if paper:
            theirs = [value for scenario in scenarios for value in paper_values(key, scenario)]
            line += [Cell(value, form='.1f') for value in theirs]
        lines.append(line)
    blank, width = [('', 1)] * labels, 2 * len(scenarios)
    names = [*blank, *((scenario, 2) for scenario in scenarios)]
    headings = [names]
    if paper:
        short = [scenario.replace('action+', 'act.+') for scenario in scenarios]
        headings = [
            [*blank, ('this data set, seen people', width), ('the paper: other data', width)],
            [*names, *((scenario, 2) for scenario in short)],
        ]
    return Table(
        title,
        [*(['method'] if compact else ['method', 'person query']),
         *['@1', '@5'] * (len(scenarios) * (1 + paper))],
        lines,
        labels,
        headings,
        {labels + width} if paper else (),
        notes,
    )  # fmt: skip


def comparisons(items: Sequence[Mapping[str, Any]]) -> list[Table]:
    """Paired differences and ratios at hit@1, each a table; none where there are none."""
    differences: list[list[str | Cell]] = []
    ratios: list[list[str | Cell]] = []
    for item in items:
        if item['metric'] != 'hit@1':
            continue
        if item['kind'] == 'ratio':
            cell = Cell(item['ratio'], item['low'], item['high'], '.2f', prefix='× ')
            ratios.append([item['scenario'], item['what'], cell])
        else:
            pair = ' '.join(f'{label(item["a"])} − {label(item["b"])}'.split())
            bounds = [None if (v := item[k]) is None else 100 * v
                      for k in ('difference', 'low', 'high')]  # fmt: skip
            people = item.get('people', 'seen')
            differences.append([item['scenario'], people, pair, Cell(*bounds, form='+.1f')])
    tables = []
    if differences:
        tables.append(Table(
            'Differences at hit@1 on the same queries, in points [95 % interval, people drawn '
            'anew]', ['scenario', 'people', 'difference of', 'points'], differences, 3,
        ))  # fmt: skip
    if ratios:
        tables.append(Table(
            'Ratios at hit@1 [95 % interval, people drawn anew]',
            ['scenario', 'ratio of', 'ratio'], ratios, 2,
        ))  # fmt: skip
    return tables


def methods(rows: Sequence[Row]) -> list[str]:
    """`Method.key` of the methods that have rows, in the order of the table."""
    keys = set(map(key_of, rows))
    return [key for key in in_order(map(key_of, rows)) if key in keys]


def queries_by_scenario(rows: Sequence[Row], people: str) -> str:
    """How many queries there are about a group of people: '98 action, 92 place'."""
    first = methods(rows)[0]
    found = {s: find(rows, first, s, people) for s in scenarios_of(rows)}
    return ', '.join(f'{row["num_queries"]} {s}' for s, row in found.items() if row)


def notes(rows: Sequence[Row]) -> list[str]:
    """What the reader of the main table must know."""
    first, order = rows[0], in_order(map(key_of, rows))
    world = '' if first['seed'] is None else f', world {first["seed"]}'
    lines = list(FACES_NOTE) if any(key in order for key in FACES) else []
    lines += [
        f'{first["dataset"]} {first["dataset_version"]}{world}: '
        f'{first["num_clips"]} clips; queries: {queries_by_scenario(rows, "seen")}.',
        f'Backbone {first["backbone"]}; up to {first["num_references"]} reference photos a query.',
        *(PAPER_NOTE if first['dataset'] != 'celebrities_in_action' else REBUILT_NOTE),
    ]
    return lines + [CLIP_RELEVANCE_NOTE] * (first['relevance'] == 'clip')


def tables(
    rows: Sequence[Row], compared: Sequence[Mapping[str, Any]], compact: bool
) -> list[Table]:
    """All tables: seen people with the paper's numbers, strata, controls, comparisons.

    Args:
        rows: Of `results.json`, one or more.
        compared: Of `comparisons.json`.
        compact: As in `hits`.
    """
    title = 'hit@1 and hit@5 in percent, ± half of the 95 % interval (people drawn anew)'
    order = in_order(map(key_of, rows))
    made = [hits(rows, title, order, 'seen', True, compact, notes(rows))]
    for people, who in STRATA.items():
        if any(row['people'] == people for row in rows):
            keys = [key for key in methods(rows) if key in STRATIFIED or people == 'unseen']
            title = f'{who} (queries: {queries_by_scenario(rows, people)})'
            made.append(hits(rows, title, keys, people, compact=compact))
    present = set(map(key_of, rows))
    if controls := [method.key for method in CONTROLS if method.key in present]:
        title = 'Controls, seen people: how often the clip of the right person is found'
        made.append(hits(rows, title, controls, 'seen', compact=compact))
    return made + comparisons(compared)


def render(
    rows: Sequence[Row], compared: Sequence[Mapping[str, Any]], markdown: bool = False
) -> str:
    """The tables as text; arguments as in `tables`.

    Args:
        rows: Of `results.json`, one or more.
        compared: Of `comparisons.json`.
        markdown: Markdown instead of plain text, in which no line is longer than 100 characters.
    """
    made = tables(rows, compared, compact=not markdown)
    return '\n\n'.join(one.markdown() if markdown else one.text() for one in made) + '\n'
