"""Queries without a person: an action, a place, or both; Collaborative Experts and plain CLIP."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpad_jax.features.store import FeatureStore
from cpad_jax.methods.ce import export
from cpad_jax.methods.ce import scorer as ce_scorer
from cpad_jax.methods.clip import PlainCLIP
from cpad_jax.methods.context import EvalContext
from cpad_jax.models.pretrained import load_clip
from cpad_jax.protocols.protocol import Outcome, Protocol
from cpad_jax.ranking import metrics
from cpad_jax.ranking import query as ranking_query
from cpad_jax.ranking.method import Method
from cpad_jax.ranking.query import Query
from cpad_jax.ranking.rows import difference
from cpad_jax.ranking.scorers import Scorer, rank_all
from cpad_jax.report.table import Cell, Table, cell, in_percent

# The share of the R right clips that is among the first R: recall where there are hundreds.
RECALL = 'recall@R'
METRICS = ('hit@1', 'hit@5', RECALL, 'map')
_BOUNDS = '95 % interval, queries drawn anew'


class NoPersonProtocol(Protocol[Query]):
    """Queries without a person, by a trained Collaborative Experts and by plain CLIP."""

    def queries(self, context: EvalContext) -> list[Query]:
        """See `Protocol`."""
        clips = context.clips
        return build_queries(context.labels, clips.actions, clips.places, clips.relevance)

    def run(self, context: EvalContext, queries: Sequence[Query]) -> Outcome:
        """See `Protocol`."""
        config = context.config
        clip = load_clip(config.backbone, dtype=config.dtype)
        store = FeatureStore.of_run(config, context.workdir, clip)
        saved = export.load_model(ce_scorer.model_folder(context.workdir), clip.sha256)
        experts = ce_scorer.gallery(saved, store, context.clips)
        scorers = [
            ce_scorer.ExpertsScorer(saved, clip, experts, {}, 1),
            PlainCLIP(clip, experts.features['frames']),
        ]
        rows = compare(scorers, queries, config.eval.bootstrap_samples, config.seed)
        return Outcome(rows, {'no_person.json': rows}, table(rows).text())


PROTOCOL = NoPersonProtocol()


def build_queries(
    clips: Sequence[Mapping[str, Any]],
    actions: Sequence[str],
    places: Sequence[str],
    relevance: str = 'person',
) -> list[Query]:
    """Every action, every place and every pair of them that a gallery has.

    Args:
        clips: As in `queries.build_queries`.
        actions: Names of actions.
        places: Names of places.
        relevance: As in `query.appearances`.

    Returns:
        Queries by scenario; a clip is relevant to a pair if somebody does it there.
    """
    relevant_to: dict[tuple[str | None, str | None], set[int]] = collections.defaultdict(set)
    for appearances in ranking_query.appearances(clips, relevance).values():
        for one in appearances:
            where = places[one.place] if one.place >= 0 else None
            for what in (None, *(actions[action] for action in one.actions)):
                for pair in {(what, None), (what, where)} - {(None, None)}:
                    relevant_to[pair].add(one.clip)
    queries = []
    for (action, place), relevant in relevant_to.items():
        kinds = [kind for kind, value in (('action', action), ('place', place)) if value]
        scenario = '+'.join(kinds)
        queries.append(
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
    return sorted(queries, key=lambda q: (ranking_query.SCENARIOS.index(q.scenario), q.query_id))


ADAPTED = 'adapted'  # As the clip adapter of a CLIP-PAD sees clips.


def compare(
    scorers: Sequence[Scorer], queries: Sequence[Query], samples: int, seed: int
) -> list[dict[str, Any]]:
    """Ranks by every method, and compares each with the last one.

    Args:
        scorers: The methods; the last one is what the others are compared with.
        queries: Queries without a person.
        samples: Bootstrap draws.
        seed: Seed of the draws.

    Returns:
        A row for each scenario and method: `num_queries`, `METRICS` and, but for the last method,
        `gain_…` of each with its 95 % bounds `…_low` and `…_high` (queries drawn anew).
    """
    values: list[dict[str, np.ndarray]] = []

    def use(method: Method, ranks: list[np.ndarray]) -> None:
        values.append({**metrics.query_metrics(ranks), RECALL: metrics.r_precision(ranks)})

    rank_all(scorers, queries, use)
    scenario = np.array([query.scenario for query in queries])
    ids = np.array([query.query_id for query in queries])
    rows = []
    for kind in dict.fromkeys(scenario):
        which = np.flatnonzero(scenario == kind)
        for scorer, metric in zip(scorers, values, strict=True):
            row = {'scenario': str(kind), 'method': scorer.method.name, 'num_queries': len(which)}
            for name in METRICS:
                row[name] = float(metric[name][which].mean())
                if scorer is not scorers[-1]:
                    gain = difference(
                        metric[name][which], values[-1][name][which], ids[which], samples, seed
                    )
                    row[f'gain_{name}'] = gain['difference']
                    row[f'gain_{name}_low'], row[f'gain_{name}_high'] = gain['low'], gain['high']
            rows.append(row)
    return rows


def table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The rows, in percent."""
    lines: list[list[str | Cell]] = []
    for row in rows:
        line: list[str | Cell] = [row['scenario'], row['method']]
        for name in METRICS:
            gain = cell(row if f'gain_{name}' in row else None, f'gain_{name}', '+.1f')
            line += [in_percent(cell(row, name, '.1f', bounds=False)), in_percent(gain)]
        lines.append(line)
    columns = ['scenario', 'method']
    for name in METRICS:
        columns += [name, 'gain']
    title = f'Queries without a person, in percent, and the gain over CLIP [{_BOUNDS}]'
    return Table(title, columns, lines, 2)
