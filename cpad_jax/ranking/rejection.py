"""When nothing matches: calibrated scores, two kinds of error, and where they meet.

A query is accepted if its best clip scores high enough. It is missed if it has an answer and is
not accepted; it is a false alarm if it has none and is. Scores of one query, and scores of one
clip, are compared with those of others by what they are to background queries and to the rest of
the gallery (z-norm; Auckenthaler et al. 2000, "Score normalization for text-independent speaker
verification systems"). The curve is that of Martin et al. 1997, "The DET curve in assessment of
detection task performance".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from cpad_jax.ranking import bootstrap

_LEAST_SPREAD = 1e-6


def by_clip(scores: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Scores, by what else is said of the same clip.

    Args:
        scores: float [..., N] of queries.
        background: float [B, N] of background queries, B >= 2.

    Returns:
        float [..., N]: how many spreads of the background a clip's score lies above its mean.
    """
    spread = np.maximum(background.std(axis=0), _LEAST_SPREAD)
    return (scores - background.mean(axis=0)) / spread


@dataclasses.dataclass(frozen=True, eq=False)
class Trials:
    """The best score of every query, with and without answers in the gallery.

    Attributes:
        matching: float [Q], of the whole gallery.
        nothing: float [Q], of the gallery without the clips that answer.
        best: int [Q], number of the clip that is best of the latter.
        found: bool [Q], whether the best clip of the whole gallery answers.
    """

    matching: np.ndarray
    nothing: np.ndarray
    best: np.ndarray
    found: np.ndarray

    @property
    def floor(self) -> float:
        """Below this no threshold brings the equal error rate.

        Where the best clip does not answer, taking the answers away leaves the best score as it is.
        So whatever the threshold, the share of queries that are accepted falls by no more than the
        share of those whose best clip answers, and both errors together are at least the rest.
        That holds where what is taken off a score does not rise as clips go. Where scores are
        divided by the spread of the gallery at hand, it holds to within what a few clips change of
        that spread.
        """
        return float((1 - self.found.mean()) / 2)


def trials(whole: np.ndarray, emptied: np.ndarray, relevant: Sequence[Sequence[int]]) -> Trials:
    """Asks every query of the gallery and of the gallery without its answers.

    Args:
        whole: float [Q, N], scores in the whole gallery.
        emptied: float [Q, N], scores in the gallery without the query's answers; those of the
            answers are not read.
        relevant: For each query the numbers of its answers, at least one, not all.
    """
    left = np.array(emptied, np.float64)
    for row, numbers in zip(left, relevant, strict=True):
        row[np.asarray(numbers, np.int64)] = -np.inf
    own = [max(row[list(numbers)]) for row, numbers in zip(whole, relevant, strict=True)]
    others = [
        np.delete(row, np.asarray(numbers, np.int64)).max()
        for row, numbers in zip(whole, relevant, strict=True)
    ]
    return Trials(
        whole.max(axis=-1), left.max(axis=-1), left.argmax(axis=-1),
        np.array(own) > np.array(others),
    )  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class DETCurve:
    """Both errors at every threshold that makes a difference.

    Attributes:
        thresholds: float [T], ascending; what is at least that is accepted. The last is infinite.
        misses: float [T], 0 to 1, rising.
        false_alarms: float [T], 0 to 1, falling.
    """

    thresholds: np.ndarray
    misses: np.ndarray
    false_alarms: np.ndarray

    @property
    def meeting(self) -> tuple[float, float]:
        """(Equal error rate, threshold); between two thresholds on the line between them."""
        apart = self.misses - self.false_alarms  # Rising from −1 to 1.
        after = int(np.argmax(apart >= 0))
        step = apart[after] - apart[after - 1]
        share = apart[after] / step  # Of the way back to the one before.
        rate = self.misses[after] + share * (self.misses[after - 1] - self.misses[after])
        # Half way up the highest step is no threshold.
        return float(rate), float(self.thresholds[min(after, len(self.thresholds) - 2)])

    def missed_at(self, false_alarms: float) -> float:
        """Least share of misses with at most that share of false alarms."""
        return float(self.misses[self.false_alarms <= false_alarms].min())


def det_curve(
    matching: np.ndarray, nothing: np.ndarray, weights: np.ndarray | None = None
) -> DETCurve:
    """The errors of accepting by a threshold.

    Args:
        matching: float [Q], statistics of queries that have an answer.
        nothing: float [Q], of the same queries without.
        weights: float [Q], how often each query counts; once by default.
    """
    weights = np.ones(len(matching)) if weights is None else weights
    values = np.concatenate([matching, nothing])
    thresholds, place = np.unique(values, return_inverse=True)
    counted = [
        np.bincount(own, weights, minlength=len(thresholds))
        for own in (place[: len(matching)], place[len(matching) :])
    ]
    # Below each threshold; the last one refuses everything.
    below = [np.concatenate([[0], np.cumsum(own)]) / weights.sum() for own in counted]
    return DETCurve(np.append(thresholds, np.inf), below[0], 1 - below[1])


def equal_error_rate(matching: np.ndarray, nothing: np.ndarray) -> float:
    """Where misses and false alarms are as many; 0.5 is chance. Arguments as in `curve`."""
    return det_curve(matching, nothing).meeting[0]


def bounds(found: Trials, people: np.ndarray, samples: int, seed: int) -> tuple[float, float]:
    """95 % bounds of the equal error rate, people drawn anew.

    Args:
        found: Q queries.
        people: [Q] who each is about.
        samples: Number of bootstrap draws.
        seed: Seed of the draws.

    Returns:
        Low and high; NaN where all queries are about one person.
    """
    if len(set(people)) < 2:
        return float('nan'), float('nan')
    draws = bootstrap.PersonBootstrap(people, samples, seed)
    rates = [
        det_curve(found.matching, found.nothing, weights).meeting[0] for weights in draws.weights()
    ]
    low, high = np.percentile(rates, bootstrap.LEVEL)
    return float(low), float(high)
