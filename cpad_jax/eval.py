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
config.eval.two_people, as configs/two_people.py, searches for two people, and evaluates rejection;
one with config.eval.captioned, as configs/this_is_my.py, searches by captions.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cpad_jax.errors import naming, require_training, run_command
from cpad_jax.training import runtime

if TYPE_CHECKING:
    from cpad_jax.protocols.protocol import Protocol


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


class Row(NamedTuple):
    """A row of `PROTOCOLS`.

    Attributes:
        applies: Whether a configuration is evaluated by the protocol.
        module: Where it is, as `PROTOCOL`; imported when needed.
    """

    applies: Callable[[Any], bool]
    module: str


def _section(name: str) -> Callable[[Any], bool]:
    return lambda config: name in config.eval


# The first protocol that applies evaluates a configuration.
PROTOCOLS: Mapping[str, Row] = {
    'season': Row(_section('season'), 'cpad_jax.protocols.season.evaluate'),
    'pairs': Row(_section('two_people'), 'cpad_jax.protocols.pairs.evaluate'),
    'captions': Row(_section('captioned'), 'cpad_jax.protocols.captions'),
    'no_person': Row(lambda config: config.task == 'ce', 'cpad_jax.protocols.no_person'),
    'compound': Row(lambda config: True, 'cpad_jax.protocols.compound.evaluate'),
}


def find_protocol(config: Any) -> Protocol[Any]:
    """The protocol of a configuration."""
    row = next(row for row in PROTOCOLS.values() if row.applies(config))
    return importlib.import_module(row.module).PROTOCOL


def evaluate(config: Any, workdir: Path, folder: Path | None = None) -> Any:
    """Evaluates what a workdir holds by the protocol of a configuration.

    Args:
        config: The configuration.
        workdir: The run's folder, of a finished training.
        folder: Where the files go; None for the protocol's folder in `workdir`.

    Returns:
        The rows of the results.
    """
    from cpad_jax.protocols import protocol

    runtime.keep_compiled(workdir)
    return protocol.evaluate(find_protocol(config), config, workdir, folder)


if __name__ == '__main__':
    run_command(main)
