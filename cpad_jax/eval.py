"""Evaluates what is in a workdir: `python -m cpad_jax.eval --config configs/quickstart.py`.

usage: python -m cpad_jax.eval --config FILE [--workdir DIR] [--config.eval.KEY=VALUE …]

  --config   the configuration file that the workdir was trained with
  --workdir  where the trained model lies (default: runs/<config.name>)
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cpad_jax.errors import run_command
from cpad_jax.training import runtime


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    argv = sys.argv[1:] if argv is None else argv
    if '--help' in argv or '-h' in argv:
        print(__doc__)
        return
    runtime.quiet()
    from cpad_jax.training import configs

    config, workdir = configs.parse(argv)
    configs.require(config, workdir)
    runtime.keep_compiled(workdir)
    from cpad_jax.retrieval import evaluation, nobody

    (nobody if config.task == 'ce' else evaluation).evaluate(workdir, config)


if __name__ == '__main__':
    run_command(main)
