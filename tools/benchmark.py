"""Measures speed and memory on this machine: of a CLIP with random weights, reading, ranking.

python tools/benchmark.py load ViT-L-14
python tools/benchmark.py embed ViT-B-32 --dtype bfloat16
python tools/benchmark.py attention ViT-B-32 --dtype bfloat16
python tools/benchmark.py video [FILE]
python tools/benchmark.py vggface2 --images 20000
python tools/benchmark.py gallery --clips 1000000
python tools/benchmark.py fine_tuning ViT-B-32
"""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

# Run as a script, the package beside this folder is found without being installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cpad_jax import errors
from cpad_jax.media import images
from cpad_jax.models import zoo
from cpad_jax.models.weights import folder as weights_folder
from tools.benchmarks.measuring import peak, quickest, rate, texture

BATCH = 64
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
    params = weights_folder.unflatten({
        path: 0.02 * rng.standard_normal(shape, np.float32)
        for path, shape in weights_folder.parameter_shapes(config).items()
    })  # fmt: skip
    weights_folder.save_clip(folder, config, params)
    return (folder / weights_folder.WEIGHTS_FILE).stat().st_size


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


def attention(name: str, dtype: str) -> None:
    """Prints what the image tower's attention costs by our products and by JAX's own function."""
    import jax  # noqa: PLC0415
    import jax.numpy as jnp  # noqa: PLC0415

    from cpad_jax.models import transformer  # noqa: PLC0415

    vision = zoo.get(name).vision
    positions = (vision.image_size // vision.patch_size) ** 2 + 1
    shape = (16, vision.heads, positions, vision.width // vision.heads)
    rng = np.random.default_rng(0)
    inputs = [jnp.asarray(rng.standard_normal(shape, np.float32)) for _ in range(3)]
    kind = jnp.dtype(dtype)

    def ours(*inputs: jax.Array) -> jax.Array:
        return transformer.attend(*inputs, None, kind)

    def jax_own(*inputs: jax.Array) -> jax.Array:
        query, key, value = (x.astype(kind).swapaxes(1, 2) for x in inputs)
        out = jax.nn.dot_product_attention(query, key, value)
        return out.swapaxes(1, 2).astype(jnp.float32)

    print(f'{name}, {dtype}, attention of 16 images, {positions} positions, {vision.heads} heads')
    for label, way in (('ours', ours), ('jax.nn.dot_product_attention', jax_own)):
        forward = jax.jit(way)
        both = jax.jit(jax.grad(lambda *x, way=way: way(*x).sum(), argnums=(0, 1, 2)))
        # The quickest of many calls, since other work only ever adds to them.
        cost = [1e3 * quickest(lambda f=f: jax.block_until_ready(f(*inputs)))
                for f in (forward, both)]  # fmt: skip
        print(f'{label}: {cost[0]:.1f} ms forward, {cost[1]:.1f} ms backward')


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


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line and measures."""
    parser = errors.CommandParser(__doc__)
    subjects = (
        'load', 'embed', 'attention', 'preprocess', 'video', 'vggface2', 'gallery', 'fine_tuning',
        '_load',
    )  # fmt: skip
    parser.add_argument('what', choices=subjects)
    parser.add_argument(
        'name',
        nargs='?',
        help='configuration, such as ViT-B-32; for video, a file (or one is drawn)',
    )
    parser.add_argument('--dtype', default='float32', choices=('float32', 'bfloat16'))
    parser.add_argument('--images', type=int, default=20000, help='how many vggface2 draws')
    parser.add_argument('--clips', type=int, default=1_000_000, help='how many gallery ranks')
    options = parser.parse_args(arguments)
    for name in ('images', 'clips'):
        if getattr(options, name) < 1000:
            parser.error(f'--{name} is {getattr(options, name)}, expected 1000 or more')
    if options.what == 'video':
        from tools.benchmarks import reading_video  # noqa: PLC0415

        reading_video.read_video(options.name)
    elif options.what == 'vggface2':
        from tools.benchmarks import building_vggface2  # noqa: PLC0415

        building_vggface2.vggface2(options.images)
    elif options.what == 'gallery':
        from tools.benchmarks import ranking_gallery  # noqa: PLC0415

        ranking_gallery.rank_gallery(options.clips)
    elif options.name is None:
        parser.error(f'{options.what} needs the name of a configuration, such as ViT-B-32')
    elif options.what == 'fine_tuning':
        from tools.benchmarks import fine_tuning  # noqa: PLC0415

        fine_tuning.fine_tuning(options.name)
    elif options.what == '_load':
        _load(options.name)
    elif options.what == 'load':
        load(options.name)
    elif options.what == 'attention':
        attention(options.name, options.dtype)
    elif options.what == 'preprocess':
        preprocess(options.name)
    else:
        embed(options.name, options.dtype)


if __name__ == '__main__':
    errors.run_command(main, errors.STARTS_ANEW)
