"""Files of arrays in NumPy's `.npz` form, with a digest of every array: damage is noticed.

`np.load` reads them too, and misses damage to what lies around the arrays.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

import numpy as np

from cpad_jax import atomic, strict_json

Arrays = dict[str, np.ndarray]

_DIGESTS = 'sha256'  # The first array of a file: the others' digests, as JSON.
_BLOCK = 4 << 20  # Bytes.
_LOCAL_HEADER = struct.Struct('<4s22xHH')  # Of a member of a zip archive, up to its name.


class Damaged(ValueError):
    """A file that does not hold what was written; the message says in a few words why."""


def digest(array: np.ndarray) -> str:
    """The sha256 (64 hexadecimal digits) of an array: its type, its shape and its numbers.

    Of a large one, it is that of the digests of its blocks, which several threads take.
    """
    array = np.asarray(array)
    found = hashlib.sha256(f'{array.dtype.str} {array.dtype.name} {array.shape} '.encode())
    data = np.ascontiguousarray(array).reshape(-1).view(np.uint8) if array.size else b''
    blocks = [data[start : start + _BLOCK] for start in range(0, len(data), _BLOCK)]
    with ThreadPoolExecutor(os.cpu_count()) if len(blocks) > 1 else nullcontext() as pool:
        for part in (pool.map if pool else map)(_sha256, blocks):
            found.update(part)
    return found.hexdigest()


def _sha256(data: np.ndarray) -> bytes:
    return hashlib.sha256(data).digest()


def write(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays and their digests, whole or not at all.

    Args:
        path: The file.
        arrays: None of them called 'sha256', nor of Python objects.
    """
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    digests = json.dumps({name: digest(array) for name, array in arrays.items()})
    with atomic.writing(path) as temporary, temporary.open('wb') as file:
        np.savez(
            file,
            allow_pickle=False,
            **{_DIGESTS: np.frombuffer(digests.encode(), np.uint8)},
            **arrays,
        )


def read(path: str | os.PathLike[str]) -> Arrays:
    """Reads what `write` wrote, and no other arrays than that.

    A file without digests, from before they were, is read as well.

    Raises:
        FileNotFoundError: It is not there.
        Damaged: It holds anything else, or cannot be read.
    """
    path = Path(path)
    try:
        with path.open('rb') as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if not members or members[0].filename != f'{_DIGESTS}.npy':
                with np.load(path, allow_pickle=False) as old:
                    return {name: old[name] for name in old.files}
            arrays = {}
            for member in members:
                name = member.filename.removesuffix('.npy')
                if name in arrays:
                    raise Damaged(f'it holds {name[:40]!r} twice')
                arrays[name] = _member(file, member)
        digests = strict_json.parse(arrays.pop(_DIGESTS).tobytes())
        if digests.keys() != arrays.keys():
            raise Damaged('it lacks arrays')
        for name, array in arrays.items():
            if digest(array) != digests[name]:
                raise Damaged(f'{name!r} is not what was written')
        return arrays
    except (FileNotFoundError, Damaged):
        raise
    except Exception as error:  # Of zipfile and NumPy: nearly any kind there is.
        reason = ' '.join(str(error).split())[:80]
        raise Damaged(reason or type(error).__name__) from error


def _member(file: BinaryIO, member: zipfile.ZipInfo) -> np.ndarray:
    """An array that lies in a zip archive unpacked, as `np.savez` puts it there."""
    file.seek(member.header_offset)
    magic, name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    if magic != b'PK\3\4' or file.read(name) != member.orig_filename.encode():
        raise Damaged(f'{member.filename[:40]!r} is not where it should be')
    file.seek(extra, os.SEEK_CUR)
    return np.lib.format.read_array(file, allow_pickle=False)
