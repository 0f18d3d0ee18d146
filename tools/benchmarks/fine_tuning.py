"""How long fine-tuning on five photos of a person takes, compilation included."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from cpad_jax.training import runtime
from tools.benchmarks.measuring import peak

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = 5


def fine_tuning(name: str) -> None:
    """Prints the time of a token, and of a token with a rank-one update, in processes of their own.

    Args:
        name: Of the configuration of CLIP; its weights are random.
    """
    for form in ('token', 'token and rank one'):
        command = [sys.executable, '-m', __name__, name, form]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        seconds, cpu, steps, step, memory = map(float, done.stdout.split()[-5:])
        print(
            f'{name}, {PHOTOS} photos, {form}: {seconds:.1f} s ({cpu:.1f} s of CPU time) for '
            f'{steps:.0f} steps and their compilation, {1000 * step:.0f} ms for one more step, '
            f'peak {memory / 1e9:.2f} GB'
        )


def main(name: str, form: str) -> None:
    """Fine-tunes once in a fresh process, and prints what it took."""
    runtime.silence_logs()
    import jax  # noqa: PLC0415

    from cpad_jax.models import (
        clip_pad,  # noqa: PLC0415
        clip_pad_export,  # noqa: PLC0415
        zoo,  # noqa: PLC0415
    )
    from cpad_jax.models.clip_pad_api import PersonalizedCLIP  # noqa: PLC0415
    from cpad_jax.models.pretrained import CLIPModel  # noqa: PLC0415
    from cpad_jax.models.weights import folder  # noqa: PLC0415
    from cpad_jax.training import fine_tuning as training_fine_tuning  # noqa: PLC0415

    config, rng = zoo.get(name), np.random.default_rng(0)

    def drawn(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
        draw = {path: rng.standard_normal(shape, np.float32) for path, shape in shapes.items()}
        return folder.unflatten({path: 0.02 * array for path, array in draw.items()})

    clip = CLIPModel(config, drawn(folder.parameter_shapes(config)), '0' * 64)
    sizes = clip_pad.CPADConfig('clip', config.embed_dim, rank=16)
    people = rng.standard_normal((512, config.embed_dim), np.float32)
    params = drawn(clip_pad_export.parameter_shapes(sizes, config))
    saved = clip_pad_export.SavedCPAD(sizes, params, name, '0' * 64, background=people)
    model = PersonalizedCLIP(clip, saved)
    photos = rng.standard_normal((PHOTOS, config.embed_dim), np.float32)
    guess = 0.02 * rng.standard_normal((1, config.text.width), np.float32)
    jax.block_until_ready(model.low_rank)
    # All steps are done, so that the time is the most that it can be.
    training_fine_tuning.GAIN = -np.inf
    start, cpu = time.perf_counter(), time.process_time()
    tuner = training_fine_tuning.FineTuner(model)
    losses = tuner.fit(guess, photos, rank_one=form != 'token').losses
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    again = time.perf_counter()
    tuner.fit(guess, photos, rank_one=form != 'token')
    step = (time.perf_counter() - again) / len(losses)
    print(seconds, cpu, len(losses), step, peak())


if __name__ == '__main__':
    main(*sys.argv[1:])
