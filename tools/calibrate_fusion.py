r"""Finds how much faces are to count in the rows late_fusion, with_faces and with_faces_and_name.

python tools/calibrate_fusion.py --config configs/synthetic_cast.py --workdir runs/synthetic_cast

Takes a finished identity learning and searches the configuration's gallery, which should be a
validation world, with every weight of a grid. Prints hit@1 of every scenario, for people seen and
never seen, and the means of hit@1 and hit@5 over these cells, however many queries each has. The
best has the greatest sum of both; what goes into the configuration is said last. Any
`--config.KEY=VALUE` may follow.
"""

from __future__ import annotations

import copy
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

# Run as a script, the package beside this folder is found without being installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cpad_jax import errors, progress  # noqa: E402
from cpad_jax.retrieval import evaluation, metrics  # noqa: E402
from cpad_jax.retrieval.methods.fusion import Fused, weighted  # noqa: E402
from cpad_jax.retrieval.scenarios import Query  # noqa: E402
from cpad_jax.training import configs, runtime  # noqa: E402

# The first part counts 1; these are for every further one. 0 leaves it out.
GRID = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0)
# Method of the registry, and the keys of its section of config.eval, in the order of its parts.
KEYS = {'late_fusion': ('faces',), 'with_faces': ('words', 'faces')}

Weights = tuple[float, ...]


def cell(query: Query) -> str:
    """Which column a query counts in, e.g. 'place, unseen'."""
    return f'{query.scenario}, {"seen" if query.seen else "unseen"}'


def try_all(
    scorer: Fused, asked: Sequence[Query], grid: Sequence[float] = GRID
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
        for some, parts in scorer.scored(asked):
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


def render(name: str, tried: dict[Weights, dict[str, np.ndarray]]) -> tuple[str, str]:
    """The table of a row, and the best weights as options of a command."""
    keys, cells = KEYS[name], list(next(iter(tried.values())))
    means = {weights: np.mean(list(found.values()), axis=0) for weights, found in tried.items()}
    best = max(tried, key=lambda weights: means[weights].sum())
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
    runtime.quiet()
    parser = errors.CommandParser(__doc__)
    parser.add_argument('--config', required=True, help='as for cpad_jax.eval')
    parser.add_argument('--workdir', help='as for cpad_jax.eval')
    words = sys.argv[1:] if arguments is None else arguments
    overrides = [word for word in words if word.startswith('--config.')]
    options = parser.parse_args([word for word in words if word not in overrides])
    workdir = ['--workdir', options.workdir] if options.workdir is not None else []
    config, workdir = configs.parse(['--config', options.config, *workdir, *overrides])
    configs.require(config, workdir)
    runtime.keep_compiled(workdir)
    config = copy.deepcopy(config)
    config.eval.methods, config.eval.controls, config.eval.ce = tuple(KEYS), (), ''
    material = evaluation.prepare(workdir, config)
    best = []
    for name, scorer in zip(KEYS, material.further, strict=True):
        text, options = render(name, try_all(scorer, material.asked))
        print(text, flush=True)
        best.append(options)
    print('\n'.join(best))


if __name__ == '__main__':
    errors.run_command(main)
