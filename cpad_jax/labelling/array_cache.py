"""Cache files of arrays that were computed from a source file, valid until that source changes."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cpad_jax import atomic

_MOST = 1 << 30  # Bytes of a file when unpacked.


def cache_path(folder: str | os.PathLike[str], name: str) -> Path:
    """The cache file in `folder` of the source `name`, which may hold any characters."""
    digest = hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()
    return Path(folder) / f'{digest[:24]}.npz'


def write(path: Path, key: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes a cache file atomically.

    Args:
        path: The file.
        key: Identifies the source and the computation; a file with another key is not used.
        arrays: None of them called `key`.
    """
    with atomic.writing(path) as temporary, temporary.open('wb') as file:
        np.savez_compressed(file, key=np.array(key), **arrays)


def read(path: Path, key: str) -> dict[str, np.ndarray] | None:
    """Reads a cache file; None if it is missing, damaged, or has another key."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MOST:
                return None
        with np.load(path, allow_pickle=False) as file:
            if str(file['key']) != key:
                return None
            return {name: file[name] for name in file.files}
    # NotImplementedError, RuntimeError, struct.error, SyntaxError and others: zipfile and NumPy
    # raise any of these for a damaged file, and a damaged file is computed again.
    except Exception:
        return None
