"""An open video file: frame after frame, or by a jump where that is quicker and surely the same.

OpenCV's own way of going to a time is not exact: it counts frames at the mean rate, and starts
decoding wherever the container says a key frame is. A jump is made only where the packets of the
file (`packets.py`) tell which frame must come out and that decoding can begin before it. What comes
out must then bear the time stamps that were told, one by one; else the video is read from its start
and never jumped in again.
"""

from __future__ import annotations

import math
import os
import time as clock
from dataclasses import dataclass
from pathlib import Path

# FFmpeg and OpenCV write what they think of broken files to stderr, from C; the errors raised here
# say it once. FFmpeg's level is read when the first file is opened; a user's own choice stays.
os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')

import cv2  # noqa: E402
import numpy as np  # noqa: E402

from cpad_jax.errors import UserError  # noqa: E402
from cpad_jax.media import mp4_boxes  # noqa: E402
from cpad_jax.media.images import MAX_PIXELS, scale_image  # noqa: E402
from cpad_jax.media.packets import KeyFrame, Packets  # noqa: E402

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

# Containers round time stamps to a millisecond; a frame asked for by its own time must be found.
TIME_SLACK = 1e-3

# A stream that ends before this share of the length its file names was cut off.
_WHOLE = 0.9

# Seconds that no video lasts, of which a damaged file may speak.
_LONGEST = 30 * 24 * 3600

# A picture opens as a video of one frame, and so must be told apart by its first bytes.
_PICTURES = (b'\xff\xd8\xff', b'\x89PNG', b'BM')

# Containers that go to a key frame when told to seek, and only there.
_MATROSKA, _AVI = b'\x1a\x45\xdf\xa3', b'RIFF'

# OpenCV seeks so many frames before the one that it is told, and decodes up to there.
_LEAD = 16

# A rate that differs from the mean by more than this share of the frames is not the mean.
_UNEVEN = 0.005

# Frames ahead from which on the packets are asked whether a jump pays; below this none can.
_FAR = 2 * _LEAD

# Packets that are read without finding a worthwhile jump before they are no longer asked.
_FRUITLESS = 3000

# A guess of what a jump costs beside decoding, in frames, until it has been measured.
_JUMP_COST = 8.0

# A jump must promise to be so many times as quick as reading on, as what it costs varies.
_GAIN = 1.25


@dataclass(frozen=True)
class VideoInfo:
    """What a video file says it holds.

    Attributes:
        path: The file.
        width: Pixels, after rotation.
        height: Pixels, after rotation.
        fps: Mean frames per second, > 0.
        frames: Number of frames, >= 1; an estimate where the container does not count them.
        duration: Seconds, frames / fps.
    """

    path: Path
    width: int
    height: int
    fps: float
    frames: int
    duration: float


class VideoStream:
    """An open video: iterating moves on by one frame and gives the time at which it begins.

    Attributes:
        info: What the file says.
        jumps: How often `jump` has jumped.
    """

    def __init__(self, path: Path, last: float = math.inf, may_jump: bool = True):
        """Opens a video.

        Args:
            path: The file.
            last: The last time in seconds that will be asked for, if it is known.
            may_jump: False to read every frame, come what may.

        Raises:
            UserError: The file is missing, empty or no video.
        """
        self._path, self._last = path, last
        self._capture, head = _open(path)
        track = mp4_boxes.picture_track(path) if mp4_boxes.is_mp4(head) else None
        self.info = self._read_info(track)
        self.jumps = 0
        known = head.startswith((_MATROSKA, _AVI)) or (track and track.names_key_frames)
        self._may_jump = may_jump and bool(known)
        self._is_avi = head.startswith(_AVI)
        self._counts_frames = not head.startswith(_MATROSKA)
        self._rate = self._capture.get(cv2.CAP_PROP_FPS)
        self._packets: Packets | None = None
        self._fruitless_from = 0
        # Seconds and number of frames decoded one after the other; what a jump costs beside.
        self._decoding, self._decoded, self._jump_cost = 0.0, 0, _JUMP_COST
        self._origin = 0.0  # Seconds, the stamp of the first frame.
        self._time: float | None = None
        self._number = -1  # Of the present frame, from 0.

    def __enter__(self) -> VideoStream:
        return self

    def __exit__(self, *_) -> None:
        self._capture.release()
        if self._packets is not None:
            self._packets.close()

    def __iter__(self) -> VideoStream:
        return self

    def __next__(self) -> float:
        if not self._grab() and not (self._stopped_early() and self._return() and self._grab()):
            if self._time is None:
                raise UserError(
                    f'{self._path}: the video holds no frame that can be decoded (zero length or '
                    'broken); copy or export it again'
                )
            raise StopIteration
        self._number += 1
        if self._time is None:
            self._origin, self._time = self._stamp(), 0.0
        elif self._stamp() - self._origin > self._time:
            self._time = self._stamp() - self._origin
        else:
            # Some AVI files give the last frames no time stamp, which comes out as 0.
            self._time += 1 / self.info.fps
        return self._time

    def jump(self, time: float) -> float | None:
        """Goes to the frame that is shown at a time, if that is quicker than reading up to it.

        Args:
            time: Seconds, ascending from call to call.

        Returns:
            The time at which the present frame now begins; None if the stream stands where it was.
        """
        if not self._may_jump or self._time is None:
            return None
        if (time - self._time) * self.info.fps < _FAR:
            return None
        if self._packets is None:
            self._packets = Packets(_open(self._path)[0], self._origin, self._is_avi)
        wanted = self._packets.shown_at(time + TIME_SLACK)
        key = None if wanted is None else self._worthwhile(wanted)
        if key is None:
            fruitless = self._packets.read - self._fruitless_from
            self._may_jump = self._packets.trusted and fruitless < _FRUITLESS
            return None
        self._fruitless_from = self._packets.read
        if not self._go(key, wanted):
            self._return()
            return None
        self.jumps += 1
        return self._time

    def frame(self, size: int | tuple[int, int] | None) -> np.ndarray:
        """The present frame, uint8 [H, W, 3] RGB."""
        ok, image = self._capture.retrieve()
        if not ok:
            raise UserError(f'{self._path}: the frame at {self._time:.2f} s cannot be decoded')
        if image.ndim == 2:
            image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        if isinstance(size, int):
            scale = size / min(image.shape[:2])
            size = (round(image.shape[0] * scale), round(image.shape[1] * scale))
        if size is not None:
            image = scale_image(image, *size)
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

    def check_whole(self) -> None:
        """Raises a `UserError` where the stream, which has ended, fell short of its length."""
        end = (self._time or 0.0) + 1 / self.info.fps
        if end < _WHOLE * self.info.duration:
            raise UserError(
                f'{self._path}: the video breaks off at {end:.1f} s of {self.info.duration:.1f} s; '
                'the file is truncated or damaged: copy or download it again'
            )

    def _stamp(self) -> float:
        return self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000

    def _grab(self) -> bool:
        start = clock.perf_counter()
        ok = self._capture.grab()
        self._decoding += clock.perf_counter() - start
        self._decoded += 1
        return ok

    def _worthwhile(self, wanted: float) -> KeyFrame | None:
        """The key frame from which to decode up to a time, if that beats reading on."""
        target = self._packets.number(wanted)
        for key in self._packets.key_frames(wanted):
            # One more, because rates are fractions and OpenCV rounds.
            if key.number + self._unseen(key) + 1 > target or self._ask(key) > self.info.frames:
                continue
            cost = target - key.number + 1 + self._jump_cost
            if key.time > self._time and _GAIN * cost < target - self._number and self._may_go(key):
                return key
        return None

    def _ask(self, key: KeyFrame) -> int:
        """The number to tell OpenCV so that it begins to decode at a key frame."""
        place = self._rate * (self._origin + key.time)
        # Never beyond a key frame that lies on the even grid, as all do in AVI: its index may call
        # the next frame a key frame, too. Off the grid it must not be before the key frame.
        on_grid = abs(place - round(place)) < 1e-6
        return (round(place) if on_grid else math.ceil(place)) + _LEAD

    def _counted(self, key: KeyFrame) -> int:
        """The number that OpenCV gives a key frame, from its time and the rate in the file."""
        return round(self._rate * (self._origin + key.time)) - round(self._rate * self._origin)

    def _unseen(self, key: KeyFrame) -> int:
        """How many frames from a key frame on OpenCV decodes before it gives one out."""
        return self._ask(key) - self._counted(key)

    def _may_go(self, key: KeyFrame) -> bool:
        """Whether the rest of the video can still be read after a jump.

        Where the container tells how many frames there are, OpenCV stops once it has counted as
        many; after a jump it counts on from where the rate says that it is, which is too far where
        frames are missing from an even rate.
        """
        ahead = self._counted(key) - key.number
        if not self._counts_frames or ahead <= 1:
            return True
        at_end = max(ahead, self._rate * self.info.duration - self.info.frames)
        return (self.info.duration - self._last) * self.info.fps / 2 > at_end + 2 * _LEAD

    def _go(self, key: KeyFrame, wanted: float) -> bool:
        """Jumps, and says whether every frame up to the wanted one was as the packets told."""
        start = clock.perf_counter()
        self._capture.set(cv2.CAP_PROP_POS_FRAMES, self._ask(key))
        took = clock.perf_counter() - start
        if not self._capture.grab():
            return False
        expected = self._packets.between(self._stamp() - self._origin, wanted)
        if not expected or expected[0] != self._stamp() - self._origin:
            return False
        for time in expected[1:]:
            if not self._grab() or self._stamp() - self._origin != time:
                return False
        if self._decoded:
            beside = took / (self._decoding / self._decoded) - self._unseen(key)
            self._jump_cost += 0.2 * (max(0.0, beside) - self._jump_cost)
        self._time, self._number = wanted, self._packets.number(wanted)
        return True

    def _stopped_early(self) -> bool:
        """Whether OpenCV stops because of its count (see `_may_go`), not for want of frames."""
        counted = self._capture.get(cv2.CAP_PROP_POS_FRAMES)
        few = self._number + 1 < self.info.frames < counted
        return few and self.jumps > 0 and self._counts_frames

    def _return(self) -> bool:
        """Reads from the start up to the present frame, and never jumps again."""
        self._may_jump = False
        self._capture.release()
        self._capture, _ = _open(self._path)
        return all(self._capture.grab() for _ in range(self._number + 1))

    def _read_info(self, track: mp4_boxes.PictureTrack | None) -> VideoInfo:
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        frames = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        if not (math.isfinite(fps) and 0 < fps and math.isfinite(frames) and frames >= 1):
            fps, frames = self._measure()
        # Where frames are missing from an even rate, OpenCV tells that rate, not the mean.
        if track and track.seconds and abs(frames - fps * track.seconds) > _UNEVEN * frames + 1:
            fps = frames / track.seconds
        info = VideoInfo(
            path=self._path,
            width=int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            height=int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
            fps=fps,
            frames=int(frames),
            duration=frames / fps,
        )
        if info.frames > self._path.stat().st_size or info.duration > _LONGEST:
            raise UserError(
                f'{self._path}: the file says that it holds {info.frames} frames and lasts '
                f'{info.duration:.0f} s, which cannot be; it is damaged: copy or download it again'
            )
        if info.width * info.height > MAX_PIXELS:
            raise UserError(
                f'{self._path}: the frames are too large ({info.width}x{info.height}); at most '
                f'{MAX_PIXELS // 10**6} million pixels are read: save a smaller copy'
            )
        return info

    def _measure(self) -> tuple[float, int]:
        """Frames per second and their number, for a container that does not say."""
        frames, last = 0, 0.0
        while self._capture.grab():
            frames += 1
            last = max(last, self._stamp())
        self._capture.release()
        self._capture, _ = _open(self._path)
        return ((frames - 1) / last if frames > 1 and last > 0 else 25.0), max(frames, 1)


def _open(path: Path) -> tuple[cv2.VideoCapture, bytes]:
    """An open video and the first bytes of its file."""
    if not path.exists():
        raise UserError(f'{path}: there is no such file; expected a video (mp4, mov, avi, mkv)')
    if not path.is_file():
        raise UserError(f'{path}: this is a folder; expected one video file')
    try:
        with path.open('rb') as file:
            head = file.read(4096)
    except OSError as error:
        raise UserError(
            f'{path}: the file cannot be read ({error.strerror}); see who may read it'
        ) from error
    if not head:
        raise UserError(f'{path}: the file is empty; copy or download the video again')
    # FFmpeg plays plain text as a video of a terminal; no real container is without a zero byte.
    if head.startswith(_PICTURES) or b'\0' not in head:
        raise UserError(f'{path}: this is not a video; expected a file such as mp4, mov, avi, mkv')
    # Absolute, because FFmpeg takes what stands before a colon for a protocol.
    capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise UserError(f'{path}: {_why_closed(path, head)}')
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return capture, head


def _why_closed(path: Path, head: bytes) -> str:
    if head[4:8] == b'ftyp' and not mp4_boxes.has_index(path):
        return (
            "the video is truncated (its index, 'moov', is missing): the recording or the copy was "
            'cut off; copy or download it again'
        )
    return (
        'no picture can be decoded: it is not a video, holds only sound, or its codec is unknown '
        'to FFmpeg; expected a file such as mp4, mov, avi, mkv'
    )
