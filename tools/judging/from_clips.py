"""Training from clips in the judged benchmark: Collaborative Experts, and fine-tuned CLIP-PAD.

Both are trained on the same clips of two further worlds, `WORKDIR/training` and
`WORKDIR/validation`, beside the CLIP-PAD of the same initial seed: `WORKDIR/seed0/ce` and
`WORKDIR/seed0/clips`.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, cast

from cpad_jax import train
from cpad_jax.training import configs

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
EXPERTS, CLIP_PAD = 'ce', 'clips'
SHARED = ('seed', 'backbone', 'dtype', 'data', 'eval')


def config_of(task: str, base: Any, workdir: Path) -> Any:
    """The configuration of a task of training from clips.

    Args:
        task: `EXPERTS` or `CLIP_PAD`.
        base: The configuration of the CLIP-PAD trained on photos alone, with its folders.
        workdir: Workdir of the benchmark.
    """
    config = cast(Any, configs.load(str(CONFIGS / f'{task}.py')))
    for key in SHARED:
        config[key] = copy.deepcopy(base[key])
    config.features.update(base.features)
    for split in ('training', 'validation'):
        config.clips[split].dir = str(workdir / split)
    return config


def experts(base: Any, workdir: Path, folder: Path) -> Path:
    """Trains Collaborative Experts, unless that was done.

    Args:
        base: As in `config_of`.
        workdir: Of the benchmark.
        folder: Folder of the initial seed.

    Returns:
        The value of `config.eval.ce`.
    """
    experts_folder = folder / EXPERTS
    config = config_of(EXPERTS, base, workdir)
    configs.record(config, experts_folder)
    if not (experts_folder / 'eval' / 'no_person.json').is_file():
        train.train(config, experts_folder)
    return experts_folder


def clip_pad(base: Any, workdir: Path, folder: Path) -> tuple[Any, Path]:
    """The configuration and workdir of fine-tuning the CLIP-PAD of a folder on clips.

    Args:
        base: As in `config_of`.
        workdir: Of the benchmark.
        folder: Folder of the initial seed.
    """
    config = config_of(CLIP_PAD, base, workdir)
    config.start_from = str(folder)
    config.eval.controls = ()  # They are of the CLIP-PAD trained on photos.
    return config, folder / CLIP_PAD
