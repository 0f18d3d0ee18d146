"""The table of a season, with the paper's values beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cpad_jax.report.table import Cell, Table, cell

# The paper: Seinfeld, season 2, "Michael Richards [TOK] entering the room", one query.
# (fine-tuned, clips per minute) → R@25, R@50, last rank.
PAPER = {
    (False, 2): (0.61, 0.92, 53),
    (True, 2): (0.84, 1.0, 42),
    (False, 4): (0.46, 0.58, 113),
    (True, 4): (0.72, 0.88, 72),
}
HEAD = ('method', 'person query', 'fine-tuned', 'R@25', 'R@50', 'last rank')


METRICS = {'recall@25': '.2f', 'recall@50': '.2f', 'last_rank': '.0f'}
_DIFFERENCES = {'recall@25': '+.3f', 'recall@50': '+.3f', 'last_rank': '+.1f'}


def _lines(rows: Sequence[Mapping[str, Any]], clips_per_minute: float) -> list[list[str | Cell]]:
    lines: list[list[str | Cell]] = []
    for row in rows:
        name = row['method'] + (f' ({row["control"]})' if row['control'] else '')
        tuned = 'yes' if row['fine_tuned'] else 'no'
        cells = [cell(row, metric, form) for metric, form in METRICS.items()]
        lines.append([name, row['person_query'], tuned, *cells])
    for (tuned, number), values in PAPER.items():
        if number == clips_per_minute:
            forms = METRICS.values()
            cells = [Cell(value, form=form) for value, form in zip(values, forms, strict=True)]
            lines.append(['paper: Seinfeld', 'name + [TOK]', 'yes' if tuned else 'no', *cells])
    return lines


def tables(rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    """The table of each segmentation.

    Args:
        rows: Of `season.json`.
    """
    made = []
    keys = dict.fromkeys((row['clips_per_minute'], row['cut']) for row in rows)
    for number, cut in keys:
        of_cut = [
            row for row in rows
            if (row['clips_per_minute'], row['cut'], row['people']) == (number, cut, 'all')
        ]  # fmt: skip
        first = of_cut[0]
        chance = min(1.0, 25 / first['num_clips'])
        title = (
            f'{number:g} clips per minute, {cut}: {first["num_clips"]} clips, '
            f'{first["num_queries"]} queries about {first["num_people"]} people, '
            f'{first["num_relevant"]:.1f} right clips each; by chance R@25 is {chance:.2f}'
        )
        made.append(Table(title, HEAD, _lines(of_cut, number), 3))
    return made


def comparisons(differences: Sequence[Mapping[str, Any]]) -> Table:
    """CLIP-PAD less CLIP, and after fine-tuning less before, on the same queries.

    Args:
        differences: Of `season_comparisons.json`.
    """
    lines: dict[tuple[str, str], list[str | Cell]] = {}
    for row in differences:
        key = (
            f'{row["clips_per_minute"]:g} {row["cut"]}',
            f'{row["a"]} − {row["b"]}'.replace('/', ' '),
        )
        lines.setdefault(key, []).append(
            Cell(row['difference'], row['low'], row['high'], _DIFFERENCES[row['metric']])
        )
    return Table(
        'Differences on the same queries [95 % interval, people drawn anew]',
        ['clips per minute', 'difference of', *HEAD[3:]],
        [[*key, *cells] for key, cells in lines.items()],
        2,
    )


def every(
    rows: Sequence[Mapping[str, Any]], differences: Sequence[Mapping[str, Any]]
) -> list[Table]:
    """All tables; arguments as in `tables` and `comparisons`."""
    return [*tables(rows), *([comparisons(differences)] if differences else [])]
