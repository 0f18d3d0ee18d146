"""How fast VGGFace2 is built, and in how much memory."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np

from cpad_jax.data import archives, build, built_dataset
from cpad_jax.media import images
from cpad_jax.training import runtime
from tools.benchmarks.measuring import peak, texture

ROOT = Path(__file__).resolve().parents[2]


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
                command = [sys.executable, '-m', __name__, str(copy), str(data)]
                done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
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


def main(copy: str, out: str) -> None:
    """Builds one copy, and prints seconds, seconds of CPU time and peak memory."""
    runtime.silence_logs()
    import tensorflow  # noqa: F401, PLC0415  (So that importing it is not counted.)

    built_dataset.builder_module('vggface2')
    start, cpu = time.perf_counter(), time.process_time()
    build.prepare('vggface2', out, copy)
    print(time.perf_counter() - start, time.process_time() - cpu, peak())


if __name__ == '__main__':
    main(*sys.argv[1:])
