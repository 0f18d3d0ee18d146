"""What an MP4 or MOV file says of itself in its boxes, read without decoding anything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

# Real files have a handful of boxes per level; a damaged one may claim millions of empty ones.
_MOST_BOXES = 4096


def is_mp4(head: bytes) -> bool:
    """Whether a file that begins so is an MP4 or MOV file."""
    return head[4:8] in (b'ftyp', b'moov', b'wide', b'mdat')


def has_index(path: str | os.PathLike[str]) -> bool:
    """Whether an MP4 file reaches to the end of its index, the 'moov' box, which is often last."""
    size = Path(path).stat().st_size
    with Path(path).open('rb') as file:
        return any(kind == b'moov' and end <= size for kind, _, end in _boxes(file, 0, size))


def picture_seconds(path: str | os.PathLike[str]) -> float | None:
    """How long the first picture track of an MP4 file lasts, in seconds; None where unsaid."""
    size = Path(path).stat().st_size
    with Path(path).open('rb') as file:
        for kind, start, end in _boxes(file, 0, size):
            if kind == b'moov' and end <= size:
                return _first_picture_track(file, start, end)
    return None


def _first_picture_track(file: BinaryIO, start: int, end: int) -> float | None:
    scale = None
    for kind, inner, after in _boxes(file, start, end):
        if kind == b'mvhd':
            scale = _timing(file, inner)[0]
        elif kind == b'trak' and (seconds := _track_seconds(file, inner, after, scale)):
            return seconds
    return None


def _track_seconds(file: BinaryIO, start: int, end: int, scale: int | None) -> float | None:
    """The shorter of what the track is shown (after edits) and what it holds."""
    said = []
    picture = False
    for kind, inner, after in _boxes(file, start, end):
        if kind == b'tkhd' and scale:
            file.seek(inner)
            header = file.read(36)
            # Version 1 has times of 8 bytes; the track's number and 4 spare bytes stand between.
            span = header[28:36] if header[:1] == b'\1' else header[20:24]
            said.append(int.from_bytes(span) / scale)
        elif kind == b'mdia':
            for part, place, _ in _boxes(file, inner, after):
                if part == b'mdhd':
                    ticks, span = _timing(file, place)
                    said.append(span / ticks if ticks else 0.0)
                elif part == b'hdlr':
                    file.seek(place + 8)
                    picture = file.read(4) == b'vide'
    return min((seconds for seconds in said if seconds > 0), default=None) if picture else None


def _timing(file: BinaryIO, place: int) -> tuple[int, int]:
    """(ticks per second, length in ticks) of an 'mvhd' or 'mdhd' box whose content is there."""
    file.seek(place)
    header = file.read(32)
    if header[:1] == b'\1':
        return int.from_bytes(header[20:24]), int.from_bytes(header[24:32])
    return int.from_bytes(header[12:16]), int.from_bytes(header[16:20])


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The boxes of one level: (kind, where the content starts, where it ends)."""
    for _ in range(_MOST_BOXES):
        if start + 8 > end:
            return
        file.seek(start)
        header = file.read(16)
        length, content = int.from_bytes(header[:4]), start + 8
        if length == 1:
            length, content = int.from_bytes(header[8:16]), start + 16
        elif length == 0:
            length = end - start
        if length < content - start:
            return
        yield header[4:8], content, start + length
        start += length
