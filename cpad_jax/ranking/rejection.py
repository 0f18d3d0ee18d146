"""Rejection of queries without a relevant clip: score normalisation and trials.

A query is accepted if the score of its best clip reaches a threshold. A query with relevant clips
that is rejected is a miss; one without that is accepted is a false alarm. Scores are normalised by
those of background queries and of the rest of the gallery (z-norm; Auckenthaler et al. 2000, "Score
normalization for text-independent speaker verification systems"). `metrics.det_curve` has the
errors at every threshold.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from cpad_jax.ranking import bootstrap, metrics

_LEAST_SPREAD = 1e-6


def by_clip(scores: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Normalises scores by those of background queries for the same clip.

    Args:
        scores: float [..., N] of queries.
        background: float [B, N] of background queries, B >= 2.

    Returns:
        float [..., N], the z-scores within the background of each clip.
    """
    spread = np.maximum(background.std(axis=0), _LEAST_SPREAD)
    return (scores - background.mean(axis=0)) / spread


@dataclasses.dataclass(frozen=True, eq=False)
class Trials:
    """The best score of every query, with and without its relevant clips in the gallery.

    Attributes:
        target: float [Q], in the whole gallery.
        nontarget: float [Q], in the gallery without the query's relevant clips.
        best: int [Q], number of the best clip of the latter.
        hits: bool [Q], whether the best clip of the whole gallery is relevant.
    """

    target: np.ndarray
    nontarget: np.ndarray
    best: np.ndarray
    hits: np.ndarray

    @property
    def floor(self) -> float:
        """A lower bound of the equal error rate of any threshold.

        Where the best clip is not relevant, removing the relevant clips leaves the best score as it
        is. So at every threshold the share of accepted queries falls by no more than the share of
        queries whose best clip is relevant, and both errors together are at least the rest. That
        holds where the normalisation of a score does not grow as clips are removed; where scores
        are divided by the standard deviation over the gallery, it holds up to the change that a few
        clips make to it.
        """
        return float((1 - self.hits.mean()) / 2)


def trials(whole: np.ndarray, emptied: np.ndarray, relevant: Sequence[Sequence[int]]) -> Trials:
    """Trials of every query in the gallery with and without its relevant clips.

    Args:
        whole: float [Q, N], scores in the whole gallery.
        emptied: float [Q, N], scores in the gallery without the query's relevant clips; those of
            the relevant clips are not read.
        relevant: For each query the numbers of its relevant clips, at least one, not all.
    """
    left = np.array(emptied, np.float64)
    for row, numbers in zip(left, relevant, strict=True):
        row[np.asarray(numbers, np.int64)] = -np.inf
    best_relevant = [max(row[list(numbers)]) for row, numbers in zip(whole, relevant, strict=True)]
    best_other = [
        np.delete(row, np.asarray(numbers, np.int64)).max()
        for row, numbers in zip(whole, relevant, strict=True)
    ]
    return Trials(
        whole.max(axis=-1), left.max(axis=-1), left.argmax(axis=-1),
        np.array(best_relevant) > np.array(best_other),
    )  # fmt: skip


def bounds(trials: Trials, people: np.ndarray, samples: int, seed: int) -> tuple[float, float]:
    """95 % bounds of the equal error rate by the bootstrap over people.

    Args:
        trials: Q queries.
        people: [Q], the person of each query.
        samples: Number of bootstrap draws.
        seed: Seed of the draws.

    Returns:
        Low and high; NaN where all queries are about one person.
    """
    if len(set(people)) < 2:
        return float('nan'), float('nan')
    draws = bootstrap.PersonBootstrap(people, samples, seed)
    rates = [
        metrics.det_curve(trials.target, trials.nontarget, weights).equal_error_rate[0]
        for weights in draws.weights()
    ]
    low, high = np.percentile(rates, bootstrap.LEVEL)
    return float(low), float(high)
