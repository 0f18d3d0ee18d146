"""Two evaluations side by side, query by query: `python -m cpad_jax.eval --compare A B`."""

from __future__ import annotations

import argparse
import dataclasses
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax import atomic, errors, strict_json
from cpad_jax.printable import say
from cpad_jax.ranking import metrics, rows
from cpad_jax.ranking.query import SCENARIOS
from cpad_jax.report import page

SAMPLES, SEED = 2000, 0
METRICS = ('hit@1', 'hit@5')
# In which two evaluations must agree, or they did not ask the same.
_SAME = ('dataset', 'dataset_version', 'split', 'seed', 'relevance', 'num_clips')
NO_METHOD = ('query_id', 'seen', 'read', 'num_relevant')  # Of ranks.npz.


@dataclasses.dataclass(frozen=True)
class Run:
    """What an evaluation left.

    Attributes:
        folder: Where.
        facts: `_SAME` of the first row of `results.json`.
        query_id: str [Q].
        seen: bool [Q].
        num_relevant: int [Q].
        values: `Method.key` → metric → float [Q].
    """

    folder: Path
    facts: Mapping[str, Any]
    query_id: np.ndarray
    seen: np.ndarray
    num_relevant: np.ndarray
    values: Mapping[str, Mapping[str, np.ndarray]]


def read(folder: Path) -> Run:
    """Reads `results.json` and `ranks.npz` of a workdir, or of the folder of an evaluation.

    Raises:
        UserError: They are not there, or damaged.
    """
    inner = folder / 'eval'
    folder = inner if (inner / 'ranks.npz').is_file() else folder
    try:
        rows = strict_json.read(folder / 'results.json')
        facts = {name: rows[0][name] for name in _SAME}
        with np.load(folder / 'ranks.npz', allow_pickle=False) as file:
            loaded = {name: file[name] for name in file.files}
        count = loaded['num_relevant']
        if len(loaded['query_id']) != len(count) or len(loaded['seen']) != len(count):
            raise ValueError('its lists are not of one length')
        ends = np.cumsum(count)
        values = {}
        for key, ranks in loaded.items():
            if key not in NO_METHOD:
                if ranks.shape != (ends[-1],):
                    raise ValueError(f'{key} has {ranks.shape} ranks, expected {ends[-1]}')
                values[key] = metrics.query_metrics(np.split(ranks, ends[:-1]))
    except FileNotFoundError as error:
        raise errors.UserError(
            f'no {error.filename}: name a workdir that was evaluated, or the folder of an '
            'evaluation'
        ) from None
    except (ValueError, LookupError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise errors.UserError(
            f'{folder}: results.json or ranks.npz is damaged ({error}): evaluate again'
        ) from error
    return Run(folder, facts, loaded['query_id'], loaded['seen'], count, values)


def check(a: Run, b: Run) -> None:
    """Makes sure that two evaluations have the same queries and clips.

    Raises:
        UserError: They did not; what differs is named.
    """
    differing = [
        f'{name} ({a.facts[name]!r} and {b.facts[name]!r})'
        for name in _SAME
        if a.facts[name] != b.facts[name]
    ]
    if not differing and set(a.query_id) != set(b.query_id):
        only = [len(set(x.query_id) - set(y.query_id)) for x, y in ((a, b), (b, a))]
        example = sorted(set(a.query_id) ^ set(b.query_id))[0]
        differing = [
            f'their queries ({only[0]} only in the first, {only[1]} only in the second, such as '
            f'{example})'
        ]
    if not differing:
        at = {query: number for number, query in enumerate(b.query_id)}
        order = [at[query] for query in a.query_id]
        wrong = np.flatnonzero(a.num_relevant != b.num_relevant[order])
        if len(wrong):
            differing = [
                f'the right clips of {len(wrong)} queries (such as {a.query_id[wrong[0]]})'
            ]
    if differing:
        raise errors.UserError(
            f'{a.folder} and {b.folder} cannot be compared query by query: they differ in '
            f'{", ".join(differing)}'
        )


def compare(a: Run, b: Run) -> list[dict[str, Any]]:
    """Paired differences of every method that both have.

    Args:
        a: An evaluation.
        b: Another one of the same queries, as `check` makes sure.

    Returns:
        Per group of people, method, scenario and metric: `people`, `method`, `scenario`, `metric`,
        `num_queries`, `a`, `b`, `difference` (b − a), `low`, `high` (95 %, people drawn anew; None
        where there are fewer than two) and `sure`, whether the bounds leave out 0.
    """
    at = {query: number for number, query in enumerate(b.query_id)}
    order = np.array([at[query] for query in a.query_id])
    scenario = np.array([query.split('/')[0] for query in a.query_id])
    person = np.array([query.split('/')[1] for query in a.query_id])
    found = []
    for people in ('seen', 'unseen'):
        for key in [key for key in a.values if key in b.values]:
            for wanted in SCENARIOS:
                which = (scenario == wanted) & (a.seen == (people == 'seen'))
                if not which.any():
                    continue
                for metric in METRICS:
                    ours = a.values[key][metric][which]
                    theirs = b.values[key][metric][order][which]
                    gain = rows.difference(theirs, ours, person[which], SAMPLES, SEED)
                    low, high = gain['low'], gain['high']
                    found.append({
                        'people': people, 'method': key, 'scenario': wanted, 'metric': metric,
                        'num_queries': int(which.sum()),
                        'a': metrics.summary(metric, ours), 'b': metrics.summary(metric, theirs),
                        **gain,
                        'sure': low is not None and high is not None and not low <= 0 <= high,
                    })  # fmt: skip
    return found


def _missing(a: Run, b: Run) -> list[str]:
    lines = []
    for own, other, which in ((a, b, 'A'), (b, a, 'B')):
        only = [key for key in own.values if key not in other.values]
        if only:
            lines.append(f'Only in {which}: {", ".join(only)}.')
    return lines


def _note(rows: Sequence[Mapping[str, Any]]) -> str:
    sure = sum(row['sure'] for row in rows)
    return (
        f'{sure} of {len(rows)} differences have 95 % bounds (people drawn anew) that leave out 0; '
        f'if nothing differed, about {0.05 * len(rows):.0f} would.'
    )


def _cells(row: Mapping[str, Any]) -> list[str]:
    cells = [f'{100 * row["a"]:.1f}', f'{100 * row["b"]:.1f}', f'{100 * row["difference"]:+.1f}']
    bounds = '–'
    if row['low'] is not None:
        bounds = f'[{100 * row["low"]:+.1f}, {100 * row["high"]:+.1f}]'
    return [*cells, bounds, '*' if row['sure'] else '']


def render(a: Run, b: Run, rows: Sequence[Mapping[str, Any]]) -> str:
    """The comparison as text of at most 100 columns."""
    lines = [f'A  {a.folder}', f'B  {b.folder}', *_missing(a, b)]
    shape = '{:<34} {:<12} {:<6} {:>6} {:>6} {:>6} {:>16} {}'
    for people in ('seen', 'unseen'):
        own = [row for row in rows if row['people'] == people]
        if own:
            head = shape.format('', 'scenario', '', 'A', 'B', 'B − A', '95 % bounds', '').rstrip()
            lines += ['', f'{people} people, percent', head]
            lines += [
                shape.format(
                    row['method'].replace('/', ' '), row['scenario'], row['metric'], *_cells(row)
                ).rstrip()
                for row in own
            ]
    return '\n'.join([*lines, '', '* ' + _note(rows)])


def _page(a: Run, b: Run, rows: Sequence[Mapping[str, Any]]) -> str:
    sections = []
    for people in ('seen', 'unseen'):
        lines = [
            [page.text(row['method']), page.text(row['scenario']), page.text(row['metric']),
             *map(page.text, _cells(row))]
            for row in rows if row['people'] == people
        ]  # fmt: skip
        if lines:
            head = ['Method', 'scenario', 'metric', 'A', 'B', 'B − A', '95 % bounds', 'sure']
            table = page.grid(head, lines, 'Percent of queries; * the bounds leave out 0', labels=3)
            sections.append(page.Section(people, f'{people.capitalize()} people', table))
    where = [(which, page.text(run.folder, 1000)) for which, run in (('A', a), ('B', b))]
    lead = '<dl>' + ''.join(f'<dt>{which}</dt><dd>{path}</dd>' for which, path in where) + '</dl>'
    lead += f'<p>{page.text(" ".join([_note(rows), *_missing(a, b)]), 1000)}</p>'
    return page.render('Two evaluations, query by query', lead, sections)


def main(arguments: Sequence[str]) -> None:
    """Prints the comparison, and writes it to a file if one is given.

    Args:
        arguments: `--compare A B [--out FILE]`.

    Raises:
        UserError: The folders hold no evaluation, or two with different queries.
    """
    parser = errors.CommandParser('Compares two evaluations of the same queries.')
    parser.add_argument('--compare', nargs=2, type=errors.given_path, metavar=('A', 'B'),
                        required=True, help='workdirs, or folders of evaluations')  # fmt: skip
    parser.add_argument('--out', type=_out, help='a .html page or .json rows to write as well')
    options = parser.parse_args(arguments)
    a, b = map(read, options.compare)
    check(a, b)
    rows = compare(a, b)
    say(render(a, b, rows))
    if options.out and options.out.suffix == '.json':
        atomic.write_json(options.out, rows)
    elif options.out:
        atomic.write_bytes(options.out, _page(a, b, rows).encode('utf-8', 'replace'))


def _out(given: str) -> Path:
    path = errors.given_path(given)
    if path.suffix not in ('.html', '.json'):
        raise argparse.ArgumentTypeError(f'{given}: expected a .html or .json file')
    return path
