"""Whether a file is a picture or a video, by its first bytes and not by its name."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from cpad_jax.media import image_files, video

PICTURE, VIDEO = 'picture', 'video'
OTHER = 'neither picture nor video'
_HEAD = 4096  # Bytes.

_PICTURES = (
    b'\xff\xd8\xff', b'\x89PNG\r\n\x1a\n', b'GIF87a', b'GIF89a', b'II*\0', b'MM\0*', b'II+\0',
    b'MM\0+',
)  # fmt: skip
# FLV, ASF (.wmv), MPEG program and elementary streams, DV, MXF, GXF, WTV, RealMedia, NUT, IVF, Y4M.
_VIDEOS = (
    b'FLV\x01', b'\x30\x26\xb2\x75\x8e\x66\xcf\x11', b'\0\0\x01\xba', b'\0\0\x01\xb3',
    b'\0\0\x01\xb0', b'\x1f\x07\0', b'\x06\x0e\x2b\x34', b'\0\0\0\0\x01\xbc',
    b'\xb7\xd8\0\x20\x37\x49\xda\x11', b'.RMF', b'nut/multimedia', b'DKIF', b'YUV4MPEG2',
)  # fmt: skip
# Words behind 'RIFF' of videos: AVI, also as recorders and old cameras write it.
_RIFFS = (b'AVI ', b'AVIX', b'AVI\x19', b'AMV ')
# Bare streams, which have no header of their own: how H.264 (access unit or parameters), HEVC and
# AV1 begin.
_BARE = re.compile(
    rb'\0?\0\0\x01(?:[\x07\x09\x27\x29\x47\x49\x67\x69]|[\x40\x42\x46]\x01)|\x12\0\x0a'
)
# Nothing but JPEGs, one after the other: only the ending tells such a video from a photo.
_JPEGS = ('.mjpeg', '.mjpg')
_SOUNDS = (b'ID3', b'fLaC', b'FORM')
_OTHERS = (
    b'%PDF',
    b'%!PS',
    b'PK\x03\x04',
    b'8BPS',
    b'\x1f\x8b',
    b'7z\xbc\xaf',
    b'Rar!',
    b'\x7fELF',
)
# Kinds of MPEG-4's family by the brand behind 'ftyp'; all others are videos.
_BRANDS = {
    b'avif': PICTURE, b'avis': PICTURE, b'heic': PICTURE, b'heix': PICTURE, b'hevc': PICTURE,
    b'hevx': PICTURE, b'heim': PICTURE, b'heis': PICTURE, b'hevm': PICTURE, b'hevs': PICTURE,
    b'mif1': PICTURE, b'msf1': PICTURE, b'M4A ': OTHER, b'M4B ': OTHER, b'M4P ': OTHER,
    b'F4A ': OTHER, b'F4B ': OTHER, b'crx ': OTHER, b'jp2 ': OTHER,
}  # fmt: skip
# QuickTime files from before there was 'ftyp' begin with one of these.
_ATOMS = (b'moov', b'mdat', b'wide', b'pnot')
_EBML = b'\x1a\x45\xdf\xa3'
_BITMAP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
# Sizes of the packets of MPEG transport streams: broadcast, cameras and discs, with error codes.
_PACKETS = (188, 192, 204)
# Raw photos of cameras are TIFF files to look at, of which only a thumbnail could be read.
_RAW = (
    '.cr2',
    '.nef',
    '.nrw',
    '.dng',
    '.arw',
    '.sr2',
    '.srf',
    '.pef',
    '.orf',
    '.rw2',
    '.3fr',
    '.iiq',
)
# Files of these endings whose first bytes are not recognised are taken for what they should be,
# so that a damaged one is named.
_VIDEO_ENDINGS = (
    *video.ENDINGS, '.m2ts', '.m2t', '.vob', '.flv', '.f4v', '.3g2', '.ogv', '.divx', '.asf',
    '.mxf', '.m2v', '.mpe', '.qt', '.dv', '.wtv', '.mod', '.tod', '.amv', '.y4m', '.h264', '.264',
    '.h265', '.265', '.hevc', '.obu', *_JPEGS,
)  # fmt: skip


def kind(path: str | os.PathLike[str]) -> str:
    """What a file is.

    Args:
        path: A file.

    Returns:
        PICTURE, VIDEO or OTHER. By the ending where the first bytes tell nothing, as of a file
        that is damaged, or that may not be read.
    """
    ending = Path(path).suffix.lower()
    try:
        held = of_bytes(_head(path))
    except OSError:
        held = None
    if held == PICTURE and ending in _RAW:
        return OTHER
    if held == PICTURE and ending in _JPEGS:
        return VIDEO
    if held is not None:
        return held
    if ending in image_files.ENDINGS:
        return PICTURE
    return VIDEO if ending in _VIDEO_ENDINGS else OTHER


def of_bytes(head: bytes) -> str | None:
    """PICTURE, VIDEO or OTHER by the first 4096 bytes of a file; None if they do not tell."""
    if head.startswith(_PICTURES) or (head[:4] == b'RIFF' and head[8:12] == b'WEBP'):
        return PICTURE
    if head[:2] == b'BM' and int.from_bytes(head[14:18], 'little') in _BITMAP_HEADERS:
        return PICTURE
    if head[:4] == b'RIFF':
        return VIDEO if head[8:12] in _RIFFS else OTHER
    if head.startswith((*_VIDEOS, _EBML)) or _BARE.match(head) or _is_transport_stream(head):
        return VIDEO
    if head[4:8] == b'ftyp':
        return _BRANDS.get(head[8:12], VIDEO)
    if head[4:8] in _ATOMS:
        return VIDEO
    if head[:4] == b'OggS':
        return VIDEO if re.search(rb'\x80theora|BBCD|OVP80|\x01video', head[:512]) else OTHER
    return OTHER if head.startswith((*_SOUNDS, *_OTHERS)) else None


def _is_transport_stream(head: bytes) -> bool:
    """Whether packets begin at equal distances, the first one anywhere in a packet's length."""
    for size in _PACKETS:
        for start in range(size):
            marks = head[start::size]
            if len(marks) >= 4 and not marks.strip(b'\x47'):
                return True
    return False


def _head(path: str | os.PathLike[str]) -> bytes:
    """The first bytes of a plain file; a pipe would wait for somebody who writes."""
    opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.read(opened, _HEAD) if stat.S_ISREG(os.fstat(opened).st_mode) else b''
    finally:
        os.close(opened)
