"""Tables of results: one `Table` renders to terminal text, to Markdown and to HTML."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from cpad_jax.report import page

MISSING = '–'


@dataclasses.dataclass(frozen=True)
class Cell:
    """One number and its interval.

    Attributes:
        value: The number, or None where it is not known.
        low: Lower bound, or None.
        high: Upper bound, or None.
        form: Format of all three, such as '.3f' or '+.1f'.
        half_width: Whether the interval is printed as '41.2±2.0' instead of '41.2 [39.2, 43.2]'.
        prefix: Printed before the number, such as '× '.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    form: str = '.3f'
    half_width: bool = False
    prefix: str = ''

    def __str__(self) -> str:
        if self.value is None or not math.isfinite(self.value):
            return MISSING
        text = f'{self.prefix}{self.value:{self.form}}'
        if self.low is None or self.high is None or not math.isfinite(self.high - self.low):
            return text
        if not self.half_width:
            return f'{text} [{self.low:{self.form}}, {self.high:{self.form}}]'
        spread = (self.high - self.low) / 2
        # Digits beyond the precision are dropped, which keeps the width of cells.
        return f'{text}±{spread:.1f}' if spread < 9.95 else f'{text}±{spread:.0f}'


def cell(row: Mapping[str, Any] | None, name: str, form: str = '.3f', bounds: bool = True) -> Cell:
    """The cell of a metric of a row of results.

    Args:
        row: With `name` and, for bounds, `name_low` and `name_high`; None for an empty cell.
        name: Name of the metric.
        form: See `Cell`.
        bounds: Whether to add the interval.
    """
    if row is None:
        return Cell(None)
    low, high = (row[f'{name}_low'], row[f'{name}_high']) if bounds else (None, None)
    return Cell(row[name], low, high, form)


def percent(
    row: Mapping[str, Any] | None, name: str, bounds: bool = True, half_width: bool = True
) -> Cell:
    """The cell of a share in percent, such as '41.2±2.0'; arguments as in `cell` and `Cell`."""
    share = cell(row, name, bounds=bounds)
    # '100' and not '100.0', which would be wider than any other share.
    form = '.0f' if half_width and share.value == 1 else '.1f'
    return in_percent(dataclasses.replace(share, form=form, half_width=half_width))


def in_percent(share: Cell) -> Cell:
    """The same cell times 100."""
    value, low, high = (
        None if number is None else 100 * number for number in (share.value, share.low, share.high)
    )
    return dataclasses.replace(share, value=value, low=low, high=high)


@dataclasses.dataclass(frozen=True)
class Table:
    """A table with at most one number and its interval in each cell.

    Attributes:
        title: What it shows, plain text.
        columns: Name of each column.
        rows: Cells of each row.
        labels: Number of columns, from the left, that name a row. They are aligned to the left and
            the others, which hold numbers, to the right.
        headings: Rows of headings above the names of the columns, each a sequence of (heading,
            number of columns that it spans).
        rules: Indices of the columns that a vertical line precedes in a terminal.
        notes: Lines below the table.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    labels: int = 1
    headings: Sequence[Sequence[tuple[str, int]]] = ()
    rules: Collection[int] = ()
    notes: Sequence[str] = ()

    def __post_init__(self):
        width = len(self.columns)
        for row in self.rows:
            if len(row) != width:
                raise ValueError(f'a row of {len(row)} cells in a table of {width} columns')
        for heading in self.headings:
            if sum(span for _, span in heading) != width:
                raise ValueError(f'headings {heading} do not span {width} columns')

    def text(self) -> str:
        """The table for a terminal. Columns under a common heading stand close together."""
        lines = [list(self.columns), *([str(cell) for cell in row] for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        before = [''] + [self._separator(index) for index in range(1, len(widths))]
        for heading in self.headings:  # A long heading widens the last of its columns.
            start = 0
            for name, span in heading:
                room = self._room(widths, before, start, span)
                widths[start + span - 1] += max(0, len(name) - room)
                start += span
        drawn = [self._heading_line(heading, widths, before) for heading in self.headings]
        for line in lines:
            cells = [
                text.ljust(width) if index < self.labels else text.rjust(width)
                for index, (text, width) in enumerate(zip(line, widths, strict=True))
            ]
            drawn.append(''.join(map(str.__add__, before, cells)).rstrip())
        if self.headings:
            drawn.insert(len(self.headings) + 1, '─' * max(map(len, drawn)))
        return '\n'.join([self.title, *drawn, *self.notes])

    def _separator(self, index: int) -> str:
        if index in self.rules:
            return ' │ '
        return ' ' if self.headings and index > self.labels else '  '

    @staticmethod
    def _room(widths: Sequence[int], before: Sequence[str], start: int, span: int) -> int:
        """Characters that `span` columns take, with the separators between them."""
        inner = before[start + 1 : start + span]
        return sum(widths[start : start + span]) + sum(map(len, inner))

    def _heading_line(
        self, heading: Sequence[tuple[str, int]], widths: Sequence[int], before: Sequence[str]
    ) -> str:
        line, start = '', 0
        for name, span in heading:
            room = self._room(widths, before, start, span)
            line += before[start] + (name.ljust(room) if start < self.labels else name.rjust(room))
            start += span
        return line.rstrip()

    def markdown(self) -> str:
        """The table as GitHub-flavoured Markdown; a column's headings stand before its name."""
        names = [[] for _ in self.columns]
        for heading in self.headings:
            spread = [name for name, span in heading for _ in range(span)]
            for index, name in enumerate(spread):
                names[index].append(name)
        head = [
            ' '.join(filter(None, [*above, name]))
            for above, name in zip(names, self.columns, strict=True)
        ]
        marks = ['---' if index < self.labels else '---:' for index in range(len(head))]
        lines = [f'**{self.title}**', '', _markdown_row(head), _markdown_row(marks)]
        lines += [_markdown_row([str(cell) for cell in row]) for row in self.rows]
        if self.notes:
            lines += ['', *self.notes]
        return '\n'.join(lines)

    def html(self) -> str:
        """The table as HTML for `page.Section`; its text is escaped."""
        above = [[(_html_head(name), span) for name, span in heading] for heading in self.headings]
        grid = page.grid(
            [_html_head(name) for name in self.columns],
            [[page.text(str(cell)) for cell in row] for row in self.rows],
            self.title, labels=self.labels, above=above,
        )  # fmt: skip
        notes = ' '.join(self.notes)
        return grid + (f'<p class="faint">{page.text(notes, 1000)}</p>' if notes else '')


def _markdown_row(cells: Sequence[str]) -> str:
    escaped = (cell.replace('|', '\\|').replace('\n', ' ') for cell in cells)
    return f'| {" | ".join(escaped)} |'


def _html_head(name: str) -> str:
    # A plus sign after which the line may break keeps columns narrow.
    return page.text(name).replace('+', '+<wbr>')
