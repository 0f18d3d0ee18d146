"""Reads `.safetensors` files of unknown origin, every number checked; and writes them.

A file is eight bytes with the length of a header, the header (JSON: name, type, shape and place
of every array), and the arrays. The arrays returned lie in the file and are read when they are
used. https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import json
import math
import mmap
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from cpad_jax import atomic, strict_json
from cpad_jax.errors import UserError

# safetensors' name of each type that is read, all little-endian.
DTYPES = {
    'F64': np.dtype('<f8'),
    'F32': np.dtype('<f4'),
    'F16': np.dtype('<f2'),
    'BF16': np.dtype(ml_dtypes.bfloat16),
    'I64': np.dtype('<i8'),
    'I32': np.dtype('<i4'),
    'I16': np.dtype('<i2'),
    'I8': np.dtype('i1'),
    'U8': np.dtype('u1'),
    'BOOL': np.dtype('?'),
}
# NumPy and torch stop at 64, and nothing real comes near.
MAX_DIMENSIONS = 32

# 40,000 arrays fit in this.
_MAX_HEADER = 4 << 20
_MAX_NAME = 300
_MEND = 'download or convert the file again'

# What a download that went wrong, or a file of another kind, starts with.
_STRANGERS = (
    (b'version https://git-lfs', 'is a Git LFS pointer; run `git lfs pull`, or download the file'),
    (b'<!doctype', 'is a web page, so the download failed; download the file itself'),
    (b'<html', 'is a web page, so the download failed; download the file itself'),
    (b'<?xml', 'is an XML page, so the download failed; download the file itself'),
    (b'\x89hdf', 'is an HDF5 file (Keras); expected weights of torch or safetensors'),
    (b'gguf', 'is a GGUF file (llama.cpp); expected weights of torch or safetensors'),
    (b'\x93numpy', 'is an array of NumPy; expected weights of torch or safetensors'),
    (b'\x1f\x8b\x08', 'is packed with gzip; unpack it first'),
)


def map_file(path: str | os.PathLike[str]) -> mmap.mmap:
    """Maps a file of weights into memory, read-only.

    Args:
        path: The file, at least one byte long. It must not be shortened while it is mapped.

    Returns:
        Its bytes. They are read from the disk when they are looked at.

    Raises:
        UserError: The file is missing, empty or unreadable, or what came instead of a download:
            a web page, a Git LFS pointer, a tar archive, an HDF5 file.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f'there is no file {path}; expected a file of weights')
    if path.stat().st_size == 0:
        raise UserError(f'{path} is empty; {_MEND}')
    try:
        with open(path, 'rb') as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise UserError(
            f'{path} cannot be read ({error.strerror}); check its permissions'
        ) from None
    head = data[:512]
    start = head.lstrip(b'\xef\xbb\xbf \t\r\n').lower()
    for prefix, words in _STRANGERS:
        if start.startswith(prefix):
            raise UserError(f'{path} {words}')
    if head[257:263] in (b'ustar\0', b'ustar '):
        raise UserError(f'{path} is a tar archive; expected weights of torch or safetensors')
    return data


def check_name(name: str) -> None:
    """Refuses names of arrays that cannot be shown in a message.

    Raises:
        ValueError: The name is empty, longer than 300 characters or not printable.
    """
    if not (0 < len(name) <= _MAX_NAME and name.isprintable()):
        raise ValueError(f'{ascii(name[:60])} is no name of a parameter')


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads a file of weights without copying them.

    Args:
        path: A safetensors file.

    Returns:
        The arrays by name, in their own types and shapes. They are read-only and lie in the
        mapped file, so that only what is used takes memory; they need not be aligned.

    Raises:
        UserError: The file is missing, of another kind, or anything in it is not as the format
            has it.
    """
    return read_with_notes(path)[0]


def read_with_notes(
    path: str | os.PathLike[str],
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """As `read`, and beside the arrays the notes that the format calls metadata, text by name."""
    data = map_file(path)
    try:
        return _content(data)
    except ValueError as error:
        words = ' '.join(str(error).split())[:200]
        raise UserError(f'{path} is not a whole safetensors file: {words}; {_MEND}') from None


def _content(data: mmap.mmap) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    length = int.from_bytes(data[:8], 'little')
    start = 8 + length
    if length > len(data) - 8:
        raise ValueError(f'its header has {length} bytes, the file {len(data)}')
    if length > _MAX_HEADER:
        raise ValueError(f'its header has {length} bytes, at most {_MAX_HEADER} are read')
    if data[8:11] == b'\xef\xbb\xbf':
        raise ValueError('its header is not a JSON object')
    header = strict_json.parse(data[8:start], _MAX_HEADER)
    if type(header) is not dict:
        raise ValueError('its header is not a JSON object')
    notes = header.pop('__metadata__', None) or {}
    if type(notes) is not dict or any(type(text) is not str for text in notes.values()):
        raise ValueError('its metadata is not text by name')

    arrays, places = {}, []
    for name, entry in header.items():
        check_name(name)
        dtype, shape, begin, end = _entry(name, entry)
        if end > len(data) - start:
            raise ValueError(f'{name} ends at byte {end}, there are {len(data) - start}')
        places.append((begin, end, name))
        if begin == end:
            arrays[name] = np.empty(shape, dtype)
            continue
        arrays[name] = np.ndarray(shape, dtype, data, start + begin)
    # The format has neither gaps nor overlaps, so that nothing can hide in the file.
    expected = 0
    for begin, end, name in sorted(places):
        if begin != expected:
            raise ValueError(f'{name} begins at byte {begin}, expected {expected}')
        expected = end
    if expected != len(data) - start:
        raise ValueError(f'its arrays end at byte {expected}, the file at {len(data) - start}')
    return arrays, notes


def _entry(name: str, entry: Any) -> tuple[np.dtype, tuple[int, ...], int, int]:
    """Type, shape, first byte and end of one array."""
    if type(entry) is not dict or entry.keys() != {'dtype', 'shape', 'data_offsets'}:
        raise ValueError(f'{name} must have dtype, shape and data_offsets')
    if type(entry['dtype']) is not str or entry['dtype'] not in DTYPES:
        raise ValueError(
            f'{name} has type {ascii(entry["dtype"])[:20]}, expected one of {", ".join(DTYPES)}'
        )
    dtype, shape, offsets = DTYPES[entry['dtype']], entry['shape'], entry['data_offsets']
    for numbers in (shape, offsets):
        # Not isinstance, because true is an int, too.
        if type(numbers) is not list or any(type(n) is not int or n < 0 for n in numbers):
            raise ValueError(f'{name}: shape and data_offsets must be whole numbers from 0')
    check_shape(name, shape)
    if len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ValueError(f'{name}: data_offsets must be a begin and an end')
    size = math.prod(shape) * dtype.itemsize
    if offsets[1] - offsets[0] != size:
        raise ValueError(f'{name} has {offsets[1] - offsets[0]} bytes, its shape needs {size}')
    return dtype, tuple(shape), *offsets


def check_shape(name: str, shape: list[int] | tuple[int, ...]) -> None:
    """Refuses shapes that NumPy cannot hold, which an empty array may well have.

    Raises:
        ValueError: There are too many dimensions, or they are too large.
    """
    if len(shape) > MAX_DIMENSIONS or math.prod(max(n, 1) for n in shape) > 2**56:
        raise ValueError(f'{name} has an impossible shape')


class Stored(NamedTuple):
    """An array on its way into a file, converted only when its turn comes.

    Attributes:
        array: The numbers.
        dtype: Their type in the file; None keeps that of the array.
    """

    array: Any
    dtype: str | np.dtype | None = None

    @property
    def stored_dtype(self) -> np.dtype:
        """The type in the file."""
        return np.dtype(self.dtype or self.array.dtype)

    def __call__(self) -> np.ndarray:
        """The numbers as they are stored."""
        return np.asarray(self.array, self.stored_dtype, order='C')


def write(
    path: str | os.PathLike[str],
    arrays: Mapping[str, Stored],
    notes: Mapping[str, str] | None = None,
) -> None:
    """Writes a safetensors file, one array after the other, whole or not at all.

    Args:
        path: The file; one that is there is replaced.
        arrays: What it holds, by name, of the types in `DTYPES`.
        notes: What the format calls metadata.
    """
    names = {dtype: name for name, dtype in DTYPES.items()}
    header: dict[str, Any] = {'__metadata__': dict(notes)} if notes else {}
    end = 0
    for name, stored in arrays.items():
        begin, shape = end, [int(n) for n in np.shape(stored.array)]
        end += math.prod(shape) * stored.stored_dtype.itemsize
        dtype = names[stored.stored_dtype]
        header[name] = {'dtype': dtype, 'shape': shape, 'data_offsets': [begin, end]}
    head = json.dumps(header, separators=(',', ':')).encode()
    head += b' ' * (-len(head) % 8)  # So that the arrays begin at a multiple of eight.
    with atomic.writing(path) as temporary, open(temporary, 'wb') as file:
        file.write(len(head).to_bytes(8, 'little') + head)
        for stored in arrays.values():
            file.write(stored().reshape(-1).view(np.uint8).data)


def release(array: np.ndarray) -> None:
    """Lets go of the memory that reading an array of `read` took; it can be read again."""
    if isinstance(array.base, mmap.mmap) and hasattr(mmap, 'MADV_DONTNEED'):
        array.base.madvise(mmap.MADV_DONTNEED)
