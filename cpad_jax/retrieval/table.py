"""The poster's table for a terminal and as Markdown, with the poster's own numbers beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cpad_jax.retrieval import queries
from cpad_jax.retrieval.scenarios import SCENARIOS

# Korbar and Zisserman, BMVC 2022: R@1 and R@5 in percent for action, place, action + place.
POSTER = {
    queries.CLIP.key: ((42.4, 73.5), (58.2, 78.1), (39.9, 72.0)),
    queries.PAD_TEXT.key: ((62.1, 81.3), (67.8, 87.0), (64.2, 81.1)),
    queries.PAD_IMAGE.key: ((64.5, 83.7), (68.2, 87.3), (64.9, 81.8)),
    queries.PAD_TEXT_IMAGE.key: ((65.0, 85.4), (71.5, 88.6), (66.3, 82.7)),
}
POSTER_NOTE = (
    'Poster: Celebrities in Action, real films (Korbar and Zisserman, BMVC 2022): another data set, '
    'so the two halves cannot be compared number by number.'
)

Row = Mapping[str, Any]


def _find(rows: Sequence[Row], method: queries.Method, scenario: str, people: str) -> Row | None:
    for row in rows:
        if (row['method'], row['person_query'], row['control'], row['scenario'], row['people']) == (
            method.name, method.person_query, method.control, scenario, people,
        ):  # fmt: skip
            return row
    return None


def _cell(row: Row | None, metric: str) -> str:
    """A percentage with half the width of its 95 % bounds, e.g. '41.2±2.0'."""
    if row is None or row[metric] is None or row[f'{metric}_low'] is None:
        return '–'
    spread = (row[f'{metric}_high'] - row[f'{metric}_low']) / 2
    return f'{100 * row[metric]:.1f}±{100 * spread:.1f}'


def _lines(cells: Sequence[Sequence[str]], markdown: bool) -> list[str]:
    """Lays out a table whose first row is its head and whose first two columns are words."""
    if markdown:
        head, *body = cells
        rule = ['---', '---'] + ['---:'] * (len(head) - 2)
        return ['| ' + ' | '.join(row) + ' |' for row in (head, rule, *body)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    lines = []
    for number, row in enumerate(cells):
        words = [
            text.ljust(width) if i < 2 else text.rjust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append('  '.join(words).rstrip())
        if number == 0:
            lines.append('-' * (sum(widths) + 2 * (len(widths) - 1)))
    return lines


def _grid(
    rows: Sequence[Row],
    methods: Sequence[queries.Method],
    scenarios: Sequence[str],
    people: str,
    markdown: bool,
) -> list[str]:
    head = ['method', 'person query']
    for scenario in scenarios:
        head += [f'{scenario} @1', '@5']
    cells = [head]
    for method in methods:
        name = f'{method.name}, {method.control}' if method.control else method.name
        line = [name, method.person_query]
        for scenario in scenarios:
            row = _find(rows, method, scenario, people)
            line += [_cell(row, 'hit@1'), _cell(row, 'hit@5')]
        cells.append(line)
    return _lines(cells, markdown)


def _poster(markdown: bool) -> list[str]:
    head = ['method', 'person query']
    for scenario in SCENARIOS:
        head += [f'{scenario} @1', '@5']
    cells = [head, ['CE', 'image', '35.3', '65.1', '36.7', '65.3', '32.1', '62.5']]
    for key, values in POSTER.items():
        name, form = key.split('/')
        cells.append([name, form, *(f'{value:.1f}' for pair in values for value in pair)])
    return _lines(cells, markdown)


def _comparisons(comparisons: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for item in comparisons:
        where = f'{item["scenario"]:<13}'
        if item['kind'] == 'difference':
            lines.append(
                f'{where} {item["a"]} − {item["b"]}: {100 * item["difference"]:+.1f} points '
                f'[{100 * item["low"]:+.1f}, {100 * item["high"]:+.1f}]'
            )
        else:
            lines.append(f'{where} {item["what"]}: {item["ratio"]:.2f}')
    return lines


def render(
    rows: Sequence[Row], comparisons: Sequence[Mapping[str, Any]], markdown: bool = False
) -> str:
    """The whole result as text.

    Args:
        rows: Of `results.json`.
        comparisons: Of `comparisons.json`.
        markdown: Markdown instead of plain text.

    Returns:
        Lines of at most 110 characters in plain text: seen people with the poster beside them,
        unseen people, controls, paired differences.
    """
    first = rows[0]
    scenarios = [s for s in SCENARIOS if any(row['scenario'] == s for row in rows)]
    methods = [
        m for m in queries.METHODS if any(_find(rows, m, s, 'all') for s in scenarios)
    ]
    controls = [
        m for m in queries.CONTROLS if any(_find(rows, m, s, 'all') for s in scenarios)
    ]

    def title(text: str) -> list[str]:
        return ['', f'**{text}**' if markdown else text, '']

    counts = {s: _find(rows, methods[0], s, 'seen') for s in scenarios}
    asked = ', '.join(f'{s} {row["num_queries"]}' for s, row in counts.items() if row)
    lines = title(
        f'{first["dataset"]} (drawn, seed {first["seed"]}), {first["num_clips"]} clips, people seen '
        f'in identity learning: hit@k in percent ± half of the 95 % interval'
    )
    lines += _grid(rows, methods, scenarios, 'seen', markdown)
    lines += ['', f'Queries: {asked}. Backbone {first["backbone"]}, '
              f'{first["num_references"]} reference photos.']  # fmt: skip
    lines += title(POSTER_NOTE) + _poster(markdown)
    if any(row['people'] == 'unseen' for row in rows):
        lines += title('People that identity learning never saw')
        lines += _grid(rows, methods, scenarios, 'unseen', markdown)
    if controls:
        lines += title('Controls, seen people: the share of queries whose right clip is found')
        lines += _grid(rows, controls, scenarios, 'seen', markdown)
    if comparisons:
        lines += title('Paired comparisons at hit@1, 95 % bounds by bootstrap over people')
        fence = ['```'] if markdown else []
        lines += fence + _comparisons(comparisons) + fence
    return '\n'.join(lines).strip() + '\n'
