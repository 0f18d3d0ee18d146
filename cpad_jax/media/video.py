"""Video files: what they hold, their frames by time (by PyAV), and writing them (by OpenCV).

Frames are addressed by time and never by index, because phones record at a varying rate. A video
comes out as a player shows it: turned as the file says and of square pixels; width and height are
those that are shown.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

# FFmpeg and OpenCV write what they think of files to stderr, from C; the errors raised here say it
# once. A user's own choice stays.
os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')

import cv2
import numpy as np

from cpad_jax import atomic
from cpad_jax.errors import UserError
from cpad_jax.media.video_stream import TIME_SLACK, Shown, VideoInfo, VideoStream

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

# What is taken for a video in a folder; a file that is named is opened whatever its ending.
ENDINGS = (
    '.mp4', '.mov', '.m4v', '.3gp', '.avi', '.mkv', '.webm', '.mpg', '.mpeg', '.mts', '.ts', '.wmv',
)  # fmt: skip


def probe(path: str | os.PathLike[str]) -> VideoInfo:
    """Reads a video's size, rate and length, and makes sure that its first frame decodes.

    Headers are not believed: all packets are read, which takes 1 to 3 % of decoding them.

    Raises:
        UserError: The file is missing, empty, no video, of zero length, broken, or without picture.
    """
    with VideoStream(Path(path)) as stream:
        return stream.info()


def iterate_frames(
    path: str | os.PathLike[str],
    times: Iterable[float] | None = None,
    size: int | tuple[int, int] | None = None,
    may_jump: bool = True,
) -> Iterator[tuple[np.ndarray, float]]:
    """Gives a video's frames one by one, in constant memory.

    With times that lie far apart it jumps from key frame to key frame where that is quicker and
    surely gives the same; all else is decoded once from the start.

    Args:
        path: A video file.
        times: Seconds from the first frame, ascending. Each gives the frame that is shown at that
            time: the last one that began by then. Times after the end give the last frame. Without
            times every frame is given once.
        size: None for the video's own size, (height, width), or the length of the shorter side in
            pixels with the aspect kept.
        may_jump: False to decode every frame up to the last wanted one.

    Yields:
        (frame uint8 [H, W, 3] RGB, the time in seconds at which it begins).

    Raises:
        UserError: As `probe`; also where the video breaks off well before the length it names and
            before a requested time.
    """
    with VideoStream(Path(path), may_jump and times is not None) as stream:
        if times is None:
            for shown in stream:
                yield stream.picture(shown, size), shown.time
            stream.check_whole()
            return
        last = picture = None
        for shown, _ in _shown_at(stream, times):
            if shown is not last:
                last, picture = shown, stream.picture(shown, size)
            yield picture, shown.time


def iterate_grid(
    path: str | os.PathLike[str], rate: float, size: int | tuple[int, int] | None = None
) -> Iterator[tuple[np.ndarray, float, float]]:
    """Gives the frames shown at 0, 1 / rate, 2 / rate … seconds, each once, up to the video's end.

    Args:
        path: A video file.
        rate: Frames per second, > 0.
        size: As in `iterate_frames`.

    Yields:
        (frame uint8 [H, W, 3] RGB, the time in seconds at which it begins, that at which the next
        of these frames begins or the video ends).

    Raises:
        UserError: As `iterate_frames`, after all frames before a break were given.
    """
    with VideoStream(Path(path)) as stream:
        last: Shown | None = None
        try:
            grid = (number / rate for number in itertools.count())
            for number, (shown, end) in enumerate(_shown_at(stream, grid)):
                over = end is not None and number / rate >= end - TIME_SLACK
                if last is not None and shown is not last and not over:
                    yield stream.picture(last, size), last.time, shown.time
                last = last if over and last is not None else shown
                if end is not None:
                    yield stream.picture(last, size), last.time, end
                    return
        except UserError:
            if last is not None:
                yield stream.picture(last, size), last.time, last.time + 1 / rate
            raise


def _shown_at(stream: VideoStream, times: Iterable[float]) -> Iterator[tuple[Shown, float | None]]:
    """For each time the frame that is shown then, and the end of the video where that was met."""
    shown, ahead = next(stream), next(stream, None)
    for time in times:
        if ahead is not None and time + TIME_SLACK >= ahead.time:
            jumped = stream.jump(time)
            if jumped is not None:
                shown, ahead = jumped, next(stream, None)
        while ahead is not None and ahead.time <= time + TIME_SLACK:
            shown, ahead = ahead, next(stream, None)
        if ahead is None:
            stream.check_whole()
        yield shown, stream.end if ahead is None else None


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
        ValueError: Not exactly one way of sampling is given, it is out of range, or times are out
            of order.
    """
    if sum(option is not None for option in (times, count, rate)) != 1:
        raise ValueError('give exactly one of times, count and rate')
    if (count is not None and count < 1) or (rate is not None and not rate > 0):
        wrong = rate if count is None else count
        raise ValueError(f'count must be 1 or more and rate above 0, not {wrong}')
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
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or 0 in frames.shape:
        raise ValueError(f'expected uint8 [T, H, W, 3], got {frames.dtype} {frames.shape}')
    write_frames(path, frames, fps, frames.shape[1:3])


def write_frames(
    path: str | os.PathLike[str],
    frames: Iterable[np.ndarray],
    fps: float,
    size: tuple[int, int],
) -> None:
    """As `write_video`, of frames that are made one by one, in constant memory.

    Args:
        path: As in `write_video`.
        frames: One or more, each uint8 [H, W, 3] RGB.
        fps: As in `write_video`.
        size: (H, W), both even.

    Raises:
        UserError: As `write_video`.
        ValueError: `path` or `size` is not of that form.
    """
    path = Path(path)
    if path.suffix != '.mp4' or size[0] % 2 or size[1] % 2:
        raise ValueError(f'expected an .mp4 of even size, got {path.name} {size}')
    with atomic.writing(path) as temporary:
        written = _encode(temporary, frames, fps, size)
        try:
            with VideoStream(temporary, may_jump=False) as stream:
                held = sum(1 for _ in stream)
        except UserError:
            held = 0
        if held != written:
            raise UserError(
                f'{path}: {held} of {written} frames could be read back after writing; '
                'check that there is room on the disk'
            )


def _encode(path: Path, frames: Iterable[np.ndarray], fps: float, size: tuple[int, int]) -> int:
    """Writes frames; gives how many there were."""
    codec = cv2.VideoWriter_fourcc(*'mp4v')
    height, width = size
    written = 0
    writer = cv2.VideoWriter(str(path.absolute()), cv2.CAP_FFMPEG, codec, fps, (width, height))
    try:
        if not writer.isOpened():
            raise UserError(f'{path.parent}: cannot write a video there; check the folder')
        for frame in frames:
            writer.write(np.ascontiguousarray(frame[..., ::-1]))
            written += 1
    finally:
        writer.release()
    return written
