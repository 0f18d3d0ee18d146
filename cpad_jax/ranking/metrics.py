"""All metrics of rankings: ranks of relevant clips, recall, average precision, detection errors.

A tie counts against the query: clips with the score of a relevant one rank before it. A method
that gives every clip the same score therefore has no hits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

CUTOFFS = (1, 5, 10)
NAMES = (
    *(f'hit@{k}' for k in CUTOFFS),
    *(f'recall@{k}' for k in CUTOFFS),
    'map',
    'mrr',
    'median_rank',
)


def relevant_ranks(
    scores: np.ndarray, relevant: Sequence[Sequence[int] | np.ndarray]
) -> list[np.ndarray]:
    """Ranks of the relevant clips.

    Args:
        scores: float [Q, N], larger is better.
        relevant: For each query the numbers (below N) of its relevant clips.

    Returns:
        For each query int64 [number of relevant clips], ascending; the best rank is 1.

    Raises:
        ValueError: A score is not finite. Sorting would put NaN first and call that a hit.
    """
    if not np.isfinite(scores).all():
        raise ValueError('a score is not finite: look at the embeddings of queries and gallery')
    ranks = []
    for row, numbers in zip(scores, relevant, strict=True):
        numbers = np.asarray(numbers, np.int64)
        hits = np.sort(row[numbers])[::-1]
        others = np.delete(row, numbers)
        others.sort()
        # Others that score at least as much, and the relevant ones that rank before.
        above = len(others) - np.searchsorted(others, hits, side='left')
        ranks.append(above + np.arange(1, len(hits) + 1))
    return ranks


def query_metrics(ranks: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Every metric of every query.

    Args:
        ranks: As `relevant_ranks` gives them; a query without relevant clips gets NaN throughout.

    Returns:
        Name → float64 [Q]. `hit@k`: 1 where a relevant clip is among the first k. `recall@k`: the
        share of the relevant clips that are. `map`: average precision. `mrr`: 1 / first rank.
        `median_rank`: the first rank, whose median the report takes.
    """
    values = {name: np.full(len(ranks), np.nan) for name in NAMES}
    for query, hits in enumerate(ranks):
        if not len(hits):
            continue
        for k in CUTOFFS:
            values[f'hit@{k}'][query] = float(hits[0] <= k)
        values['map'][query] = float((np.arange(1, len(hits) + 1) / hits).mean())
        values['mrr'][query] = 1 / hits[0]
        values['median_rank'][query] = hits[0]
    return values | {f'recall@{k}': recall_at_k(ranks, k) for k in CUTOFFS}


def recall_at_k(ranks: Sequence[np.ndarray], k: int) -> np.ndarray:
    """The share of each query's relevant clips among the first k: float64 [Q]; NaN without any."""
    return np.array([float((hits <= k).mean()) if len(hits) else np.nan for hits in ranks])


def r_precision(ranks: Sequence[np.ndarray]) -> np.ndarray:
    """The share of each query's R relevant clips among the first R: float64 [Q]."""
    return np.array([float((hits <= len(hits)).mean()) for hits in ranks])


def last_rank(ranks: Sequence[np.ndarray]) -> np.ndarray:
    """The rank of each query's last relevant clip: float64 [Q]."""
    return np.array([float(hits[-1]) for hits in ranks])


def mean_retrieval(scores: np.ndarray, relevant: np.ndarray) -> dict[str, float]:
    """Means of `map` and `hit@1` over queries, by a matrix of relevance.

    Args:
        scores: float [Q, N], queries by clips.
        relevant: bool [Q, N], which clips are relevant to which queries, one or more each.

    Returns:
        `map` and `hit@1`, 0 to 1.
    """
    order = np.lexsort((relevant, -scores), axis=1)
    ranked = np.take_along_axis(relevant, order, axis=1)
    precision = np.cumsum(ranked, axis=1) / (1 + np.arange(relevant.shape[1]))
    average = (precision * ranked).sum(axis=1) / ranked.sum(axis=1)
    return {'map': float(average.mean()), 'hit@1': float(ranked[:, 0].mean())}


def accuracy(scores: Any, relevant: Any) -> Any:
    """The share of queries whose best clip is relevant; the first clip wins a tie.

    Args:
        scores: float [Q, N], NumPy or JAX, also within `jax.jit`.
        relevant: bool [Q, N].
    """
    best = np.arange(scores.shape[1]) == scores.argmax(axis=1)[:, None]
    return (relevant & best).any(axis=1).mean()


def area_under_roc(positive: np.ndarray, negative: np.ndarray) -> float:
    """The share of pairs of a positive and a negative score in the right order; ties are half."""
    above = (positive[:, None] > negative).mean() + (positive[:, None] == negative).mean() / 2
    return float(above)


def share_in_top_k(scores: np.ndarray, members: Collection[int], k: int) -> float:
    """The share of the k best clips by scores [N] that are `members`; they rank first in a tie."""
    inside = np.isin(np.arange(len(scores)), list(members))
    best = np.lexsort((~inside, -scores))[:k]
    return float(inside[best].mean())


def summary(name: str, values: np.ndarray) -> float:
    """One number for many queries: the median for `median_rank`, else the mean.

    Args:
        name: One of `NAMES`.
        values: [Q]; NaN (a query without answers) is left out.
    """
    values = values[~np.isnan(values)]
    if not len(values):
        return float('nan')
    return float(np.median(values) if name == 'median_rank' else np.mean(values))


@dataclasses.dataclass(frozen=True, eq=False)
class DETCurve:
    """The detection error trade-off: both errors at every threshold that makes a difference.

    After Martin et al. 1997, "The DET curve in assessment of detection task performance".

    Attributes:
        thresholds: float [T], ascending; scores of at least that are accepted. The last is
            infinite.
        misses: float [T], 0 to 1, rising.
        false_alarms: float [T], 0 to 1, falling.
    """

    thresholds: np.ndarray
    misses: np.ndarray
    false_alarms: np.ndarray

    @property
    def equal_error_rate(self) -> tuple[float, float]:
        """(Equal error rate, its threshold); linear between two thresholds."""
        gap = self.misses - self.false_alarms  # Rising from −1 to 1.
        after = int(np.argmax(gap >= 0))
        step = gap[after] - gap[after - 1]
        share = gap[after] / step  # Of the way back to the threshold before.
        rate = self.misses[after] + share * (self.misses[after - 1] - self.misses[after])
        # The infinite threshold is never the one of the rate.
        return float(rate), float(self.thresholds[min(after, len(self.thresholds) - 2)])

    def miss_rate_at(self, false_alarms: float) -> float:
        """The least share of misses with at most that share of false alarms."""
        return float(self.misses[self.false_alarms <= false_alarms].min())


def det_curve(
    target: np.ndarray, nontarget: np.ndarray, weights: np.ndarray | None = None
) -> DETCurve:
    """The errors of accepting by a threshold.

    Args:
        target: float [Q], scores of trials to accept.
        nontarget: float [Q], scores of trials to reject, of the same queries.
        weights: float [Q], weight of each query; 1 by default.
    """
    weights = np.ones(len(target)) if weights is None else weights
    thresholds, place = np.unique(np.concatenate([target, nontarget]), return_inverse=True)
    counted = [
        np.bincount(trials, weights, minlength=len(thresholds))
        for trials in (place[: len(target)], place[len(target) :])
    ]
    # Below each threshold; the last one refuses everything.
    below = [np.concatenate([[0], np.cumsum(counts)]) / weights.sum() for counts in counted]
    return DETCurve(np.append(thresholds, np.inf), below[0], 1 - below[1])


def equal_error_rate(target: np.ndarray, nontarget: np.ndarray) -> float:
    """Where misses and false alarms are as many; 0.5 is chance. Arguments as in `det_curve`."""
    return det_curve(target, nontarget).equal_error_rate[0]
