"""Learns, then evaluates: `python -m cpad_jax.train --config configs/quickstart.py`.

usage: python -m cpad_jax.train --config FILE [--workdir DIR] [--config.KEY=VALUE …]

  --config      a configuration file, e.g. configs/quickstart.py; FILE:ARGUMENT calls
                get_config('ARGUMENT')
  --workdir     where everything goes (default: runs/<config.name>); a run that was stopped goes on
                from its last checkpoint, and what is there already is used again
  --config.KEY  overrides one key, e.g. --config.train.steps=500
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cpad_jax.errors import run_command
from cpad_jax.training.runtime import keep_compiled, quiet, stage


def pretrain(config: Any, workdir: Path) -> None:
    """Pre-trains a small CLIP from `config.data.shards`, and exports it to `WORKDIR/model`."""
    from cpad_jax.models import zoo
    from cpad_jax.training import loop, pretraining

    stage(1, 3, f'captioned pictures of {config.data.shards}')
    context_length = zoo.get(config.backbone).context_length
    training, held_out = pretraining.open_shards(
        config.data.shards, context_length, config.data.held_out
    )
    task = pretraining.Pretraining(config, training)
    stage(2, 3, f'learning: {config.train.steps} steps of {task.batch_size} pictures')
    params = loop.run(task, config, workdir, task.evaluator(held_out))
    stage(3, 3, f'exporting to {workdir / "model"}')
    task.export(params, workdir / 'model')


TASKS = {'clip': pretrain}


def train(config: Any, workdir: Path) -> None:
    """Does all that the configuration asks for.

    Args:
        config: From `configs.parse`.
        workdir: Where everything goes.

    Raises:
        UserError: The workdir belongs to another configuration, or the data is not as expected.
    """
    from cpad_jax.training import configs

    configs.record(config, workdir)
    keep_compiled(workdir)
    TASKS[config.task](config, workdir)


def main(argv: Sequence[str] | None = None) -> None:
    """The command line.

    Args:
        argv: Arguments without the program's name; those of the process by default.
    """
    argv = sys.argv[1:] if argv is None else argv
    if '--help' in argv or '-h' in argv:
        print(__doc__)
        return
    quiet()
    from cpad_jax.training import configs

    config, workdir = configs.parse(argv)
    train(config, workdir)


if __name__ == '__main__':
    run_command(main)
