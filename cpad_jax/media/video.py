"""Video files: what they hold, their frames by time, and writing them (by OpenCV's FFmpeg).

Frames are addressed by time and never by index, because phones record at a varying rate. A video
that was filmed upright or upside down comes out as a player shows it: OpenCV applies the rotation
that the file names, and width and height are those after it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from cpad_jax import atomic
from cpad_jax.errors import UserError
from cpad_jax.media.video_stream import TIME_SLACK, VideoInfo, VideoStream

# What is taken for a video in a folder; a file that is named is opened whatever its ending.
ENDINGS = (
    '.mp4', '.mov', '.m4v', '.3gp', '.avi', '.mkv', '.webm', '.mpg', '.mpeg', '.mts', '.ts', '.wmv',
)  # fmt: skip


def probe(path: str | os.PathLike[str]) -> VideoInfo:
    """Reads a video's size, rate and length, and makes sure that its first frame decodes.

    Raises:
        UserError: The file is missing, empty, no video, of zero length, broken, or without picture.
    """
    with VideoStream(Path(path)) as stream:
        next(stream)
        return stream.info


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
            before a time that was asked for.
    """
    path = Path(path)
    if times is None:
        with VideoStream(path, may_jump=False) as stream:
            for time in stream:
                yield stream.frame(size), time
            stream.check_whole()
        return
    last = times[-1] if isinstance(times, Sequence) and times else math.inf
    with VideoStream(path, last, may_jump) as stream:
        wanted = iter(times)
        target = next(wanted, None)
        shown = None
        before, reach = 0.0, 0.1
        while target is not None:
            if (time := stream.jump(target)) is not None:
                before, shown = time, (stream.frame(size), time)
            if (time := next(stream, None)) is None:
                break
            while target is not None and target + TIME_SLACK < time:
                shown = shown or _frame_at(path, before, size)
                yield shown
                target = next(wanted, None)
            # Converting a decoded frame costs as much as decoding it, so only those that a wanted
            # time is likely to fall on are converted. How long a frame is shown is known when the
            # next one comes; twice the longest so far is taken for the most.
            reach, before = max(reach, 2 * (time - before)), time
            near = target is not None and target + TIME_SLACK < time + reach
            last_one = time + reach >= stream.info.duration
            shown = (stream.frame(size), time) if near or last_one else None
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
            with VideoStream(temporary) as stream:
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
