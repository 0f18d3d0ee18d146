"""Measures speed and memory on this machine: a CLIP with random weights, building VGGFace2.

python tools/benchmark.py load ViT-L-14
python tools/benchmark.py embed ViT-B-32 --dtype bfloat16
python tools/benchmark.py vggface2 --images 20000
"""

from __future__ import annotations

import argparse
import functools
import io
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

# Run as a script, the package beside this folder is found without being installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cpad_jax import errors  # noqa: E402
from cpad_jax.data import archives  # noqa: E402
from cpad_jax.media import images  # noqa: E402
from cpad_jax.models import weights, zoo  # noqa: E402

BATCH = 64
SECONDS = 10.0  # Of measuring each row, after a first call that compiles.
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


def write_vggface2(folder: Path, count: int) -> None:
    """Draws pictures in the layout and of the size of VGGFace2, 300 to a person.

    Args:
        folder: Where to.
        count: Pictures of the training split; the test split has one more person with 10.
    """
    rng = np.random.default_rng(0)
    noise = texture(512, 512, 1, 0).astype(np.int16) + rng.integers(-24, 25, (512, 512, 3))
    noise = np.clip(noise, 0, 255).astype(np.uint8)
    people = -(-count // 300)
    rows = [f'n{number:06d}, "Person_{number}",300,1, f,' for number in range(2, people + 2)]
    meta = ['Class_ID, Name, Sample_Num, Flag, Gender', 'n000001, "Test",10,0, m,', *rows]
    (folder / 'identity_meta.csv').write_text('\n'.join(meta))
    names = [f'n{2 + i // 300:06d}/{1 + i % 300:04d}_01' for i in range(count)]
    tests = [f'n000001/{i:04d}_01' for i in range(1, 11)]
    for split, of_split in (('train', names), ('test', tests)):
        boxes, points, listed = ['NAME_ID,X,Y,W,H'], ['NAME_ID'], []
        with tarfile.open(folder / f'vggface2_{split}.tar.gz', 'w:gz', compresslevel=1) as tar:
            for name in of_split:
                height, width = rng.integers((140, 120), (181, 161))
                top, left = rng.integers(0, 512 - 181, 2)
                part = np.ascontiguousarray(noise[top : top + height, left : left + width])
                data = images.encode_jpeg(part)
                info = tarfile.TarInfo(f'{split}/{name}.jpg')
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
                boxes.append(f'"{name}",20,25,80,100')
                points.append(f'"{name}",40,60,80,60,60,80,45,100,75,100')
                listed.append(f'{name}.jpg')
        (folder / f'loose_bb_{split}.csv').write_text('\n'.join(boxes))
        (folder / f'loose_landmark_{split}.csv').write_text('\n'.join(points))
        (folder / f'{split}_list.txt').write_text('\n'.join(listed))


def vggface2(count: int) -> None:
    """Prints how fast VGGFace2 is built from archives and from folders, and the memory it takes."""
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for images_in_it in sorted({1000, count}):
            copy = Path(folder) / f'copy{images_in_it}'
            copy.mkdir()
            write_vggface2(copy, images_in_it)
            for form in ('archives', 'folders'):
                if form == 'folders':
                    for archive in copy.glob('*.tar.gz'):
                        archives.unpack(archive, copy, lambda name: True, 1 << 20)
                data = Path(folder) / f'data{images_in_it}{form}'
                command = [sys.executable, __file__, '_vggface2', str(copy), '--out', str(data)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                seconds, cpu, memory = map(float, done.stdout.split()[-3:])
                results[form, images_in_it] = memory
                size = sum(file.stat().st_size for file in data.rglob('*.array_record*'))
                shutil.rmtree(data)
                print(
                    f'{images_in_it} images of {size / images_in_it / 1000:.1f} KB from {form}: '
                    f'{images_in_it / seconds:.0f} images/s, {1000 * cpu / images_in_it:.2f} ms of '
                    f'CPU time per image, peak {memory / 1e6:.0f} MB'
                )
            shutil.rmtree(copy)
    for form in ('archives', 'folders'):
        grown = results[form, count] - results[form, 1000]
        if count > 1000:
            print(f'{form}: {grown / (count - 1000):.0f} bytes of memory more per image')


def _vggface2(copy: str, out: str) -> None:
    from cpad_jax.data import build  # noqa: PLC0415
    from cpad_jax.training import runtime  # noqa: PLC0415

    runtime.quiet()
    import tensorflow  # noqa: F401, PLC0415  (So that importing it is not counted.)

    build.builder_module('vggface2')
    start, cpu = time.perf_counter(), time.process_time()
    build.prepare('vggface2', out, copy)
    print(time.perf_counter() - start, time.process_time() - cpu, peak())


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line and measures."""
    parser = errors.CommandParser(__doc__)
    subjects = ('load', 'embed', 'preprocess', 'vggface2', '_load', '_vggface2')
    parser.add_argument('what', choices=subjects)
    parser.add_argument('name', nargs='?', default='', help='configuration, such as ViT-B-32')
    parser.add_argument('--dtype', default='float32', choices=('float32', 'bfloat16'))
    parser.add_argument('--images', type=int, default=20000, help='how many vggface2 draws')
    parser.add_argument('--out', help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.what == 'vggface2':
        if options.images < 1000:
            raise errors.UserError(f'--images {options.images}: expected 1000 or more')
        vggface2(options.images)
        return
    if options.what == '_vggface2':
        _vggface2(options.name, options.out)
        return
    if not options.name:
        raise errors.UserError(f'{options.what} of what? Give a configuration, such as ViT-B-32')
    if options.what == '_load':
        _load(options.name)
    elif options.what == 'load':
        load(options.name)
    elif options.what == 'preprocess':
        preprocess(options.name)
    else:
        embed(options.name, options.dtype)


if __name__ == '__main__':
    errors.run_command(main)
