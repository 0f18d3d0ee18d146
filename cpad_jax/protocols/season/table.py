"""The table of a season, with the paper's values beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cpad_jax.protocols.compound.table import aligned

# The paper: Seinfeld, season 2, "Michael Richards [TOK] entering the room", one query.
# (fine-tuned, clips per minute) → R@25, R@50, last rank.
PAPER = {
    (False, 2): (0.61, 0.92, 53),
    (True, 2): (0.84, 1.0, 42),
    (False, 4): (0.46, 0.58, 113),
    (True, 4): (0.72, 0.88, 72),
}
HEAD = ('method', 'person query', 'fine-tuned', 'R@25', 'R@50', 'last rank')


def _rows(rows: Sequence[Mapping[str, Any]], clips_per_minute: float) -> list[tuple[str, ...]]:
    lines = []
    for row in rows:
        name = row['method'] + (f' ({row["control"]})' if row['control'] else '')
        lines.append(
            (
                name, row['person_query'], 'yes' if row['fine_tuned'] else 'no',
                _bounds(row, 'recall@25', '{:.2f}'), _bounds(row, 'recall@50', '{:.2f}'),
                _bounds(row, 'last_rank', '{:.0f}'),
            )
        )  # fmt: skip
    for (tuned, number), (first, second, last) in PAPER.items():
        if number == clips_per_minute:
            lines.append(
                ('paper: Seinfeld', 'name + [TOK]', 'yes' if tuned else 'no', f'{first:.2f}',
                 f'{second:.2f}', f'{last}')
            )  # fmt: skip
    return lines


def _bounds(row: Mapping[str, Any], name: str, form: str) -> str:
    text, low, high = form.format(row[name]), row[f'{name}_low'], row[f'{name}_high']
    return text if low is None else f'{text} [{form.format(low)}, {form.format(high)}]'


def tables(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[tuple[str, ...]]]]:
    """The table of each cutting: its title, and its lines with a cell for each word of `HEAD`.

    Args:
        rows: Of `season.json`.
    """
    found = []
    keys = dict.fromkeys((row['clips_per_minute'], row['cut']) for row in rows)
    for number, cut in keys:
        own = [
            row for row in rows
            if (row['clips_per_minute'], row['cut'], row['people']) == (number, cut, 'all')
        ]  # fmt: skip
        first = own[0]
        chance = min(1.0, 25 / first['num_clips'])
        found.append(
            (
                f'{number:g} clips per minute, {cut}: {first["num_clips"]} clips, '
                f'{first["num_queries"]} queries about {first["num_people"]} people, '
                f'{first["num_relevant"]:.1f} right clips each; by chance R@25 is {chance:.2f}',
                _rows(own, number),
            )
        )
    return found


def _differences(differences: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        f'{row["clips_per_minute"]:g} clips per minute, {row["cut"]}: {row["metric"]} of {row["a"]}'
        f' minus {row["b"]}: {row["difference"]:+.3f}'
        + ('' if row['low'] is None else f' [{row["low"]:+.3f}, {row["high"]:+.3f}]')
        for row in differences
    ]


def render(rows: Sequence[Mapping[str, Any]], differences: Sequence[Mapping[str, Any]]) -> str:
    """The table for a terminal.

    Args:
        rows: Of `season.json`.
        differences: Of `season_comparisons.json`.
    """
    lines = []
    for title, table in tables(rows):
        lines += ['', title, *aligned([HEAD, *table])]
    return '\n'.join([*lines, '', *_differences(differences)])


def markdown(rows: Sequence[Mapping[str, Any]], differences: Sequence[Mapping[str, Any]]) -> str:
    """The table as Markdown; arguments as in `render`."""
    lines = []
    for title, table in tables(rows):
        lines += [f'**{title}**', '', f'| {" | ".join(HEAD)} |', '|---|---|---|---:|---:|---:|']
        lines += [f'| {" | ".join(line)} |' for line in table] + ['']
    return '\n'.join([*lines, *(f'- {line}' for line in _differences(differences)), ''])
