"""Queries that ask for nobody in particular: what is done, where, or both; CE beside plain CLIP."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cpad_jax import atomic
from cpad_jax.data import build, readers
from cpad_jax.features import store
from cpad_jax.methods.ce import export
from cpad_jax.methods.ce import scorer as ce_scorer
from cpad_jax.methods.clip import PlainCLIP
from cpad_jax.models.pretrained import load_clip
from cpad_jax.printable import say
from cpad_jax.ranking import bootstrap, metrics
from cpad_jax.ranking import query as ranking_query
from cpad_jax.ranking.method import Method
from cpad_jax.ranking.query import Query
from cpad_jax.ranking.scorers import Scorer, rank_all
from cpad_jax.report import page

# The share of the R right clips that is among the first R: recall where there are hundreds.
RECALL = 'recall@R'
METRICS = ('hit@1', 'hit@5', RECALL, 'map')
_BOUNDS = '95 % interval of the gain over CLIP, queries drawn anew'


def build_queries(
    clips: Sequence[Mapping[str, Any]],
    actions: Sequence[str],
    places: Sequence[str],
    relevance: str = 'person',
) -> list[Query]:
    """Every action, every place and every pair of them that a gallery has, asked once.

    Args:
        clips: As in `queries.build_queries`.
        actions: Names of actions.
        places: Names of places.
        relevance: As in `query.appearances`.

    Returns:
        Queries without a person, by scenario; a pair's answers show somebody who does it there.
    """
    answers: dict[tuple[str | None, str | None], set[int]] = collections.defaultdict(set)
    for own in ranking_query.appearances(clips, relevance).values():
        for seen in own:
            where = places[seen.place] if seen.place >= 0 else None
            for what in (None, *(actions[action] for action in seen.actions)):
                for pair in {(what, None), (what, where)} - {(None, None)}:
                    answers[pair].add(seen.clip)
    found = []
    for (action, place), relevant in answers.items():
        kinds = [kind for kind, said in (('action', action), ('place', place)) if said]
        scenario = '+'.join(kinds)
        found.append(
            Query(
                query_id='/'.join(filter(None, (scenario, action, place))),
                scenario=scenario,
                person_id='',
                name='',
                seen=False,
                action=action,
                place=place,
                relevant=tuple(sorted(relevant)),
                references=(),
            )  # fmt: skip
        )
    return sorted(found, key=lambda q: (ranking_query.SCENARIOS.index(q.scenario), q.query_id))


ADAPTED = 'adapted'  # As the clip adapter of a CLIP-PAD sees clips.


def compare(
    scorers: Sequence[Scorer], asked: Sequence[Query], samples: int, seed: int
) -> list[dict[str, Any]]:
    """Asks every method, and sets each beside the last one.

    Args:
        scorers: The methods; the last one is what the others are compared with.
        asked: Queries without a person.
        samples: Bootstrap draws.
        seed: Seed of the draws.

    Returns:
        A row for each scenario and method: `num_queries`, `METRICS` and, but for the last method,
        `gain_…` of each with its 95 % bounds `…_low` and `…_high` (queries drawn anew).
    """
    values: list[dict[str, np.ndarray]] = []

    def use(method: Method, ranks: list[np.ndarray]) -> None:
        values.append({**metrics.query_metrics(ranks), RECALL: metrics.r_precision(ranks)})

    rank_all(scorers, asked, use)
    scenario = np.array([query.scenario for query in asked])
    ids = np.array([query.query_id for query in asked])
    rows = []
    for kind in dict.fromkeys(scenario):
        which = np.flatnonzero(scenario == kind)
        for scorer, own in zip(scorers, values, strict=True):
            row = {'scenario': str(kind), 'method': scorer.method.name, 'num_queries': len(which)}
            for name in METRICS:
                row[name] = float(own[name][which].mean())
                if scorer is not scorers[-1]:
                    gain = bootstrap.paired_difference(
                        own[name][which], values[-1][name][which], ids[which], samples, seed
                    )
                    row[f'gain_{name}'] = float(gain['difference'])
                    row[f'gain_{name}_low'], row[f'gain_{name}_high'] = gain['low'], gain['high']
            rows.append(row)
    return rows


def _cells(row: Mapping[str, Any]) -> list[str]:
    cells = []
    for name in METRICS:
        cell = f'{100 * row[name]:.1f}'
        if f'gain_{name}' in row:
            low, high = (100 * row[f'gain_{name}_{side}'] for side in ('low', 'high'))
            cell += f' [{low:+.1f}, {high:+.1f}]'
        cells.append(cell)
    return cells


def render(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as text, in percent."""
    lines = [f'{"nobody in particular":<22}' + ''.join(f'{name:>22}' for name in METRICS)]
    for row in rows:
        cells = ''.join(f'{cell:>22}' for cell in _cells(row))
        lines.append(f'{row["scenario"]:<13} {row["method"]:<8}{cells}')
    lines.append(f'[{_BOUNDS}]')
    return '\n'.join(lines)


def section(rows: Sequence[Mapping[str, Any]]) -> page.Section:
    """The rows as a part of the report."""
    lines = [[*map(page.text, (row['scenario'], row['method'], *_cells(row)))] for row in rows]
    table = page.grid(['Scenario', 'method', *METRICS], lines, f'In percent [{_BOUNDS}]', labels=2)
    return page.Section('nobody', 'Nobody in particular', table)


def evaluate(workdir: Path, config: Any) -> list[dict[str, Any]]:
    """Asks a trained CE and plain CLIP; writes `WORKDIR/eval/no_person.json` and prints it.

    Args:
        workdir: Of a finished training of CE.
        config: Its configuration.
    """
    data = build.evaluation_data(config)
    paths = build.locate(data, workdir)
    clips = readers.ClipReader(paths.part('clips'), 'test')
    clip = load_clip(config.backbone, dtype=config.dtype)
    saved = export.load_model(ce_scorer.model_folder(workdir), clip.sha256)
    cache = store.folder(config, workdir)
    experts = ce_scorer.gallery(saved, config, clip, paths, clips, cache)
    labels = [ranking_query.labels(clips[number]) for number in range(len(clips))]
    asked = build_queries(labels, clips.actions, clips.places, clips.relevance)
    own = ce_scorer.ExpertsScorer(saved, clip, experts, {}, 1)
    plain = PlainCLIP(clip, experts.features['frames'])
    rows = compare([own, plain], asked, config.eval.bootstrap_samples, config.seed)
    atomic.write_json(workdir / 'eval' / 'no_person.json', rows)
    say(render(rows))
    return rows
