"""Arrays in files whose name is a hash of everything that they depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cpad_jax import array_files, progress
from cpad_jax.array_files import Arrays


def path_of(directory: Path, kind: str, conditions: Mapping[str, Any]) -> Path:
    """The file of arrays.

    Args:
        directory: Where the files lie.
        kind: What the arrays are of; the name begins with it.
        conditions: Everything that they depend on, as JSON can say it.
    """
    text = json.dumps({'kind': kind, **conditions}, sort_keys=True)
    return directory / f'{kind}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.npz'


def read(path: Path) -> Arrays | None:
    """The arrays of a file; None if it is missing, or damaged, which one line reports."""
    try:
        return array_files.read(path)
    except FileNotFoundError:
        return None
    except array_files.Damaged as error:
        progress.say(f'{path} is damaged ({error}): what it held is made anew')
        return None


write = array_files.write
