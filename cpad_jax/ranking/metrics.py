"""How well rankings answer queries.

A tie counts against the query: clips that score the same as a relevant one stand before it. A
method that gives every clip the same score therefore finds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

CUTOFFS = (1, 5, 10)
NAMES = (
    *(f'hit@{k}' for k in CUTOFFS),
    *(f'recall@{k}' for k in CUTOFFS),
    'map',
    'mrr',
    'median_rank',
)


def relevant_ranks(scores: np.ndarray, relevant: Sequence[np.ndarray]) -> list[np.ndarray]:
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
        own = np.sort(row[numbers])[::-1]
        others = np.delete(row, numbers)
        others.sort()
        # Others that score at least as much, and the relevant ones that are better placed.
        above = len(others) - np.searchsorted(others, own, side='left')
        ranks.append(above + np.arange(1, len(own) + 1))
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
    for query, own in enumerate(ranks):
        if not len(own):
            continue
        for k in CUTOFFS:
            values[f'hit@{k}'][query] = float(own[0] <= k)
            values[f'recall@{k}'][query] = float((own <= k).mean())
        values['map'][query] = float((np.arange(1, len(own) + 1) / own).mean())
        values['mrr'][query] = 1 / own[0]
        values['median_rank'][query] = own[0]
    return values


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
