"""Ranks the clips of a season in every segmentation and condition; result rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpad_jax import progress
from cpad_jax.methods.conditions import TUNED, Condition, encode
from cpad_jax.models.clip_pad_api import PersonalizedCLIP
from cpad_jax.protocols.season.frames import SeasonFrames
from cpad_jax.protocols.season.queries import SeasonQuery
from cpad_jax.protocols.season.segmentation import Span
from cpad_jax.ranking import bootstrap, metrics, rows
from cpad_jax.ranking.method import CLIP, PAD_IMAGE, PAD_TEXT_IMAGE

METRICS = ('recall@25', 'recall@50', 'last_rank')
_KEPT = 50  # Best clips of each query that are written down.


@dataclasses.dataclass(frozen=True)
class Segmentation:
    """A way to cut the season, and the segments [video][segment] that it makes."""

    clips_per_minute: float
    cut: str
    segments: Sequence[Sequence[Span]]

    @property
    def num_clips(self) -> int:
        """Of the whole season."""
        return sum(map(len, self.segments))

    @property
    def key(self) -> str:
        """A short name that is unique among segmentations."""
        return f'{self.clips_per_minute:g} {self.cut}'

    @property
    def facts(self) -> dict[str, Any]:
        """What it adds to every row."""
        return {
            'clips_per_minute': self.clips_per_minute,
            'cut': self.cut,
            'num_clips': self.num_clips,
        }


def season_metrics(ranks: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Every metric of every query.

    Args:
        ranks: For each query the ranks of its relevant clips, ascending, from 1; at least one.

    Returns:
        One of `METRICS` → float64 [Q].
    """
    return {
        'recall@25': metrics.recall_at_k(ranks, 25),
        'recall@50': metrics.recall_at_k(ranks, 50),
        'last_rank': metrics.last_rank(ranks),
    }


Values = Mapping[tuple[int, int], Mapping[str, np.ndarray]]


def search(
    model: PersonalizedCLIP,
    frames: SeasonFrames,
    segmentations: Sequence[Segmentation],
    queries: Sequence[SeasonQuery],
    conditions: Sequence[Condition],
    moment: float,
) -> tuple[Values, dict[str, np.ndarray]]:
    """Ranks the clips of every way in every condition.

    Args:
        model: Embeds the queries.
        frames: Of the season.
        segmentations: C ways to cut it.
        queries: Q queries.
        conditions: R conditions.
        moment: Seconds of a clip's windows, the best of which counts; 0 for whole clips.

    Returns:
        (numbers of segmentation and condition → as `season_metrics`, arrays of `season_ranks.npz`).
    """
    galleries = [frames.windows(way.segments, moment) for way in segmentations]
    values: dict[tuple[int, int], dict[str, np.ndarray]] = {}
    arrays: dict[str, np.ndarray] = {}
    with progress.bar(total=len(conditions) * len(queries), stage='ranking', unit='query') as bar:
        for row, condition in enumerate(conditions):
            embedded = encode(model, condition, queries)
            bar.update(len(queries))
            for column, (way, gallery) in enumerate(zip(segmentations, galleries, strict=True)):
                scores = gallery.scores(embedded)
                ranks = metrics.relevant_ranks(scores, [q.relevant[column] for q in queries])
                values[column, row] = season_metrics(ranks)
                key = f'{way.key}/{condition.key}'
                arrays[key] = np.concatenate(ranks)
                best = np.argsort(-scores, axis=1, kind='stable')[:, :_KEPT]
                arrays[f'{key}/best'] = best
                arrays[f'{key}/when'] = np.stack([
                    gallery.when(query, clips)
                    for query, clips in zip(embedded, best, strict=True)
                ])  # fmt: skip
    for column, way in enumerate(segmentations):
        relevant = [query.relevant[column] for query in queries]
        arrays[f'{way.key}/relevant'] = np.concatenate(relevant)
        arrays[f'{way.key}/num_relevant'] = np.array([len(of_query) for of_query in relevant])
        arrays[f'{way.key}/segments'] = np.array(
            [(video, *span) for video, spans in enumerate(way.segments) for span in spans]
        )
    return values, arrays


def result_rows(
    segmentations: Sequence[Segmentation],
    queries: Sequence[SeasonQuery],
    conditions: Sequence[Condition],
    values: Values,
    seen: Mapping[str, bool],
    facts: Mapping[str, Any],
    samples: int,
    seed: int,
    read: Mapping[str, bool] | None = None,
) -> list[dict[str, Any]]:
    """The flat rows of `season.json`.

    Args:
        segmentations: As in `search`.
        queries: As in `search`.
        conditions: As in `search`.
        values: As `search` gives them.
        seen: person_id → whether identity learning saw the person.
        facts: What is the same in every row.
        samples: Bootstrap draws; people are what is drawn.
        seed: Seed of the draws.
        read: person_id → whether plain CLIP has read the name; None where that is unknown.

    Returns:
        One row per segmentation, group of people that has queries, and condition.
    """
    person = np.array([query.person_id for query in queries])
    is_seen = np.array([seen[person_id] for person_id in person])
    is_read = None if read is None else np.array([read[person_id] for person_id in person])
    rows_ = []
    for column, way in enumerate(segmentations):
        counts = np.array([len(query.relevant[column]) for query in queries])
        for people in rows.GROUPS:
            which = np.flatnonzero(rows.in_group(is_seen, is_read, people))
            if not len(which):
                continue
            draws = bootstrap.PersonBootstrap(person[which], samples, seed)
            for row, condition in enumerate(conditions):
                entry = {
                    **facts,
                    **way.facts,
                    'method': condition.method.name,
                    'person_query': condition.method.person_query,
                    'control': condition.method.control,
                    'fine_tuned': condition.fine_tuned,
                    'people': people,
                    'num_queries': len(which),
                    'num_people': len(set(person[which])),
                    'num_relevant': float(counts[which].mean()),
                }
                for name in METRICS:
                    metric = values[column, row][name][which]
                    low, high = draws.mean_bounds(metric)
                    entry[name] = float(metric.mean())
                    entry[f'{name}_low'] = rows.finite(low)
                    entry[f'{name}_high'] = rows.finite(high)
                rows_.append(entry)
    return rows_


def compare(
    segmentations: Sequence[Segmentation],
    queries: Sequence[SeasonQuery],
    conditions: Sequence[Condition],
    values: Values,
    samples: int,
    seed: int,
) -> list[dict[str, Any]]:
    """The paired differences of `season_comparisons.json`; arguments as in `result_rows`.

    Returns:
        Per segmentation and metric `a`, `b`, the `difference` a − b on the same queries, `low` and
        `high`.
    """
    person = np.array([query.person_id for query in queries])
    differences = []
    for column, way in enumerate(segmentations):
        for worse, better in _pairs(conditions):
            pair = conditions[better], conditions[worse]
            of_pair = {pair[0]: values[column, better], pair[1]: values[column, worse]}
            differences += [
                {**way.facts, **row}
                for row in rows.compare(of_pair, [pair], METRICS, person, samples, seed)
            ]
    return differences


def _pairs(conditions: Sequence[Condition]) -> list[tuple[int, int]]:
    """Numbers of the conditions that are compared."""
    numbers = {(one.method, one.fine_tuned): number for number, one in enumerate(conditions)}
    wanted = [
        ((CLIP, False), (PAD_IMAGE, False)),
        ((CLIP, False), (PAD_TEXT_IMAGE, False)),
        *(((method, False), (method, True)) for method in TUNED),
    ]
    return [(numbers[a], numbers[b]) for a, b in wanted if a in numbers and b in numbers]
