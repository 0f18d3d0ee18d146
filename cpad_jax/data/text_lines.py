"""Lines of the lists that come with data sets, which may be of any encoding, or no text at all."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

_LONGEST = 1 << 16  # Characters: a file without line ends must not fill the memory.


def read(path: Path) -> Iterator[tuple[int, str]]:
    """Reads a text file line by line.

    Yields:
        (number of the line from 1, the line without its end). Empty lines are left out, bytes that
        are not UTF-8 become U+FFFD, and of a line that is too long the rest is left out.
    """
    with path.open(encoding='utf-8-sig', errors='replace') as file:
        for number, line in _numbered(file):
            if line.strip():
                yield number, line.rstrip('\n')


def read_any(path: Path) -> Iterator[tuple[int, str]]:
    """Reads the lines of a table whoever saved it: UTF-8, UTF-16 with its mark, or Windows-1252.

    Yields:
        (number of the line from 1, the line without spaces around it). Empty lines are left out;
        lines end as on any system, and of one that is too long the rest is left out.
    """
    with path.open('rb') as file:
        wide = file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    encoding, errors = ('utf-16', 'replace') if wide else ('utf-8-sig', 'surrogateescape')
    with path.open(encoding=encoding, errors=errors) as file:
        for number, line in _numbered(file):
            if not line.isascii():
                line = _decoded(line)
            if line := line.strip():
                yield number, line


def _numbered(file: TextIO) -> Iterator[tuple[int, str]]:
    """Every line with its number from 1; of one that is too long the rest is left out."""
    number = 0
    while line := file.readline(_LONGEST):
        number += 1
        whole = line
        while len(whole) == _LONGEST and not whole.endswith('\n'):
            whole = file.readline(_LONGEST)
        yield number, line


def _decoded(line: str) -> str:
    """A line with the bytes that were not UTF-8 as Windows-1252, or else as Latin-1."""
    try:
        line.encode()
    except UnicodeEncodeError:
        data = line.encode('utf-8', 'surrogateescape')
        try:
            return data.decode('cp1252')
        except UnicodeDecodeError:
            return data.decode('latin-1')
    return line
