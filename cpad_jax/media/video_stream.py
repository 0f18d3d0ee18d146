"""An open video file: frame after frame, or by a jump where that is quicker and surely the same.

Going to a time by the container alone is not exact: decoding starts wherever it says that a key
frame is. A jump is made only where the packets of the file (`packets.py`) tell which frame must
come out and that decoding can begin before it. What comes out must then bear the time stamps that
were told, one by one; else the video is read from its start and never jumped in again.
"""

from __future__ import annotations

import itertools
import math
import time as clock
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from cpad_jax.errors import UserError
from cpad_jax.media import truncation
from cpad_jax.media.images import MAX_PIXELS
from cpad_jax.media.packets import ANEW, KeyFrame, Packets, demux, measure
from cpad_jax.media.video_file import VideoFile
from cpad_jax.media.video_frames import FrameConverter

# Containers round time stamps to a millisecond; a frame requested by its own time must be found.
TIME_SLACK = 1e-3

# A stream that ends before this share of its length was cut off.
_WHOLE = 0.9

# Seconds that no video lasts, of which a damaged file may speak.
_LONGEST = 30 * 24 * 3600

# A gap in the stamps of a broadcast, in seconds, that is none in its pictures: FFmpeg's bound.
_GAP = 10.0

# Packets that cannot be decoded one after the other before a video is given up.
_MOST_BROKEN = 4096

# Frames ahead from which on packets are checked for a worthwhile jump; below this there is none.
_FAR = 32

# Packets that are read without finding a worthwhile jump before they are no longer checked.
_FRUITLESS = 3000

# A guess of what a jump costs beside decoding, in frames, until it has been measured.
_JUMP_COST = 8.0

# A jump must promise to be so many times as quick as reading on, as what it costs varies.
_GAIN = 1.25


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds.

    Attributes:
        path: The file.
        width: Pixels, square ones, after rotation.
        height: Pixels, after rotation.
        fps: Mean frames per second, > 0.
        frames: Number of frames, >= 1, counted; an estimate where the file was cut off.
        duration: Seconds, frames / fps: up to the end of the last frame. Where the file was cut
            off, those of the whole.
        start: Seconds from the start of the file, of sound or picture, to the first frame, >= 0.
    """

    path: Path
    width: int
    height: int
    fps: float
    frames: int
    duration: float
    start: float = 0.0


@dataclass(frozen=True)
class Shown:
    """A decoded frame and the time in seconds, from the first frame, at which it begins."""

    frame: av.VideoFrame
    time: float


class VideoStream:
    """An open video: iterating gives frame after frame, without converting them.

    Attributes:
        jumps: How often `jump` has jumped.
    """

    def __init__(self, path: Path, may_jump: bool = True):
        """Opens a video.

        Args:
            path: The file.
            may_jump: False to read every frame, come what may.

        Raises:
            UserError: The file is missing, empty or no video.
        """
        self._path, self._may_jump = path, may_jump
        self._file = VideoFile(path)
        self._tick, self._rate = self._file.tick, self._file.rate
        self._converter = FrameConverter(self._file.stream.sample_aspect_ratio)
        self._decoded = self._decode()
        self.jumps = 0
        self._packets: Packets | None = None
        self._fruitless_from = 0
        # Seconds and number of frames decoded one after the other; what a jump costs beside.
        self._decoding, self._timed, self._jump_cost = 0.0, 0, _JUMP_COST
        self._origin: int | None = None  # The stamp of the time 0.
        self._even = True  # Whether every time so far followed from its stamp.
        self._time: float | None = None
        self._number = -1  # Of the present frame, from 0.
        # The last stamp of a packet that was read, and how long its frame lasts.
        self._reach = (-(2**63), 0)
        self._broken = False  # Whether reading ended otherwise than at the end of the file.

    def __enter__(self) -> VideoStream:
        return self

    def __exit__(self, *_) -> None:
        self._file.close()
        if self._packets is not None:
            self._packets.close()

    def __iter__(self) -> VideoStream:
        return self

    def __next__(self) -> Shown:
        start = clock.perf_counter()
        frame = next(self._decoded, None)
        self._decoding += clock.perf_counter() - start
        self._timed += 1
        if frame is None:
            if self._time is None:
                raise UserError(
                    f'{self._path}: no picture can be decoded: the video is of zero length or '
                    'broken; copy or export it again'
                )
            raise StopIteration
        self._number += 1
        self._time = self._begins(frame)
        return Shown(frame, self._time)

    def picture(self, shown: Shown, size: int | tuple[int, int] | None) -> np.ndarray:
        """A frame as uint8 [H, W, 3] RGB, upright, of square pixels, in memory of its own."""
        try:
            return self._converter.picture(shown.frame, size)
        except (av.FFmpegError, ValueError) as error:
            raise UserError(
                f'{self._path}: the frame at {shown.time:.2f} s cannot be converted to colours '
                f'({shown.frame.format.name}); export the video again'
            ) from error

    def jump(self, time: float) -> Shown | None:
        """Goes to the frame that is shown at a time, if that is quicker than reading up to it.

        Args:
            time: Seconds, ascending from call to call.

        Returns:
            The present frame; None if the stream stands where it was.
        """
        if not self._may_jump or not self._even or self._origin is None:
            return None
        if (time - self._time) * self._rate < _FAR:
            return None
        if self._packets is None:
            self._packets = Packets(VideoFile(self._path), self._origin)
        wanted = self._packets.shown_at(
            self._origin + math.floor((time + TIME_SLACK) / self._tick + 1e-6)
        )
        key = None if wanted is None else self._worthwhile(wanted)
        if key is None:
            fruitless = self._packets.read - self._fruitless_from
            self._may_jump = self._packets.trusted and fruitless < _FRUITLESS
            return None
        self._fruitless_from = self._packets.read
        frame = self._go(key, wanted)
        if frame is None:
            self._return()
            return None
        self.jumps += 1
        return Shown(frame, self._time)

    @property
    def end(self) -> float:
        """Seconds at which the frame ends that was given last: the video's end after the last."""
        time = self._time or 0.0
        begins, ends = self._packets_reach()
        return ends if begins - self._tick <= time < ends else time + 1 / self._rate

    def _packets_reach(self) -> tuple[float, float]:
        """When the last frame begins and ends of which a packet was read, in seconds; 0 if none."""
        stamp, length = self._reach
        begins = (stamp - (self._origin or 0)) * self._tick
        if self._origin is None or not 0 <= begins < _LONGEST:
            return 0.0, 0.0
        return begins, begins + length * self._tick

    def check_whole(self) -> None:
        """Raises a `UserError` where the stream, which has ended, fell short of its length."""
        end = self.end
        length = max(self._packets_reach()[1], self._missing_from())
        if end < _WHOLE * length:
            raise UserError(
                f'{self._path}: the video breaks off at {end:.1f} s of {length:.1f} s; '
                'the file is truncated or damaged: copy or download it again'
            )

    def info(self) -> VideoInfo:
        """What the file holds; its packets are read for it, all of them.

        Raises:
            UserError: As `next`; also where frames are too large.
        """
        first = next(self)
        height, width = self._converter.size(first.frame)
        if height * width > MAX_PIXELS:
            raise UserError(
                f'{self._path}: the frames are too large ({width}x{height}); at most '
                f'{MAX_PIXELS // 10**6} million pixels are read: save a smaller copy'
            )
        file = VideoFile(self._path)
        try:
            frames, duration = measure(file, self._origin)
        finally:
            file.close()
        if not 0 < duration < _LONGEST:
            frames, duration = 1, 1 / self._rate
        fps = frames / duration
        if (claimed := self._missing_from()) > duration:
            frames, duration = max(1, round(claimed * fps)), claimed
            fps = frames / duration
        start = 0.0
        origin = self._file.stream.start_time if self._file.is_avi else self._origin
        if origin is not None and self._file.container.start_time is not None:
            start = origin * self._tick - self._file.container.start_time / av.time_base
        return VideoInfo(self._path, width, height, fps, frames, duration, max(0.0, start))

    def _missing_from(self) -> float:
        """The seconds that the file says it has, if its end is missing; 0 if it is whole."""
        if not self._broken and not truncation.is_cut(self._path):
            return 0.0
        claimed = self._file.claimed()
        return claimed if claimed < _LONGEST else 0.0

    def _decode(self, *read: av.Packet) -> Iterator[av.VideoFrame]:
        """The frames of packets that were read, and of those from where the file stands.

        Packets that are broken are passed over.
        """
        coder, broken = self._file.stream.codec_context, 0
        source = itertools.chain(read, self._file.container.demux(self._file.stream))
        while broken < _MOST_BROKEN:
            try:
                packet = next(source, None)
            except (av.FFmpegError, OSError):
                packet, self._broken = None, True
            try:
                frames = coder.decode(packet if packet is not None and packet.size else None)
                broken = 0
            except av.EOFError:
                return
            except (av.FFmpegError, OSError, ValueError):
                frames, broken = [], broken + 1
            yield from frames
            if packet is None or not packet.size:
                return
            place = self._file.stamp(packet)
            if place is not None and not packet.is_discard and self._even:
                self._reach = max(self._reach, (place, packet.duration or 0))

    def _begins(self, frame: av.VideoFrame) -> float:
        """When the next frame begins, in seconds."""
        place = self._file.stamp(frame)
        if self._time is None:
            self._origin = place
            return 0.0
        after = self._time + 1 / self._rate
        if place is None:
            self._even = False
            return after
        if self._origin is None:
            self._origin = place - round(after / self._tick)
        time = (place - self._origin) * self._tick
        gap = time - self._time
        if gap <= -ANEW or (gap > _GAP and self._file.holds('mpegts')):
            self._even = False
            self._origin = place - round(after / self._tick)
            return after
        if gap <= 0:
            # Frames that bear the stamp of the one before.
            self._even = False
            return after
        return time

    def _worthwhile(self, wanted: int) -> KeyFrame | None:
        """The key frame from which to decode up to a stamp, if that beats reading on."""
        target = self._packets.number(wanted)
        for key in self._packets.key_frames(wanted):
            cost = target - key.number + 1 + self._jump_cost
            ahead = (key.stamp - self._origin) * self._tick > self._time
            if ahead and _GAIN * cost < target - self._number:
                return key
        return None

    def _go(self, key: KeyFrame, wanted: int) -> av.VideoFrame | None:
        """Jumps; gives the wanted frame if every one up to it was as the packets say."""
        start = clock.perf_counter()
        try:
            self._file.seek(key.stamp)
        except (av.FFmpegError, OSError):
            return None
        # Decoding must begin at this frame, or at an earlier one of the kind.
        first = next(demux(self._file), None)
        if first is None or (begin := self._file.stamp(first)) not in self._packets.keys:
            return None
        expected = self._packets.between(begin, wanted)
        self._decoded = self._decode(first)
        frame = None
        for place in expected:
            frame = next(self._decoded, None)
            while frame is not None and (found := self._file.stamp(frame) or 0) < begin:
                frame = next(self._decoded, None)
            if frame is None or found != place:
                return None
        if self._timed:
            took = clock.perf_counter() - start
            beside = took / (self._decoding / self._timed) - len(expected)
            self._jump_cost += 0.2 * (max(0.0, beside) - self._jump_cost)
        self._number = self._packets.number(wanted)
        self._time = (wanted - self._origin) * self._tick
        return frame

    def _return(self) -> None:
        """Reads from the start up to the present frame, and never jumps again."""
        self._may_jump = False
        self._file.close()
        self._file = VideoFile(self._path)
        self._decoded = self._decode()
        for _ in range(self._number + 1):
            next(self._decoded, None)
