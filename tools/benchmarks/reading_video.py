"""How long frames of a video take, read one by one, by jumps, and ahead."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from pathlib import Path

import av
import numpy as np

from cpad_jax.media import prefetch, video
from tools.benchmarks.measuring import texture

FILM_MINUTES, FILM_RATE, KEY_FRAME_SECONDS = 20, 25, 2


def write_film(path: Path) -> None:
    """Writes 20 minutes of H.264, 320x180, with a key frame every 2 s and B frames; by PyAV."""
    # So wide that a camera can move along it for a minute and turn back.
    wide = texture(180, 320 + 60 * FILM_RATE, 1, 0)
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=FILM_RATE)
        stream.height, stream.width, stream.pix_fmt = 180, 320, 'yuv420p'
        stream.codec_context.gop_size = KEY_FRAME_SECONDS * FILM_RATE
        stream.codec_context.max_b_frames = 2
        stream.options = {'preset': 'veryfast', 'sc_threshold': '0'}
        for number in range(FILM_MINUTES * 60 * FILM_RATE):
            left = number % (120 * FILM_RATE)
            left = min(left, 120 * FILM_RATE - left)
            frame = np.ascontiguousarray(wide[:, left : left + 320])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, 'rgb24')))
        container.mux(stream.encode())


def read_video(name: str | None) -> None:
    """Prints what sampling a video takes: by reading every frame, and as `iterate_frames` does."""
    if name is None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / 'film.mp4'
            write_film(path)
            _read_video(path)
    else:
        _read_video(Path(name))


def _read_video(path: Path) -> None:
    info = video.probe(path)
    print(
        f'{path.name}: {info.duration / 60:.1f} min, {info.width}x{info.height}, '
        f'{info.fps:.2f} frames/s, {path.stat().st_size / 1e6:.0f} MB, {os.cpu_count()} CPU cores'
    )
    print('| frames taken | of them | every frame read | as chosen | times as fast | the same |')
    print('|---|---|---|---|---|---|')
    spans = (1 / info.fps, 1, 2, 4, 10, 60)
    for span in spans:
        label, per_second = f'1 per {span:g} s' if span >= 1 else 'every one', 1 / span
        times = ((np.arange(max(1, int(info.duration * per_second))) + 0.5) / per_second).tolist()
        seconds, taken = {}, {}
        # In turn, so that other work on the machine weighs on both alike.
        for may_jump in (False, True) * 3:
            start = time.perf_counter()
            frames = video.iterate_frames(path, times, size=128, may_jump=may_jump)
            digests = [(hashlib.sha256(frame.data).digest(), begins) for frame, begins in frames]
            took = time.perf_counter() - start
            seconds[may_jump] = min(took, seconds.get(may_jump, took))
            taken[may_jump] = digests
        same = 'yes' if taken[True] == taken[False] else 'NO'
        print(
            f'| {label} | {len(times)} | {seconds[False]:.2f} s | {seconds[True]:.2f} s | '
            f'{seconds[False] / seconds[True]:.1f} | {same} |',
            flush=True,
        )
    _read_ahead(path, min(60.0, info.duration))


def _read_ahead(path: Path, length: float) -> None:
    """Prints what it takes to use frames, read one by one and read ahead."""
    times = np.arange(0, length, 0.1).tolist()
    frames = list(video.iterate_frames(path, times, size=128))
    start = time.perf_counter()
    for _ in video.iterate_frames(path, times, size=128):
        pass
    reading = time.perf_counter() - start
    pause = reading / len(frames)  # A model that takes as long as reading does.
    print(f'reading {len(frames)} frames: {reading:.2f} s; using them as long: ', end='')
    for ahead in (False, True):
        start = time.perf_counter()
        source = video.iterate_frames(path, times, size=128)
        for _ in prefetch.Ahead(source) if ahead else source:
            time.sleep(pause)
        took = time.perf_counter() - start
        print(
            f'{took:.2f} s one after the other, ' if not ahead else f'{took:.2f} s read ahead',
            end='',
        )
    print()
