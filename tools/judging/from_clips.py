"""What learns from clips, for the judged benchmark: Collaborative Experts, and CLIP-PAD as they do.

Both learn from the same clips of two worlds of their own, `WORKDIR/training` and
`WORKDIR/validation`, and lie beside the CLIP-PAD of the same initial seed: `WORKDIR/seed0/ce` and
`WORKDIR/seed0/clips`.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from cpad_jax import train
from cpad_jax.training import configs

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
EXPERTS, CLIP_PAD = 'ce', 'clips'
SHARED = ('seed', 'backbone', 'dtype', 'data', 'eval')


def config_of(task: str, base: Any, workdir: Path) -> Any:
    """The configuration of a task that learns from clips.

    Args:
        task: `EXPERTS` or `CLIP_PAD`.
        base: Of the CLIP-PAD that is learned from photos alone, with its folders.
        workdir: Of the benchmark.
    """
    config = configs.load(str(CONFIGS / f'{task}.py'))
    for key in SHARED:
        config[key] = copy.deepcopy(base[key])
    config.features.update(base.features)
    for split in ('training', 'validation'):
        config.clips[split].dir = str(workdir / split)
    return config


def experts(base: Any, workdir: Path, folder: Path) -> Path:
    """Learns Collaborative Experts, or finds them.

    Args:
        base: As in `config_of`.
        workdir: Of the benchmark.
        folder: Of the initial seed.

    Returns:
        What `config.eval.ce` names.
    """
    made = folder / EXPERTS
    config = config_of(EXPERTS, base, workdir)
    configs.record(config, made)
    if not (made / 'eval' / 'no_person.json').is_file():
        train.train(config, made)
    return made


def clip_pad(base: Any, workdir: Path, folder: Path) -> tuple[Any, Path]:
    """The configuration and the workdir by which the CLIP-PAD in a folder is taught by clips.

    Args:
        base: As in `config_of`.
        workdir: Of the benchmark.
        folder: Of the initial seed.
    """
    config = config_of(CLIP_PAD, base, workdir)
    config.start_from = str(folder)
    config.eval.controls = ()  # They are of CLIP-PAD that learns from photos.
    return config, folder / CLIP_PAD
