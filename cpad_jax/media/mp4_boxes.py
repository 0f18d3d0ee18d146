"""What an MP4 or MOV file says of itself in its boxes, read without decoding anything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

# Real files have a handful of boxes per level; a damaged one may claim millions of empty ones.
_MOST_BOXES = 4096


@dataclass(frozen=True)
class PictureTrack:
    """What a file says of its pictures.

    Attributes:
        seconds: How long they last: the shorter of what is there and what is shown of it, after
            edits; 0 where that is not said.
        names_key_frames: Whether there is a table of key frames; without one, FFmpeg takes every
            frame for one when it seeks.
    """

    seconds: float
    names_key_frames: bool


def is_mp4(head: bytes) -> bool:
    """Whether a file that begins so is an MP4 or MOV file."""
    return head[4:8] in (b'ftyp', b'moov', b'wide', b'mdat')


def has_index(path: str | os.PathLike[str]) -> bool:
    """Whether an MP4 file reaches to the end of its index, the 'moov' box, which is often last."""
    size = Path(path).stat().st_size
    with Path(path).open('rb') as file:
        return any(kind == b'moov' and end <= size for kind, _, end in _boxes(file, 0, size))


def picture_track(path: str | os.PathLike[str]) -> PictureTrack | None:
    """The first picture track of an MP4 file; None where there is none or it cannot be read."""
    size = Path(path).stat().st_size
    with Path(path).open('rb') as file:
        for kind, start, end in _boxes(file, 0, size):
            if kind == b'moov' and end <= size:
                return _first_picture_track(file, start, end)
    return None


def _first_picture_track(file: BinaryIO, start: int, end: int) -> PictureTrack | None:
    scale = None
    for kind, inner, after in _boxes(file, start, end):
        if kind == b'mvhd':
            scale = _timing(file, inner)[0]
        elif kind == b'trak' and (track := _track(file, inner, after, scale)):
            return track
    return None


def _track(file: BinaryIO, start: int, end: int, scale: int | None) -> PictureTrack | None:
    said = []
    picture = names_keys = False
    for path, inner, after in _nested(file, start, end, (b'mdia', b'minf', b'stbl')):
        file.seek(inner)
        header = file.read(36)
        if path == b'tkhd' and scale:
            # Version 1 has times of 8 bytes; the track's number and 4 spare bytes stand between.
            span = header[28:36] if header[:1] == b'\1' else header[20:24]
            said.append(int.from_bytes(span) / scale)
        elif path == b'mdhd':
            ticks, span = _timing(file, inner)
            said.append(span / ticks if ticks else 0.0)
        elif path == b'hdlr' and header[8:12] == b'vide':
            picture = True
        elif path == b'stss':
            names_keys = after - inner >= 8 and int.from_bytes(header[4:8]) > 0
    if not picture:
        return None
    return PictureTrack(min((seconds for seconds in said if seconds > 0), default=0.0), names_keys)


def _nested(
    file: BinaryIO, start: int, end: int, within: tuple[bytes, ...]
) -> Iterator[tuple[bytes, int, int]]:
    """The boxes of a level, and of those below it in boxes of some kinds."""
    for kind, inner, after in _boxes(file, start, end):
        yield kind, inner, after
        if kind in within:
            yield from _nested(file, inner, after, within[within.index(kind) + 1 :])


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
