"""Evaluates what is in a workdir: `python -m cpad_jax.eval --config configs/quickstart.py`.

usage: python -m cpad_jax.eval --config FILE [--workdir DIR] [--config.eval.KEY=VALUE …]
       python -m cpad_jax.eval --compare A B [--out FILE]
       cpad-eval is the same command

  --config   the configuration file that the workdir was trained with
  --workdir  where the trained model lies (default: runs/<config.name>)
  --compare  two workdirs (or folders with results.json and ranks.npz) of the same queries, side by
             side with paired differences
  --out      a .html page or .json rows to write of the comparison

A configuration with a section config.eval.season, as configs/season.py, searches a season; one with
config.eval.two_people, as configs/two_people.py, asks for two people, and for nothing; one with
config.eval.captioned, as configs/this_is_my.py, searches by captions.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cpad_jax.errors import naming, require_training, run_command
from cpad_jax.training import runtime


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    argv = sys.argv[1:] if argv is None else argv
    if '--help' in argv or '-h' in argv:
        print(__doc__)
        return
    runtime.silence_logs()
    require_training()
    if '--compare' in argv:
        from cpad_jax.protocols.compound import comparison

        comparison.main(argv)
        return
    from cpad_jax.training import configs

    config, workdir = configs.parse(argv)
    configs.require(config, workdir)
    with naming(workdir):
        evaluate(config, workdir)


def evaluate(config: Any, workdir: Path) -> None:
    """Runs the protocol that a configuration asks for, on what its workdir holds."""
    runtime.keep_compiled(workdir)
    from cpad_jax.protocols import captions, no_person
    from cpad_jax.protocols.compound import evaluate as compound_evaluate
    from cpad_jax.protocols.pairs import evaluate as pairs_evaluate
    from cpad_jax.protocols.season import evaluate as season_evaluate

    if 'season' in config.eval:
        season_evaluate.evaluate(workdir, config)
    elif 'two_people' in config.eval:
        pairs_evaluate.evaluate(workdir, config)
    elif 'captioned' in config.eval:
        captions.evaluate(workdir, config)
    elif config.task == 'ce':
        no_person.evaluate(workdir, config)
    else:
        compound_evaluate.evaluate(workdir, config)


if __name__ == '__main__':
    run_command(main)
