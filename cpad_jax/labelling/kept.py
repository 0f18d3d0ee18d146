"""What was found is kept in a file, until what it was found in changes."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cpad_jax import atomic

_MOST = 1 << 30  # Bytes of a file when unpacked.


def place(folder: str | os.PathLike[str], name: str) -> Path:
    """The file in `folder` for what was found in `name`, whatever characters that has."""
    digest = hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()
    return Path(folder) / f'{digest[:24]}.npz'


def write(path: Path, key: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Keeps arrays, whole or not at all.

    Args:
        path: The file.
        key: Says what the arrays were found in and how, and changes when they would.
        arrays: None of them called `key`.
    """
    with atomic.writing(path) as temporary, temporary.open('wb') as file:
        np.savez_compressed(file, key=np.array(key), **arrays)


def read(path: Path, key: str) -> dict[str, np.ndarray] | None:
    """What is kept, or None where there is nothing, it is damaged, or it has another key."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MOST:
                return None
        with np.load(path, allow_pickle=False) as file:
            if str(file['key']) != key:
                return None
            return {name: file[name] for name in file.files}
    # NotImplementedError, RuntimeError, struct.error, SyntaxError and others: zipfile and NumPy
    # raise what they like of a damaged file, and whatever is damaged is made anew.
    except Exception:
        return None
