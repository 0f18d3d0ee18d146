"""The progress bar that every long stage shows: how far, how fast, how long still."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

from cpad_jax.printable import printable, shortened

_SECONDS = 60.0  # Between two lines of a bar in a file.


def bar(iterable: Iterable | None = None, *, total: int | None, stage: str, unit: str) -> tqdm:
    """A bar with count, rate and time left, written to stderr.

    Args:
        iterable: What to go through; without one the caller moves the bar by `update(n)`.
        total: Number of items, >= 0; None where it is unknown.
        stage: Name of the stage, in a few words.
        unit: What one item is, e.g. `'clip'`.

    Returns:
        A `tqdm` bar, which is an iterator and a context manager. Without a terminal it prints a
        plain line a minute and one when it ends, so that logs stay short.
    """
    options = {'total': total, 'desc': f'{printable(stage):<28}', 'unit': f' {printable(unit)}'}
    if sys.stderr.isatty():
        return tqdm(iterable, dynamic_ncols=True, mininterval=0.2, **options)
    count = '{n_fmt}{unit}' if total is None else '{n_fmt}/{total_fmt}'
    left = '' if total is None else ', {remaining} left'
    line = '{desc} ' + count + ' {rate_fmt}, {elapsed} gone' + left + '{postfix}'
    return _Lines(iterable, bar_format=line, mininterval=1.0, **options)


def say(line: str) -> None:
    """Prints a line on stderr, above whatever bars move there."""
    tqdm.write(shortened(printable(line)), file=sys.stderr)


class _Lines(tqdm):
    """A bar in a file: nothing can be drawn over there, so it says rarely how far it is."""

    def __init__(self, *args: Any, **options: Any):
        self._said = time.monotonic()
        # What tqdm writes of its own, to clear the line and to end it, goes nowhere.
        super().__init__(*args, file=io.StringIO(), **options)

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        del msg, pos
        if time.monotonic() - self._said >= _SECONDS:
            self._say()

    def close(self) -> None:
        if not self.disable:
            self._say()
        super().close()

    def _say(self) -> None:
        self._said = time.monotonic()
        print(printable(self), file=sys.stderr, flush=True)
