"""Text from files and their names as a terminal, a page or a spreadsheet may be shown it.

A name may hold characters that move the cursor, colour the screen, turn the order of letters round,
show nothing, or begin a formula. This is the one place that takes the harm out of them.
"""

from __future__ import annotations

import sys
import unicodedata
from typing import TextIO

# Control, format (bidirectional, zero-width), lone surrogates, and separators of lines.
_HARMFUL = frozenset(['Cc', 'Cf', 'Cs', 'Zl', 'Zp'])
# Letters and marks that show nothing.
_INVISIBLE = frozenset('\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0')
# What spreadsheets take for the beginning of a formula, wide forms among them.
_FORMULA = tuple('=+-@\t\r\n＝＋－＠')
_AS_TEXT = "'"
# Characters of a line that is said, and how many of a longer one's first are kept.
_LONGEST, _KEPT_FIRST = 399, 260


def printable(text: object, keep: str = '') -> str:
    r"""A text with control characters and invisible ones written as an escape.

    Args:
        text: Any; what is no text is written as `str` has it.
        keep: Characters that stay all the same, e.g. the ends of a table's lines.

    Returns:
        For instance `Ann\x1b[2J` for what would clear the screen, in one line.
    """
    text = str(text)
    if text.isascii() and text.isprintable():
        return text
    return ''.join(
        letter if letter in keep or not _harms(letter) else ascii(letter)[1:-1] for letter in text
    )


def shortened(line: str) -> str:
    """A line of fewer than 400 characters: a longer one, which quotes a file, loses its middle."""
    if len(line) <= _LONGEST:
        return line
    return f'{line[:_KEPT_FIRST]} ... {line[-(_LONGEST - _KEPT_FIRST - 5) :]}'


def say(text: object, file: TextIO | None = None) -> None:
    """Prints lines, each `printable` and `shortened`, to stdout or where `file` says."""
    lines = [shortened(printable(line, keep='\t')) for line in str(text).split('\n')]
    print('\n'.join(lines), file=sys.stdout if file is None else file, flush=True)


def in_utf8(name: str) -> str:
    r"""The name of a file as text of UTF-8: bytes that are none become escapes such as `\udce9`."""
    return name.encode('utf-8', 'backslashreplace').decode()


def as_cell(text: str) -> str:
    """A text for a cell of CSV: before what a spreadsheet would run as a formula stands a '."""
    return _AS_TEXT + text if text.lstrip(_AS_TEXT).startswith(_FORMULA) else text


def from_cell(cell: str) -> str:
    """The text of which `as_cell` made a cell."""
    guarded = cell.startswith(_AS_TEXT) and cell.lstrip(_AS_TEXT).startswith(_FORMULA)
    return cell[1:] if guarded else cell


def _harms(letter: str) -> bool:
    return unicodedata.category(letter) in _HARMFUL or letter in _INVISIBLE
