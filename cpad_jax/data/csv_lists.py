"""Lists that people write by hand, as CSV with a header: read strictly, mistakes named by line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from cpad_jax.errors import UserError
from cpad_jax.printable import from_cell
from cpad_jax.text import encodings

_DELIMITERS = ',;\t'
_SEPARATOR = 'sep='  # Some spreadsheets write it as the first line, with the delimiter.


def read_rows(
    path: Path, what: str, most: int, needed: Sequence[str], optional: Sequence[str] | None = None
) -> Iterator[tuple[int, dict[str, str]]]:
    """Reads a list row by row; empty ones are passed over, and so are spaces around cells.

    Args:
        path: The file, UTF-8 or UTF-16, with commas, semicolons or tabs between cells, whichever
            its header has, perhaps after a line `sep=;`. A ' before what a spreadsheet would take
            for a formula is left out.
        what: What it is, for errors.
        most: Bytes that such a list never exceeds.
        needed: Columns that the header must name, in any order, and in capitals for all we care.
        optional: Columns that it may name besides; None for any.

    Yields:
        (number of the line from 1, column -> cell) for each row after the header.

    Raises:
        UserError: There is no such file, or it is not such a list; names the line.
    """
    expected = f'a header with {", ".join(needed)}'
    if optional:
        expected += f' and perhaps {", ".join(optional)}'
    if not path.is_file():
        raise UserError(f'{path}: there is no such {what}; expected CSV, {expected}')
    if path.stat().st_size > most:
        raise UserError(f'{path}: {path.stat().st_size} bytes are no {what}')
    text = _text(path)
    rows = csv.reader(
        io.StringIO(text, newline=''), skipinitialspace=True, delimiter=_delimiter(text, needed)
    )
    header: list[str] = []
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            where = f'{path}:{rows.line_num}'
            if not any(cells) or (not header and cells[0].casefold().startswith(_SEPARATOR)):
                continue
            if not header:
                header = [cell.casefold() for cell in cells]
                _check_header(header, needed, optional, f'{where}: column', expected)
                continue
            if len(cells) != len(header):
                raise UserError(f'{where}: {len(cells)} cells, expected {", ".join(header)}')
            yield rows.line_num, dict(zip(header, map(from_cell, cells), strict=True))
    except csv.Error as error:
        raise UserError(f'{path}:{rows.line_num}: this is not CSV ({error})') from error
    if not header:
        raise UserError(f'{path}: the {what} is empty; expected {expected}')


def _text(path: Path) -> str:
    data = path.read_bytes()
    encoding = encodings.unicode_of(data) or 'utf-8'
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        # A name in wrong letters would be somebody else's, so nothing is guessed here.
        line = data.count(b'\n', 0, error.start) + 1
        raise UserError(
            f'{path}:{line}: this is not UTF-8 text ({error}); save it as UTF-8'
        ) from error


def _delimiter(text: str, needed: Sequence[str]) -> str:
    """What stands between the cells of the header: a comma, or what makes its columns of it."""
    for line in text.splitlines():
        if line.casefold().startswith(_SEPARATOR) and line[len(_SEPARATOR) :][:1] in _DELIMITERS:
            return line[len(_SEPARATOR)]
        if not line.strip(' \t;,'):
            continue
        if len(line) > csv.field_size_limit():
            break  # No header, and the reader of the rows says what is wrong.
        for delimiter in _DELIMITERS:
            cells = next(csv.reader([line], skipinitialspace=True, delimiter=delimiter), [])
            if set(needed) <= {cell.strip().casefold() for cell in cells}:
                return delimiter
        break
    return _DELIMITERS[0]


def _check_header(
    header: Sequence[str],
    needed: Sequence[str],
    optional: Sequence[str] | None,
    where: str,
    expected: str,
) -> None:
    for column in needed:
        if column not in header:
            raise UserError(f'{where} {column!r} is missing; expected {expected}')
    for column in header:
        known = column in needed or column in (optional or ())
        if not known and optional is not None:
            raise UserError(f'{where} {column!r} is unknown; expected {expected}')
        if known and header.count(column) > 1:
            raise UserError(f'{where} {column!r} stands there twice')
