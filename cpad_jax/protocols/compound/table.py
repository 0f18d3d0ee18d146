"""The paper's table for a terminal and as Markdown, with the paper's own numbers beside ours."""

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
    Method,
)
from cpad_jax.ranking.query import SCENARIOS
from cpad_jax.ranking.rows import STRATA

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
    'Where nobody says who does what, all people of a clip count as doing what is done in it.'
)
# Of rows that look at faces from near.
FACES = tuple(method.key for method in (CLIP_FACES, LATE_FUSION, WITH_FACES))
FACES_NOTE = (
    "Rows with faces look where the records' boxes say that faces are (oracle), those named",
    "'detected' where a face detector finds some; 'closed': what is asked is the bank of words.",
)
# The rows that are shown of seen people by whether plain CLIP has read their names.
STRATIFIED = (
    CLIP.key, PAD_TEXT.key, PAD_IMAGE.key, PAD_TEXT_IMAGE.key,
    *FACES,
)  # fmt: skip

_NOTHING = '–'
_KNOWN = tuple(method.key for method in METHODS + CONTROLS)
LABEL = 22  # Columns of the terminal: what a row is called, and one scenario of ours.
_OURS = 13
_PAPER_WIDTH = 10

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


def percent(row: Row | None, metric: str, bounds: bool) -> str:
    """For instance '41.2±2.0', where 2.0 is half the width of the 95 % interval."""
    if row is None or row[metric] is None:
        return _NOTHING
    text = '100' if row[metric] == 1 else f'{100 * row[metric]:.1f}'
    low, high = row[f'{metric}_low'], row[f'{metric}_high']
    if not bounds or low is None:
        return text
    spread = 50 * (high - low)
    # No digit that is worth nothing, so that cells keep their width.
    return f'{text}±{spread:.1f}' if spread < 9.95 else f'{text}±{spread:.0f}'


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Lines of cells, head first, as text in columns as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        '  '.join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def in_order(found: Iterable[str]) -> list[str]:
    """`Method.key`s as the table has them: the paper's rows, CE always, then further methods.

    Args:
        found: Keys of what was asked; controls are left out.
    """
    found = list(dict.fromkeys(found))
    known = [method.key for method in METHODS]
    own = [key for key in known if key in found or key == CE.key]
    return [*own, *(key for key in found if key not in _KNOWN)]


def _ours(rows: Sequence[Row], key: str, scenario: str, people: str) -> tuple[str, str]:
    row = find(rows, key, scenario, people)
    return percent(row, 'hit@1', bounds=True), percent(row, 'hit@5', bounds=False)


def paper_values(key: str, scenario: str) -> tuple[str, str]:
    """The paper's R@1 and R@5 in percent of a method for a scenario, as text."""
    if key not in PAPER:
        return _NOTHING, _NOTHING
    at_1, at_5 = PAPER[key][SCENARIOS.index(scenario)]
    return f'{at_1:.1f}', f'{at_5:.1f}'


def label(key: str) -> str:
    """What a row is called in the terminal: 'CLIP-PAD  text+image', 'CLIP-PAD  name memory'."""
    method, form, *control = key.split('/')
    if control:
        return f'{method}  {control[0]}'
    if key == PAD_MEMORY.key:
        method, form = PAD_TEXT.name, 'name memory'
    elif key not in _KNOWN:
        # The further rows' names are longer than the column: 'PAD + faces, detected'.
        return method.replace('CLIP-PAD', 'PAD')[:LABEL] if len(method) > LABEL else method
    return f'{method:<8}  {form}'


def _plain_grid(
    rows: Sequence[Row], keys: Sequence[str], scenarios: Sequence[str], people: str, paper: bool
) -> list[str]:
    def line(label: str, ours: Sequence[str], theirs: Sequence[str]) -> str:
        left = ' '.join([label.ljust(LABEL), *(cell.rjust(_OURS) for cell in ours)])
        right = ' │ ' + ' '.join(cell.rjust(_PAPER_WIDTH) for cell in theirs)
        return (left + (right if paper else '')).rstrip()

    count = len(scenarios)
    names = [s.replace('action+', 'act.+') for s in scenarios]
    lines = [line('', scenarios, names), line('', ['@1   @5'] * count, ['@1   @5'] * count)]
    if paper:
        ours = 'this data set, seen people'.rjust(count * (_OURS + 1))
        theirs = 'the paper: other data'.rjust(count * (_PAPER_WIDTH + 1) - 1)
        lines.insert(0, f'{"":{LABEL}}{ours} │ {theirs}')
    lines.append('─' * max(map(len, lines)))
    for key in keys:
        ours = ['{:>8} {:>4}'.format(*_ours(rows, key, s, people)) for s in scenarios]
        theirs = ['{:>4} {:>4}'.format(*paper_values(key, s)) for s in scenarios]
        lines.append(line(label(key), ours, theirs))
    return lines


def _pair(cells: tuple[str, str]) -> str:
    return _NOTHING if set(cells) == {_NOTHING} else ' · '.join(cells)


def _markdown_grid(
    rows: Sequence[Row], keys: Sequence[str], scenarios: Sequence[str], people: str, paper: bool
) -> list[str]:
    head = ['method', 'person query']
    head += [f'{scenario} @1 · @5' for scenario in scenarios]
    if paper:
        head += [f'*paper: {scenario}*' for scenario in scenarios]
    cells = [head, ['---', '---'] + ['---:'] * (len(head) - 2)]
    for key in keys:
        method, form, *control = key.split('/')
        cells.append([f'{method}, {control[0]}' if control else method, form])
        cells[-1] += [_pair(_ours(rows, key, s, people)) for s in scenarios]
        if paper:
            theirs = [_pair(paper_values(key, s)) for s in scenarios]
            cells[-1] += [cell if cell == _NOTHING else f'*{cell}*' for cell in theirs]
    return ['| ' + ' | '.join(line) + ' |' for line in cells]


def _comparison(item: Mapping[str, Any]) -> str:
    """One line, e.g. 'action  CLIP-PAD image − CLIP text  +20.1 points [+17.2, +23.0]'."""
    if item['kind'] == 'ratio':
        line = f'{item["scenario"]:<13} {item["what"]:<53} '
        if item['ratio'] is None:
            return line + _NOTHING
        line += f'× {item["ratio"]:.2f}'
        return line if item['low'] is None else line + f' [{item["low"]:.2f}, {item["high"]:.2f}]'
    pair = ' '.join(f'{label(item["a"])} − {label(item["b"])}'.split())
    line = f'{item["scenario"]:<13} {item.get("people", "seen"):<6} {pair:<46} '
    if item['difference'] is None:
        return line + _NOTHING
    line += f'{100 * item["difference"]:+.1f} points'
    if item['low'] is not None:
        line += f' [{100 * item["low"]:+.1f}, {100 * item["high"]:+.1f}]'
    return line


def render(
    rows: Sequence[Row], comparisons: Sequence[Mapping[str, Any]], markdown: bool = False
) -> str:
    """The whole result as text.

    Args:
        rows: Of `results.json`, one or more.
        comparisons: Of `comparisons.json`.
        markdown: Markdown instead of plain text.

    Returns:
        Seen people with the paper's numbers beside ours, unseen people, controls, comparisons. In
        plain text no line is longer than 100 characters.
    """
    first = rows[0]
    scenarios = [s for s in SCENARIOS if any(row['scenario'] == s for row in rows)]
    world = '' if first['seed'] is None else f', world {first["seed"]}'
    grid = _markdown_grid if markdown else _plain_grid

    def present(methods: Sequence[Method]) -> list[str]:
        keys = [method.key for method in methods]
        return [key for key in keys if any(find(rows, key, s, 'all') for s in scenarios)]

    order = in_order(map(key_of, rows))  # With CE, which the paper has.
    methods = [key for key in order if any(find(rows, key, s, 'all') for s in scenarios)]

    def title(text: str) -> list[str]:
        return ['', f'**{text}**' if markdown else text, '']

    def asked(people: str) -> str:
        found = {s: find(rows, methods[0], s, people) for s in scenarios}
        return ', '.join(f'{row["num_queries"]} {s}' for s, row in found.items() if row)

    lines = title('hit@1 and hit@5 in percent, ± half of the 95 % interval (people drawn anew)')
    lines += grid(
        rows,
        order,
        scenarios,
        'seen',
        paper=True,
    )
    if any(method in order for method in FACES):
        lines += ['', *FACES_NOTE]
    lines += [
        '',
        f'{first["dataset"]} {first["dataset_version"]}{world}: '
        f'{first["num_clips"]} clips; queries: {asked("seen")}.',
        f'Backbone {first["backbone"]}; up to {first["num_references"]} reference photos a query.',
        *(PAPER_NOTE if first['dataset'] != 'celebrities_in_action' else REBUILT_NOTE),
    ]
    if first['relevance'] == 'clip':
        lines.append(CLIP_RELEVANCE_NOTE)
    for people, who in STRATA.items():
        if any(row['people'] == people for row in rows):
            keys = [key for key in methods if key in STRATIFIED or people == 'unseen']
            lines += title(f'{who} (queries: {asked(people)})')
            lines += grid(rows, keys, scenarios, people, paper=False)
    if controls := present(CONTROLS):
        lines += title('Controls, seen people: how often the clip of the right person is found')
        lines += grid(rows, controls, scenarios, 'seen', paper=False)
    comparisons = [item for item in comparisons if item['metric'] == 'hit@1']
    if comparisons:
        lines += title('Compared query by query at hit@1 [95 % interval, people drawn anew]')
        fence = ['```'] if markdown else []
        lines += fence + [_comparison(item) for item in comparisons] + fence
    return '\n'.join(lines).strip() + '\n'
