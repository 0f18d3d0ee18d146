"""Arrays in files whose name is a hash of everything that they depend on."""

from __future__ import annotations

import contextlib
import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax import atomic

Arrays = dict[str, np.ndarray]


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
    """The arrays of a file; None if it is not there, or is not whole."""
    with contextlib.suppress(OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    return None


def write(path: Path, arrays: Arrays) -> None:
    """Writes arrays, whole or not at all."""
    with atomic.writing(path) as temporary:
        np.savez(temporary, **arrays)
