"""Ranks the clips of a season in every way of cutting and asking, and says what came out."""

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
    """A way to cut the season, and the pieces [video][piece] that it makes."""

    clips_per_minute: float
    cut: str
    pieces: Sequence[Sequence[Span]]

    @property
    def num_clips(self) -> int:
        """Of the whole season."""
        return sum(map(len, self.pieces))

    @property
    def key(self) -> str:
        """A short name that is unique among cuttings."""
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
    cuttings: Sequence[Segmentation],
    asked: Sequence[SeasonQuery],
    conditions: Sequence[Condition],
    moment: float,
) -> tuple[Values, dict[str, np.ndarray]]:
    """Ranks the clips of every cutting in every condition.

    Args:
        model: Embeds the queries.
        frames: Of the season.
        cuttings: C ways to cut it.
        asked: Q queries.
        conditions: R ways to ask.
        moment: Seconds of a clip's moments, the best of which counts; 0 for whole clips.

    Returns:
        (numbers of cutting and condition → as `season_metrics`, the arrays of `season_ranks.npz`).
    """
    galleries = [frames.moments(cutting.pieces, moment) for cutting in cuttings]
    values: dict[tuple[int, int], dict[str, np.ndarray]] = {}
    kept: dict[str, np.ndarray] = {}
    with progress.bar(total=len(conditions) * len(asked), stage='asking', unit='query') as bar:
        for row, condition in enumerate(conditions):
            embedded = encode(model, condition, asked)
            bar.update(len(asked))
            for column, (cutting, gallery) in enumerate(zip(cuttings, galleries, strict=True)):
                found = gallery.scores(embedded)
                own = metrics.relevant_ranks(found, [q.relevant[column] for q in asked])
                values[column, row] = season_metrics(own)
                key = f'{cutting.key}/{condition.key}'
                kept[key] = np.concatenate(own)
                best = np.argsort(-found, axis=1, kind='stable')[:, :_KEPT]
                kept[f'{key}/best'] = best
                kept[f'{key}/when'] = np.stack([
                    gallery.when(query, clips)
                    for query, clips in zip(embedded, best, strict=True)
                ])  # fmt: skip
    for column, cutting in enumerate(cuttings):
        relevant = [query.relevant[column] for query in asked]
        kept[f'{cutting.key}/relevant'] = np.concatenate(relevant)
        kept[f'{cutting.key}/num_relevant'] = np.array([len(own) for own in relevant])
        kept[f'{cutting.key}/pieces'] = np.array(
            [(video, *span) for video, spans in enumerate(cutting.pieces) for span in spans]
        )
    return values, kept


def result_rows(
    cuttings: Sequence[Segmentation],
    asked: Sequence[SeasonQuery],
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
        cuttings: As in `search`.
        asked: As in `search`.
        conditions: As in `search`.
        values: As `search` gives them.
        seen: person_id → whether identity learning saw the person.
        facts: What is the same in every row.
        samples: Bootstrap draws; people are what is drawn.
        seed: Seed of the draws.
        read: person_id → whether plain CLIP has read the name; None where nobody looked.

    Returns:
        One row per cutting, group of people that has queries, and condition.
    """
    person = np.array([query.person_id for query in asked])
    is_seen = np.array([seen[person_id] for person_id in person])
    is_read = None if read is None else np.array([read[person_id] for person_id in person])
    found = []
    for column, cutting in enumerate(cuttings):
        counts = np.array([len(query.relevant[column]) for query in asked])
        for people in rows.GROUPS:
            which = np.flatnonzero(rows.in_group(is_seen, is_read, people))
            if not len(which):
                continue
            draws = bootstrap.PersonBootstrap(person[which], samples, seed)
            for row, condition in enumerate(conditions):
                entry = {
                    **facts,
                    **cutting.facts,
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
                    own = values[column, row][name][which]
                    low, high = draws.mean_bounds(own)
                    entry[name] = float(own.mean())
                    entry[f'{name}_low'] = rows.finite(low)
                    entry[f'{name}_high'] = rows.finite(high)
                found.append(entry)
    return found


def compare(
    cuttings: Sequence[Segmentation],
    asked: Sequence[SeasonQuery],
    conditions: Sequence[Condition],
    values: Values,
    samples: int,
    seed: int,
) -> list[dict[str, Any]]:
    """The paired differences of `season_comparisons.json`; arguments as in `result_rows`.

    Returns:
        Per cutting and metric `a`, `b`, the `difference` a − b on the same queries, `low`, `high`.
    """
    person = np.array([query.person_id for query in asked])
    found = []
    for column, cutting in enumerate(cuttings):
        for worse, better in _pairs(conditions):
            for name in METRICS:
                difference = bootstrap.paired_difference(
                    values[column, better][name], values[column, worse][name], person, samples, seed
                )
                found.append(
                    {**cutting.facts, 'metric': name}
                    | {'a': conditions[better].key, 'b': conditions[worse].key}
                    | {key: rows.finite(value) for key, value in difference.items()}
                )
    return found


def _pairs(conditions: Sequence[Condition]) -> list[tuple[int, int]]:
    """Numbers of the conditions that are compared: what is before, and what after."""
    numbers = {(one.method, one.fine_tuned): number for number, one in enumerate(conditions)}
    wanted = [
        ((CLIP, False), (PAD_IMAGE, False)),
        ((CLIP, False), (PAD_TEXT_IMAGE, False)),
        *(((method, False), (method, True)) for method in TUNED),
    ]
    return [(numbers[a], numbers[b]) for a, b in wanted if a in numbers and b in numbers]
