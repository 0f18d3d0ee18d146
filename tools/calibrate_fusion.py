r"""Calibrates the weights of rows with faces, and the temperatures of the banks of texts.

python tools/calibrate_fusion.py --config configs/synthetic_cast.py --workdir runs/synthetic_cast
python tools/calibrate_fusion.py --config configs/quickstart.py --world 1

Evaluates a finished identity learning on the gallery of the configuration, or with --world on
another drawn one, with every weight of a grid. It should be a validation world and not the
reported one. Prints hit@1 of every scenario, for people seen and never seen, and the unweighted
means of hit@1 and hit@5 over these cells. The best weights have the largest sum of both means; the
last lines are the options for the configuration. The temperature of each bank of texts comes first,
by late fusion. Rows with detected faces have the weights of those with the records' faces. Any
`--config.KEY=VALUE` may follow.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

# Run as a script, the package beside this folder is found without being installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cpad_jax import errors, progress
from cpad_jax.data import build
from cpad_jax.methods import fusion, querybank
from cpad_jax.methods.context import EvalContext
from cpad_jax.protocols.compound.evaluate import PROTOCOL
from cpad_jax.ranking import metrics
from cpad_jax.ranking.query import Query
from cpad_jax.report.table import Cell, Table
from cpad_jax.training import configs, runtime
from tools import judge

# The first part has weight 1; these are for every further one.
GRID = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0)
# Method of the registry, and the keys of its section of config.eval, in the order of its parts.
KEYS = {
    name: ('faces',) if fusion.ROWS[name].text is None else ('words', 'faces')
    for name in (
        'late_fusion', 'clip_name_on_faces', 'with_faces',
        'late_fusion_closed', 'clip_name_on_faces_closed', 'with_faces_closed',
    )
}  # fmt: skip
# The row that calibrates the temperature of a bank.
BY = {querybank.OPEN: 'late_fusion', querybank.CLOSED: 'late_fusion_closed'}
TEMPERATURES = (0.1, 0.2, 0.3, 0.5, 0.8, 1.2)

Weights = tuple[float, ...]


def cell(query: Query) -> str:
    """The column of a query, e.g. 'place, unseen'."""
    return f'{query.scenario}, {"seen" if query.seen else "unseen"}'


def try_all(
    scorer: fusion.FusedScorer, queries: Sequence[Query], grid: Sequence[float] = GRID
) -> dict[Weights, dict[str, np.ndarray]]:
    """Hits of every cell for all weights of a row.

    Args:
        scorer: The row; its own weights are not used.
        queries: The queries.
        grid: Weights of each part after the first.

    Returns:
        Weights after the first → cell → hit@1 and hit@5, 0 to 1.
    """
    tried = list(itertools.product(grid, repeat=len(scorer.weights) - 1))
    first: dict[Weights, list[int]] = {weights: [] for weights in tried}
    with progress.bar(total=len(queries), stage=scorer.method.name, unit='query') as bar:
        for batch, parts in scorer.batches(queries):
            relevant = [query.relevant for query in batch]
            for weights in tried:
                ranks = metrics.relevant_ranks(fusion.weighted(parts, (1.0, *weights)), relevant)
                first[weights] += [hits[0] for hits in ranks]
            bar.update(len(batch))
    cells = np.array([cell(query) for query in queries])
    return {
        weights: {
            name: np.mean(np.array(ranks)[cells == name, None] <= (1, 5), axis=0)
            for name in dict.fromkeys(cells)
        }
        for weights, ranks in first.items()
    }


def best_of(tried: dict[Weights, dict[str, np.ndarray]]) -> tuple[Weights, float]:
    """The weights with the greatest sum of mean hit@1 and hit@5 over cells, and this sum."""
    sums = {
        weights: np.mean(list(cells.values()), axis=0).sum() for weights, cells in tried.items()
    }
    best = max(sums, key=lambda weights: sums[weights])
    return best, float(sums[best])


def best_temperature(
    context: EvalContext,
    kind: str,
    queries: Sequence[Query],
    grid: Sequence[float] = TEMPERATURES,
) -> tuple[str, float]:
    """The table of temperatures of a bank of texts, and the best of them, by late fusion.

    Args:
        context: The evaluation.
        kind: One of `querybank.BANKS`.
        queries: The queries.
        grid: Temperatures.
    """
    row = fusion.ROWS[BY[kind]].make(context)
    lines, sums = [f'temperature of the {kind} bank of texts: sum of mean hit@1 and hit@5'], {}
    for temperature in grid:
        bank = querybank.QueryBank(context.model, context.plain_gallery, kind, temperature)
        tried = try_all(dataclasses.replace(row, parts=(bank, *row.parts[1:])), queries)
        weights, sums[temperature] = best_of(tried)
        lines.append(f'{temperature:5.2f}  {sums[temperature]:.3f}  with faces={weights[0]:g}')
    best = max(sums, key=lambda temperature: sums[temperature])
    return '\n'.join(lines), best


def render(name: str, tried: dict[Weights, dict[str, np.ndarray]]) -> tuple[str, str]:
    """The table of a row, and the best weights as options of a command."""
    keys, columns = KEYS[name], list(next(iter(tried.values())))
    best, _ = best_of(tried)
    lines = []
    for weights, cells in tried.items():
        means = np.mean(list(cells.values()), axis=0)
        lines.append([
            *(Cell(weight, form='.2f') for weight in weights),
            *(Cell(float(cells[column][0])) for column in columns),
            *(Cell(float(mean)) for mean in means), 'best' if weights == best else '',
        ])  # fmt: skip
    options = [f'--config.eval.{name}.{key}={w}' for key, w in zip(keys, best, strict=True)]
    table = Table(name, [*keys, *columns, 'mean @1', 'mean @5', ''], lines, labels=0)
    return table.text(), ' '.join(options)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
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
    parsed, workdir = configs.parse(['--config', options.config, *workdir, *overrides])
    config = cast(Any, parsed)
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
    context = EvalContext(config, workdir)  # With the calibrated temperatures.
    for name in KEYS:
        scorer = fusion.ROWS[name].make(context)
        text, options = render(name, try_all(scorer, queries))
        print(text, flush=True)
        best.append(options)
    print('\n'.join(best))


if __name__ == '__main__':
    errors.run_command(main)
