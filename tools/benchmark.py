"""Measures speed and memory on this machine: of a CLIP with random weights, or of reading video.

python tools/benchmark.py load ViT-L-14
python tools/benchmark.py embed ViT-B-32 --dtype bfloat16
python tools/benchmark.py video [FILE]
"""

from __future__ import annotations

import functools
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

# Run as a script, the package beside this folder is found without being installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cpad_jax import errors  # noqa: E402
from cpad_jax.media import images, prefetch, video  # noqa: E402
from cpad_jax.models import weights, zoo  # noqa: E402

BATCH = 64
SECONDS = 10.0  # Of measuring each row, after a first call that compiles.
FILM_MINUTES, FILM_RATE, KEY_FRAME_SECONDS = 20, 25, 2
QUERY = 'Michael Richards [TOK] entering the room'.replace('[TOK] ', '')


def write_random(folder: Path, name: str) -> int:
    """Writes a model with random weights.

    Args:
        folder: Where to.
        name: Of the configuration.

    Returns:
        The size of its weights in bytes.
    """
    config = zoo.get(name)
    rng = np.random.default_rng(0)
    params = weights.unflatten({
        path: 0.02 * rng.standard_normal(shape, np.float32)
        for path, shape in weights.parameter_shapes(config).items()
    })  # fmt: skip
    weights.save_clip(folder, config, params)
    return (folder / weights.WEIGHTS_FILE).stat().st_size


def peak() -> int:
    """Most memory that this process has had, in bytes."""
    status = Path('/proc/self/status')
    if status.exists():  # `getrusage` on Linux counts what the starting process had, too.
        line = next(x for x in status.read_text().splitlines() if x.startswith('VmHWM:'))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def load(name: str) -> None:
    """Loads a model in a process of its own, and prints time and peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        size = write_random(Path(folder), name)
        command = [sys.executable, __file__, '_load', folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, memory = map(float, done.stdout.split())
    print(
        f'{name}: {size / 1e9:.2f} GB of weights loaded in {seconds:.1f} s, with a peak of '
        f'{memory / 1e9:.2f} GB ({memory / size:.2f} times their size)'
    )


def _load(folder: str) -> None:
    import jax.numpy as jnp  # noqa: PLC0415

    import cpad_jax  # noqa: PLC0415
    from cpad_jax.models import pretrained  # noqa: F401, PLC0415

    jnp.zeros(1).block_until_ready()
    before, start = peak(), time.perf_counter()
    model = cpad_jax.load_clip(folder)
    model.params['logit_scale'].block_until_ready()
    print(time.perf_counter() - start, peak() - before)


def rate(call: Callable[[], object], items: int, seconds: float = SECONDS) -> float:
    """Items per second of calls that are repeated for so many seconds."""
    call()
    start = time.perf_counter()
    calls = 0
    while time.perf_counter() - start < seconds:
        call()
        calls += 1
    return calls * items / (time.perf_counter() - start)


def embed(name: str, dtype: str) -> None:
    """Prints how many images and texts per second a model embeds."""
    import cpad_jax  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        write_random(Path(folder), name)
        model = cpad_jax.load_clip(folder, dtype=dtype)
    pixels = np.zeros((BATCH, model.config.image_size, model.config.image_size, 3), np.float32)
    short = model.tokenize([QUERY] * BATCH)
    full = model.tokenizer.tokenize([QUERY] * BATCH)
    print(f'{name}, {dtype}, batches of {BATCH}')
    print(f'images: {rate(lambda: model.encode_image(pixels), BATCH):.1f}/s')
    for ids in (full, short):
        texts = rate(functools.partial(model.encode_text, ids), BATCH)
        print(f'texts at {ids.shape[1]} tokens: {texts:.1f}/s')
    print(f'one query at {short.shape[1]}: {rate(lambda: model.encode_text(short[:1]), 1):.1f}/s')


def texture(height: int, width: int, slope: float, seed: int) -> np.ndarray:
    """A random picture whose amplitudes fall as 1 / frequency ** slope: uint8 [H, W, 3]."""
    rng = np.random.default_rng(seed)
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    frequency = np.maximum(np.hypot(rows, columns), 1 / max(height, width))
    waves = np.fft.rfft2(rng.standard_normal((3, height, width))) / frequency**slope
    picture = np.fft.irfft2(waves, (height, width)).transpose(1, 2, 0)
    return np.clip(128 + 40 * picture / picture.std(), 0, 255).astype(np.uint8)


def preprocess(name: str) -> None:
    """Prints how far the quick way of frames is from the exact one, and what both cost."""
    config = zoo.get(name)
    print('| picture | scale | way | mean (largest) difference, grey levels | exact | quick |')
    print('|---|---|---|---|---|---|')
    for kind, slope in (('noise', 0), ('film-like, 1/f', 1), ('smooth, 1/f²', 2)):
        for label, factor in (('÷ 4.7', 4.7), ('÷ 2', 2.0), ('× 1.5', 1 / 1.5)):
            height = round(config.image_size * factor)
            frames = np.stack([texture(height, height * 16 // 9, slope, i) for i in range(6)])
            for resize, interpolation in (('shortest', 'bicubic'), ('squash', 'bilinear')):
                levels = dict(mean=(0, 0, 0), std=(1 / 255,) * 3)
                ways = [
                    functools.partial(
                        way, frames, config.image_size, resize=resize,
                        interpolation=interpolation, **levels,
                    )
                    for way in (images.preprocess, images.preprocess_frames)
                ]  # fmt: skip
                difference = np.abs(np.round(ways[0]()) - np.round(ways[1]()))
                cost = [f'{1000 / rate(way, len(frames), 1.0):.2f} ms' for way in ways]
                print(
                    f'| {kind} | {label} | {interpolation}, {resize} | {difference.mean():.2f} '
                    f'({difference.max():.0f}) | {cost[0]} | {cost[1]} |'
                )


def write_film(path: Path) -> None:
    """Writes 20 minutes of H.264, 320x180, with a key frame every 2 s and B frames; by PyAV."""
    try:
        import av  # noqa: PLC0415
    except ImportError as error:
        raise errors.UserError(
            'drawing a film needs PyAV, as OpenCV cannot place key frames: pip install av, or name '
            'a video file'
        ) from error
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
    rates = {'every one': info.fps, '1 per s': 1.0, '1 per 10 s': 0.1, '1 per 60 s': 1 / 60}
    for label, per_second in rates.items():
        times = ((np.arange(max(1, int(info.duration * per_second))) + 0.5) / per_second).tolist()
        seconds, taken = {}, {}
        # Three times in turn, so that other work on the machine weighs on both alike.
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line and measures."""
    parser = errors.CommandParser(__doc__)
    parser.add_argument('what', choices=('load', 'embed', 'preprocess', 'video', '_load'))
    parser.add_argument(
        'name',
        nargs='?',
        help='configuration, such as ViT-B-32; for video, a file (or one is drawn)',
    )
    parser.add_argument('--dtype', default='float32', choices=('float32', 'bfloat16'))
    options = parser.parse_args(arguments)
    if options.what == 'video':
        read_video(options.name)
    elif options.name is None:
        parser.error(f'{options.what} needs the name of a configuration, such as ViT-B-32')
    elif options.what == '_load':
        _load(options.name)
    elif options.what == 'load':
        load(options.name)
    elif options.what == 'preprocess':
        preprocess(options.name)
    else:
        embed(options.name, options.dtype)


if __name__ == '__main__':
    errors.run_command(main)
