"""Video files: what they hold, their frames by time, and writing them (by OpenCV's FFmpeg).

Frames are addressed by time and never by index, because phones record at a varying rate. A video
that was filmed upright or upside down comes out as a player shows it: OpenCV applies the rotation
that the file names, and width and height are those after it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

# FFmpeg and OpenCV write what they think of broken files to stderr, from C; the errors raised here
# say it once. FFmpeg's level is read when the first file is opened; a user's own choice stays.
os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')

import cv2  # noqa: E402
import numpy as np  # noqa: E402

from cpad_jax import atomic  # noqa: E402
from cpad_jax.errors import UserError  # noqa: E402
from cpad_jax.media.images import scale_image  # noqa: E402

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

# Containers round time stamps to a millisecond; a frame asked for by its own time must be found.
_TIME_SLACK = 1e-3

# A stream that ends before this share of the length its file names was cut off.
_WHOLE = 0.9

# A picture opens as a video of one frame, and so must be told apart by its first bytes.
_PICTURES = (b'\xff\xd8\xff', b'\x89PNG', b'BM')


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


def probe(path: str | os.PathLike[str]) -> VideoInfo:
    """Reads a video's size, rate and length, and makes sure that its first frame decodes.

    Raises:
        UserError: The file is missing, empty, no video, of zero length, broken, or without picture.
    """
    with _Stream(Path(path)) as stream:
        next(stream)
        return stream.info


def iterate_frames(
    path: str | os.PathLike[str],
    times: Iterable[float] | None = None,
    size: int | tuple[int, int] | None = None,
) -> Iterator[tuple[np.ndarray, float]]:
    """Decodes a video once from its start and gives frames one by one, in constant memory.

    Args:
        path: A video file.
        times: Seconds from the first frame, ascending. Each gives the frame that is shown at that
            time: the last one that began by then. Times after the end give the last frame. Without
            times every frame is given once.
        size: None for the video's own size, (height, width), or the length of the shorter side in
            pixels with the aspect kept.

    Yields:
        (frame uint8 [H, W, 3] RGB, the time in seconds at which it begins).

    Raises:
        UserError: As `probe`; also where the video breaks off well before the length it names and
            before a time that was asked for.
    """
    path = Path(path)
    with _Stream(path) as stream:
        if times is None:
            for time in stream:
                yield stream.frame(size), time
            stream.check_whole()
            return
        wanted = iter(times)
        target = next(wanted, None)
        shown = None
        before, reach = 0.0, 0.1
        while target is not None and (time := next(stream, None)) is not None:
            while target is not None and target + _TIME_SLACK < time:
                shown = shown or _frame_at(path, before, size)
                yield shown
                target = next(wanted, None)
            # Converting a decoded frame costs as much as decoding it, so only those that a wanted
            # time is likely to fall on are converted. How long a frame is shown is known when the
            # next one comes; twice the longest so far is taken for the most.
            reach, before = max(reach, 2 * (time - before)), time
            near = target is not None and target + _TIME_SLACK < time + reach
            last = time + reach >= stream.info.duration
            shown = (stream.frame(size), time) if near or last else None
        if target is None:
            return
        stream.check_whole()
    shown = shown or _frame_at(path, before, size)
    while target is not None:
        yield shown
        target = next(wanted, None)


def _frame_at(
    path: Path, begins: float, size: int | tuple[int, int] | None
) -> tuple[np.ndarray, float]:
    """Goes back for a frame that was shown longer than expected, which is rare."""
    return next(iterate_frames(path, [begins], size))


def sample_frames(
    path: str | os.PathLike[str],
    times: Sequence[float] | None = None,
    count: int | None = None,
    rate: float | None = None,
    size: int | tuple[int, int] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Takes frames out of a video by time; give exactly one of `times`, `count` and `rate`.

    Args:
        path: A video file.
        times: Seconds from the first frame, >= 0, ascending.
        count: So many frames, in the middles of as many equal parts of the video, >= 1.
        rate: So many frames per second of video, in the middles of the intervals, > 0; at least
            one frame.
        size: As in `iterate_frames`; frames are made small one by one while decoding.

    Returns:
        (frames uint8 [T, H, W, 3] RGB, times float32 [T]: seconds at which each of these frames
        begins). A frame stands twice where two times fall on it.

    Raises:
        UserError: As `iterate_frames`.
        ValueError: Not exactly one way of sampling is given, or times are out of order.
    """
    if sum(option is not None for option in (times, count, rate)) != 1:
        raise ValueError('give exactly one of times, count and rate')
    if times is None:
        duration = probe(path).duration
        parts = count if count is not None else max(1, round(duration * rate))
        step = duration / parts if count is not None else 1 / rate
        times = (np.arange(parts) + 0.5) * step
    times = np.asarray(times, np.float64)
    if times.size == 0 or times[0] < 0 or (np.diff(times) < 0).any():
        raise ValueError(f'times must be ascending seconds from 0, at least one; got {times}')
    taken = list(iterate_frames(path, times.tolist(), size))
    frames, begins = zip(*taken, strict=True)
    return np.stack(frames), np.asarray(begins, np.float32)


def write_video(path: str | os.PathLike[str], frames: np.ndarray, fps: float) -> None:
    """Writes an `.mp4` file (MPEG-4 part 2), whole or not at all, and reads it back to check it.

    Args:
        path: Ends in `.mp4`. A file that is there already is replaced.
        frames: uint8 [T, H, W, 3] RGB, T >= 1; H and W even, as the codec halves the colours.
        fps: Frames per second, > 0.

    Raises:
        UserError: The file cannot be written, or does not hold every frame afterwards.
        ValueError: `frames` is not of that form, or `path` of another ending.
    """
    path = Path(path)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or 0 in frames.shape:
        raise ValueError(f'expected uint8 [T, H, W, 3], got {frames.dtype} {frames.shape}')
    if path.suffix != '.mp4' or frames.shape[1] % 2 or frames.shape[2] % 2:
        raise ValueError(f'expected an .mp4 of even size, got {path.name} {frames.shape}')
    with atomic.writing(path) as temporary:
        _encode(temporary, frames, fps)
        try:
            with _Stream(temporary) as stream:
                held = sum(1 for _ in stream)
        except UserError:
            held = 0
        if held != len(frames):
            raise UserError(
                f'{path}: {held} of {len(frames)} frames could be read back after writing; '
                'check that there is room on the disk'
            )


def _encode(path: Path, frames: np.ndarray, fps: float) -> None:
    codec = cv2.VideoWriter_fourcc(*'mp4v')
    height, width = frames.shape[1:3]
    writer = cv2.VideoWriter(str(path.absolute()), cv2.CAP_FFMPEG, codec, fps, (width, height))
    try:
        if not writer.isOpened():
            raise UserError(f'{path.parent}: cannot write a video there; check the folder')
        for frame in frames:
            writer.write(np.ascontiguousarray(frame[..., ::-1]))
    finally:
        writer.release()


class _Stream:
    """An open video: iterating moves on by one frame and gives the time at which it begins."""

    def __init__(self, path: Path):
        self._path = path
        self._capture = _open(path)
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        frames = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        if not (math.isfinite(fps) and 0 < fps and math.isfinite(frames) and frames >= 1):
            fps, frames = self._measure()
        self.info = VideoInfo(
            path=path,
            width=int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            height=int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
            fps=fps,
            frames=int(frames),
            duration=frames / fps,
        )
        self._origin = 0.0
        self._time: float | None = None

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *_) -> None:
        self._capture.release()

    def __iter__(self) -> _Stream:
        return self

    def __next__(self) -> float:
        if not self._capture.grab():
            if self._time is None:
                raise UserError(
                    f'{self._path}: the video holds no frame that can be decoded (zero length or '
                    'broken); copy or export it again'
                )
            raise StopIteration
        stamp = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if self._time is None:
            self._origin, self._time = stamp, 0.0
        elif stamp - self._origin > self._time:
            self._time = stamp - self._origin
        else:
            # Some AVI files give the last frames no time stamp, which comes out as 0.
            self._time += 1 / self.info.fps
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

    def _measure(self) -> tuple[float, int]:
        """Frames per second and their number, for a container that does not say."""
        frames, last = 0, 0.0
        while self._capture.grab():
            frames += 1
            last = max(last, self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
        self._capture.release()
        self._capture = _open(self._path)
        return ((frames - 1) / last if frames > 1 and last > 0 else 25.0), max(frames, 1)


def _open(path: Path) -> cv2.VideoCapture:
    if not path.exists():
        raise UserError(f'{path}: there is no such file; expected a video (mp4, mov, avi, mkv)')
    if not path.is_file():
        raise UserError(f'{path}: this is a folder; expected one video file')
    with path.open('rb') as file:
        head = file.read(4096)
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
    return capture


def _why_closed(path: Path, head: bytes) -> str:
    if head[4:8] == b'ftyp' and not _has_index(path):
        return (
            "the video is truncated (its index, 'moov', is missing): the recording or the copy was "
            'cut off; copy or download it again'
        )
    return (
        'no picture can be decoded: it is not a video, holds only sound, or its codec is unknown '
        'to FFmpeg; expected a file such as mp4, mov, avi, mkv'
    )


def _has_index(path: Path) -> bool:
    """Whether an MP4 file reaches its 'moov' box, which is often the last."""
    size, position = path.stat().st_size, 0
    with path.open('rb') as file:
        while position + 8 <= size:
            file.seek(position)
            header = file.read(16)
            length = int.from_bytes(header[:4])
            if header[4:8] == b'moov':
                return position + length <= size
            if length == 1:
                length = int.from_bytes(header[8:16])
            if length < 8:
                return False
            position += length
    return False
