r"""Finds how much faces are to count in the rows that look at them from near, and how words tell.

python tools/calibrate_fusion.py --config configs/synthetic_cast.py --workdir runs/synthetic_cast
python tools/calibrate_fusion.py --config configs/quickstart.py --world 1

Takes a finished identity learning and searches the configuration's gallery, or with --world another
drawn one, with every weight of a grid. It should be a validation world and not the one that is
reported. Prints hit@1 of every scenario, for people seen and
never seen, and the means of hit@1 and hit@5 over these cells, however many queries each has. The
best has the greatest sum of both; what goes into the configuration is said last. The temperature
of each bank of words is found first, with late fusion. Rows with detected faces have the weights of
those with the records' faces. Any `--config.KEY=VALUE` may follow.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

# Run as a script, the package beside this folder is found without being installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cpad_jax import (
    errors,
    progress,
)
from cpad_jax.data import build
from cpad_jax.methods import (
    querybank,
    registry,
)
from cpad_jax.methods.context import EvalContext
from cpad_jax.methods.fusion import (
    FusedScorer,
    weighted,
)
from cpad_jax.protocols.compound.evaluate import PROTOCOL
from cpad_jax.ranking import metrics
from cpad_jax.ranking.query import Query
from cpad_jax.training import (
    configs,
    runtime,
)
from tools import judge

# The first part counts 1; these are for every further one. 0 leaves it out.
GRID = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0)
# Method of the registry, and the keys of its section of config.eval, in the order of its parts.
KEYS = {
    'late_fusion': ('faces',),
    'clip_name_on_faces': ('faces',),
    'with_faces': ('words', 'faces'),
    'late_fusion_closed': ('faces',),
    'clip_name_on_faces_closed': ('faces',),
    'with_faces_closed': ('words', 'faces'),
}
# By which the temperature of a bank of words is found.
BY = {querybank.OPEN: 'late_fusion', querybank.CLOSED: 'late_fusion_closed'}
TEMPERATURES = (0.1, 0.2, 0.3, 0.5, 0.8, 1.2)

Weights = tuple[float, ...]


def cell(query: Query) -> str:
    """Which column a query counts in, e.g. 'place, unseen'."""
    return f'{query.scenario}, {"seen" if query.seen else "unseen"}'


def try_all(
    scorer: FusedScorer, asked: Sequence[Query], grid: Sequence[float] = GRID
) -> dict[Weights, dict[str, np.ndarray]]:
    """Hits of every cell for all weights of a row.

    Args:
        scorer: The row; its own weights do not matter.
        asked: The queries.
        grid: What each part after the first may count.

    Returns:
        Weights beside the first's 1 → cell → hit@1 and hit@5, 0 to 1.
    """
    tried = list(itertools.product(grid, repeat=len(scorer.weights) - 1))
    first: dict[Weights, list[int]] = {weights: [] for weights in tried}
    with progress.bar(total=len(asked), stage=scorer.method.name, unit='query') as bar:
        for some, parts in scorer.batches(asked):
            relevant = [query.relevant for query in some]
            for weights in tried:
                ranks = metrics.relevant_ranks(weighted(parts, (1.0, *weights)), relevant)
                first[weights] += [own[0] for own in ranks]
            bar.update(len(some))
    cells = np.array([cell(query) for query in asked])
    return {
        weights: {
            name: np.mean(np.array(found)[cells == name, None] <= (1, 5), axis=0)
            for name in dict.fromkeys(cells)
        }
        for weights, found in first.items()
    }


def best_of(tried: dict[Weights, dict[str, np.ndarray]]) -> tuple[Weights, float]:
    """The weights with the greatest sum of mean hit@1 and hit@5 over cells, and this sum."""
    sums = {
        weights: np.mean(list(found.values()), axis=0).sum() for weights, found in tried.items()
    }
    best = max(sums, key=sums.__getitem__)
    return best, float(sums[best])


def best_temperature(
    context: EvalContext, kind: str, asked: Sequence[Query], grid: Sequence[float] = TEMPERATURES
) -> tuple[str, float]:
    """A table of temperatures of a bank of words, and the best of them, by late fusion.

    Args:
        context: Of the evaluation.
        kind: One of `querybank.BANKS`.
        asked: The queries.
        grid: What is tried.
    """
    (row,) = registry.make([BY[kind]], context)
    lines, sums = [f'temperature of the {kind} bank of words: sum of mean hit@1 and hit@5'], {}
    for temperature in grid:
        bank = querybank.QueryBank(context.model, context.plain_gallery, kind, temperature)
        tried = try_all(dataclasses.replace(row, parts=(bank, *row.parts[1:])), asked)
        weights, sums[temperature] = best_of(tried)
        lines.append(f'{temperature:5.2f}  {sums[temperature]:.3f}  with faces={weights[0]:g}')
    best = max(sums, key=sums.__getitem__)
    return '\n'.join(lines), best


def render(name: str, tried: dict[Weights, dict[str, np.ndarray]]) -> tuple[str, str]:
    """The table of a row, and the best weights as options of a command."""
    keys, cells = KEYS[name], list(next(iter(tried.values())))
    means = {weights: np.mean(list(found.values()), axis=0) for weights, found in tried.items()}
    best, _ = best_of(tried)
    widths = [max(len(cell), 6) for cell in cells]
    head = [f'{key:>5}' for key in keys]
    head += [f'{cell:>{width}}' for cell, width in zip(cells, widths, strict=True)]
    lines = [name, '  '.join([*head, 'mean @1', 'mean @5'])]
    for weights, found in tried.items():
        line = [f'{weight:5.2f}' for weight in weights]
        line += [f'{found[c][0]:{width}.3f}' for c, width in zip(cells, widths, strict=True)]
        line += [f'{mean:7.3f}' for mean in means[weights]] + ['best'] * (weights == best)
        lines.append('  '.join(line))
    options = [f'--config.eval.{name}.{key}={w}' for key, w in zip(keys, best, strict=True)]
    return '\n'.join(lines), ' '.join(options)


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line, tries and prints."""
    runtime.silence_logs()
    parser = errors.CommandParser(__doc__ or '')
    parser.add_argument('--config', required=True, help='as for cpad_jax.eval')
    parser.add_argument('--workdir', help='as for cpad_jax.eval')
    parser.add_argument(
        '--world', type=int, help='search this drawn world, filmed in WORKDIR/worldN, instead'
    )
    words = sys.argv[1:] if arguments is None else arguments
    overrides = [word for word in words if word.startswith('--config.')]
    options = parser.parse_args([word for word in words if word not in overrides])
    workdir = ['--workdir', options.workdir] if options.workdir is not None else []
    config, workdir = configs.parse(['--config', options.config, *workdir, *overrides])
    configs.require(config, workdir)
    runtime.keep_compiled(workdir)
    config = copy.deepcopy(config)
    if options.world is not None:
        config = judge.world_config(config, workdir, options.world)
        build.ensure(build.evaluation_data(config), workdir)
    config.eval.methods, config.eval.controls, config.eval.ce = (), (), ''
    context = EvalContext(config, workdir)
    queries = PROTOCOL.queries(context)
    best = []
    for kind in querybank.BANKS:
        text, temperature = best_temperature(context, kind, queries)
        print(text, flush=True)
        config.eval.word_bank[kind] = temperature
        best.append(f'--config.eval.word_bank.{kind}={temperature}')
    context = EvalContext(config, workdir)  # With the temperatures that were just found.
    for name, scorer in zip(KEYS, registry.make(tuple(KEYS), context), strict=True):
        text, options = render(name, try_all(scorer, queries))
        print(text, flush=True)
        best.append(options)
    print('\n'.join(best))


if __name__ == '__main__':
    errors.run_command(main)
