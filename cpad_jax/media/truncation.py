"""Whether a video file ends before its container says that it does, read without decoding."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

# Real files have a handful of boxes per level; a damaged one may claim millions of empty ones.
_MOST_BOXES = 4096

_EBML, _SEGMENT = b'\x1a\x45\xdf\xa3', b'\x18\x53\x80\x67'


def is_mp4(head: bytes) -> bool:
    """Whether a file that begins so is an MP4 or MOV file."""
    return head[4:8] in (b'ftyp', b'moov', b'wide', b'mdat')


def has_index(path: str | os.PathLike[str]) -> bool:
    """Whether an MP4 file reaches to the end of its index, the 'moov' box, which is often last."""
    size = Path(path).stat().st_size
    with Path(path).open('rb') as file:
        return any(kind == b'moov' and end <= size for kind, end in _boxes(file, size))


def is_cut(path: str | os.PathLike[str]) -> bool:
    """Whether the end of a file is missing.

    MP4, MOV, Matroska, WebM and AVI say how long they are; of others it is never known.
    """
    size = Path(path).stat().st_size
    with Path(path).open('rb') as file:
        head = file.read(16)
        if is_mp4(head):
            return any(end > size for _, end in _boxes(file, size))
        if head.startswith(_EBML):
            return _segment_end(file) > size
        if head.startswith(b'RIFF'):
            return int.from_bytes(head[4:8], 'little') + 8 > size
    return False


def _boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int]]:
    """The outermost boxes of an MP4 file: (kind, where it ends)."""
    start = 0
    for _ in range(_MOST_BOXES):
        if start + 8 > size:
            return
        file.seek(start)
        header = file.read(16)
        length, least = int.from_bytes(header[:4]), 8
        if length == 1:
            length, least = int.from_bytes(header[8:16]), 16
        elif length == 0:
            length = size - start
        if length < least:
            return
        start += length
        yield header[4:8], start


def _segment_end(file: BinaryIO) -> int:
    """Where the segment of a Matroska file ends; 0 where it does not say."""
    file.seek(len(_EBML))
    header = _number(file)
    if header is None:
        return 0
    file.seek(header, os.SEEK_CUR)
    if file.read(len(_SEGMENT)) != _SEGMENT or (length := _number(file)) is None:
        return 0
    return file.tell() + length


def _number(file: BinaryIO) -> int | None:
    """A number of variable length; None where it says that it is unknown, or is broken."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & (1 << 7 - more) - 1]) + file.read(more))
    return None if value == (1 << 7 * (more + 1)) - 1 else value
