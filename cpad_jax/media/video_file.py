"""A video file opened by FFmpeg (PyAV): one file, a known container, its best picture track.

FFmpeg is given an open file and never a path. So a name can neither be a pattern, a protocol or an
option nor break in an encoding, and what is inside a file cannot have others opened: lists of files
and streams from the network are not among the containers, and no protocol is allowed.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import BinaryIO

import av
from av.stream import Discard, Disposition

from cpad_jax.errors import UserError
from cpad_jax.media import truncation
from cpad_jax.media.images import MAX_PIXELS

# FFmpeg's names of the containers that are opened, whatever a file's ending: those that hold their
# pictures themselves, and bare streams of pictures.
_CONTAINERS = (
    'mov', 'matroska', 'avi', 'mpeg', 'mpegts', 'asf', 'flv', 'ogg', 'dv', 'mxf', 'gxf', 'wtv',
    'rm', 'nut', 'ivf', 'obu', 'h264', 'hevc', 'm4v', 'mpegvideo', 'mjpeg', 'vc1', 'dirac',
    'cavsvideo', 'yuv4mpegpipe',
)  # fmt: skip

# A picture opens as a video of one frame, and so must be recognised by its first bytes.
_JPEG, _JPEGS = b'\xff\xd8\xff', ('.mjpeg', '.mjpg')
_PICTURES = (_JPEG, b'\x89PNG', b'BM', b'GIF8')
_UNCOMPRESSED = b'YUV4MPEG2'  # Y4M: a line of text, then pixels.

# Packets that are looked at to tell tracks of moving pictures from still ones.
_GLANCE = 500

_NOT_MOVING = Disposition.attached_pic | Disposition.timed_thumbnails


class VideoFile:
    """An open video: its container, and the track of pictures that is read.

    Attributes:
        path: The file.
        container: PyAV's; gives out packets of `stream` only.
        stream: The best picture track.
        is_avi: Whether packets are stamped by their place in the file.
    """

    def __init__(self, path: Path):
        """Opens a video.

        Raises:
            UserError: The file is missing, empty or no video.
        """
        self.path = path
        self._handle = _open(path)
        try:
            self.container = self._container()
            tracks = _tracks(self.container)
            if len(tracks) > 1:
                number = _best_track(self.container, tracks)
                self.container.close()
                self._handle.seek(0)
                self.container = self._container()
                tracks = [s for s in self.container.streams.video if s.index == number]
            if not tracks:
                raise UserError(f'{path}: {_why_closed(path)}')
        except BaseException:
            self._handle.close()
            raise
        self.stream = tracks[0]
        self.is_avi = self.holds('avi')
        coder = self.stream.codec_context
        if coder.width * coder.height > MAX_PIXELS:
            self.close()
            raise UserError(
                f'{path}: the frames are too large ({coder.width}x{coder.height}); at most '
                f'{MAX_PIXELS // 10**6} million pixels are read: save a smaller copy'
            )
        coder.options = {'max_pixels': str(MAX_PIXELS)}
        self.stream.thread_type = 'AUTO'
        for other in self.container.streams:
            if other.index != self.stream.index:
                other.discard = Discard.all

    def close(self) -> None:
        """Closes the file."""
        self.container.close()
        self._handle.close()

    @property
    def tick(self) -> float:
        """Seconds per unit of the stamps of frames and packets."""
        return float(self.stream.time_base or 1 / 90_000)

    @property
    def rate(self) -> float:
        """Frames per second as the file says, > 0; 25 where it says nothing sensible."""
        rate = self.stream.average_rate or self.stream.guessed_rate
        return float(rate) if rate and 0 < rate <= 1000 else 25.0

    def holds(self, name: str) -> bool:
        """Whether the container is of a kind, by FFmpeg's name of it."""
        return name in self.container.format.name.split(',')

    def seek(self, stamp: int) -> None:
        """Goes to the last key frame by a stamp, as far as the container knows."""
        self.container.seek(stamp, stream=self.stream)

    def stamp(self, item: av.Packet | av.VideoFrame) -> int | None:
        """When a frame, or the one in a packet, is shown; None where it is unknown.

        AVI has no stamps, and FFmpeg's guesses of when frames are shown are wrong at times; when
        they come out of the decoder is known. The same holds for a frame without a stamp.
        """
        if item.pts is None or (item.dts is not None and self.is_avi):
            return item.dts
        return item.pts

    def claimed(self) -> float:
        """Seconds that the file says its pictures last; 0 where it does not say."""
        lasts = self.stream.duration
        seconds = lasts * self.tick if lasts else (self.container.duration or 0) / av.time_base
        # FFmpeg takes what is missing of an AVI file off the one and not off the other.
        return max(0.0, seconds, self.stream.frames / self.rate)

    def _container(self) -> av.container.InputContainer:
        try:
            return av.open(
                _Bytes(self._handle),
                'r',
                # FFmpeg guesses every container but this one.
                format='mjpeg' if _is_jpegs(self.path, self._handle.peek(3)) else None,
                options={
                    'format_whitelist': ','.join(_CONTAINERS),
                    'protocol_whitelist': 'none',
                },
                metadata_errors='replace',
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            raise UserError(f'{self.path}: {_why_closed(self.path)}') from error


class _Bytes:
    """An open file without its name, from which FFmpeg would guess what it holds."""

    def __init__(self, file: BinaryIO):
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def _open(path: Path) -> BinaryIO:
    """The open file, whose first bytes may be a video's."""
    if not path.exists():
        raise UserError(f'{path}: there is no such file; expected a video (mp4, mov, avi, mkv)')
    if path.is_dir():
        raise UserError(f'{path}: this is a folder; expected one video file')
    if not path.is_file():
        raise UserError(f'{path}: this is a device or a pipe; expected one video file')
    try:
        file = path.open('rb')
    except OSError as error:
        raise UserError(
            f'{path}: the file cannot be read ({error.strerror}); see who may read it'
        ) from error
    try:
        head = file.read(4096)
        file.seek(0)
        if not head:
            raise UserError(f'{path}: the file is empty; copy or download the video again')
        is_picture = head.startswith(_PICTURES) or head[8:12] == b'WEBP'
        if is_picture and not _is_jpegs(path, head):
            raise UserError(
                f'{path}: this is a picture and not a video; expected a file such as mp4, mov, '
                'avi, mkv; one that moves must be saved as such a video'
            )
        # No other container is without a zero byte.
        if b'\0' not in head and not head.startswith(_UNCOMPRESSED):
            raise UserError(
                f'{path}: this is not a video; expected a file such as mp4, mov, avi, mkv'
            )
    except BaseException:
        file.close()
        raise
    return file


def _is_jpegs(path: Path, head: bytes) -> bool:
    """Whether a file is a video of JPEGs one after the other: its ending tells it from a photo."""
    return head.startswith(_JPEG) and path.suffix.lower() in _JPEGS


def _tracks(container: av.container.InputContainer) -> list[av.video.stream.VideoStream]:
    """The tracks of pictures that can be decoded, without cover art and thumbnails."""
    return [
        stream
        for stream in container.streams.video
        if stream.codec_context is not None and not stream.disposition & _NOT_MOVING
    ]


def _best_track(
    container: av.container.InputContainer, tracks: list[av.video.stream.VideoStream]
) -> int:
    """The number of the track of moving pictures that is largest; the default one of equals."""
    seen: Counter[int] = Counter()
    try:
        for _, packet in zip(range(_GLANCE), container.demux(tracks), strict=False):
            if packet.size:
                seen[packet.stream.index] += 1
    except (av.FFmpegError, OSError):
        pass  # What was seen up to there tells enough.
    best = max(
        tracks,
        key=lambda stream: (
            min(seen[stream.index], 2),
            stream.codec_context.width * stream.codec_context.height,
            bool(stream.disposition & Disposition.default),
            -stream.index,
        ),
    )
    return best.index


def _why_closed(path: Path) -> str:
    with path.open('rb') as file:
        is_mp4 = truncation.is_mp4(file.read(12))
    if is_mp4 and not truncation.has_index(path):
        return (
            "the video is truncated (its index, 'moov', is missing): the recording or the copy was "
            'cut off; copy or download it again'
        )
    return (
        'no picture can be decoded: it is not a video, holds only sound, or its codec is unknown '
        'to FFmpeg; expected a file such as mp4, mov, avi, mkv'
    )
