"""The progress bar that every long stage shows: how far, how fast, how long still."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from tqdm import tqdm


def bar(iterable: Iterable | None = None, *, total: int, stage: str, unit: str) -> tqdm:
    """A bar with count, rate and time left, written to stderr.

    Args:
        iterable: What to go through; without one the caller moves the bar by `update(n)`.
        total: Number of items, >= 0.
        stage: Name of the stage, in a few words.
        unit: What one item is, e.g. `'clip'`.

    Returns:
        A `tqdm` bar, which is an iterator and a context manager. Without a terminal it prints at
        most one line every ten seconds, so that logs stay short.
    """
    to_terminal = sys.stderr.isatty()
    return tqdm(
        iterable,
        total=total,
        desc=f'{stage:<28}',
        unit=f' {unit}',
        dynamic_ncols=to_terminal,
        mininterval=0.2 if to_terminal else 10.0,
        bar_format=None
        if to_terminal
        else '{desc} {n_fmt}/{total_fmt} {rate_fmt} {remaining} left\n',
    )
