"""Lines of the lists that come with data sets, which may be of any encoding, or no text at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_LONGEST = 1 << 16  # Characters: a file without line ends must not fill the memory.


def read(path: Path) -> Iterator[tuple[int, str]]:
    """Reads a text file line by line.

    Yields:
        (number of the line from 1, the line without its end). Empty lines are left out, bytes that
        are not UTF-8 become U+FFFD, and of a line that is too long the rest is left out.
    """
    with path.open(encoding='utf-8-sig', errors='replace') as file:
        number = 0
        while line := file.readline(_LONGEST):
            number += 1
            whole = line
            while len(whole) == _LONGEST and not whole.endswith('\n'):
                whole = file.readline(_LONGEST)
            if line.strip():
                yield number, line.rstrip('\n')
