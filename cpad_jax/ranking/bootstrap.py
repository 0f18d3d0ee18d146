"""95 % bounds by the cluster bootstrap over people.

Queries about one person share a face and a name, so they are not independent; whole people are
resampled with replacement (Field and Welsh 2007); the bounds are percentiles. Where several models
were trained from different initial seeds, these are resampled as well, independently of people.
Bounds over three seeds are rather too narrow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from cpad_jax.ranking import metrics

LEVEL = (2.5, 97.5)


class PersonBootstrap:
    """Resamples people with replacement, with the same draws for every metric and method.

    Args:
        people: [Q], the person of each query.
        samples: Number of draws, >= 1.
        seed: Seed of the draws.
    """

    def __init__(self, people: np.ndarray, samples: int, seed: int):
        _, self._cluster = np.unique(np.asarray(people), return_inverse=True)
        self._clusters = int(self._cluster.max()) + 1 if len(self._cluster) else 0
        rng = np.random.default_rng((seed, 5))
        # Number of times that each person is drawn in each sample: [samples, people].
        self._weights = rng.multinomial(
            self._clusters, np.full(self._clusters, 1 / max(self._clusters, 1)), size=samples
        )

    def _too_few(self, known: np.ndarray) -> bool:
        """Whether fewer than two people have a value, so that bounds are not defined."""
        return len(np.unique(self._cluster[known])) < 2

    def weights(self) -> Iterator[np.ndarray]:
        """Number of times that each query is drawn, int [Q], of each draw."""
        return (drawn[self._cluster] for drawn in self._weights)

    def means(self, values: np.ndarray) -> np.ndarray:
        """The mean of `values` [Q] without NaN in every draw: [samples]; NaN without any value."""
        known = ~np.isnan(values)
        cluster = self._cluster[known]
        totals = np.bincount(cluster, values[known], minlength=self._clusters)
        drawn = self._weights @ np.bincount(cluster, minlength=self._clusters)
        return np.where(drawn > 0, self._weights @ totals, np.nan) / np.maximum(drawn, 1)

    def mean_bounds(self, values: np.ndarray) -> tuple[float, float]:
        """Bounds of the mean of `values` [Q] without NaN; NaN for fewer than two people."""
        if self._too_few(~np.isnan(values)):
            return float('nan'), float('nan')
        low, high = np.nanpercentile(self.means(values), LEVEL)
        return float(low), float(high)

    def median_bounds(self, values: np.ndarray) -> tuple[float, float]:
        """Bounds of the median of `values` [Q]; as `mean_bounds`."""
        known = ~np.isnan(values)
        if self._too_few(known):
            return float('nan'), float('nan')
        order = np.argsort(values[known], kind='stable')
        sorted_values = values[known][order]
        cluster = self._cluster[known][order]
        medians = []
        for weights in self._weights:
            reached = np.cumsum(weights[cluster])
            if reached[-1]:
                # The two middle ones, which are the same where their number is odd.
                middle = [(reached[-1] + 1) // 2, reached[-1] // 2 + 1]
                medians.append(sorted_values[np.searchsorted(reached, middle)].mean())
        low, high = np.percentile(medians, LEVEL)
        return float(low), float(high)

    def bounds(self, name: str, values: np.ndarray) -> tuple[float, float]:
        """Bounds of `metrics.summary` of the metric `name`."""
        if name == 'median_rank':
            return self.median_bounds(values)
        return self.mean_bounds(values)


def paired_difference(
    a: np.ndarray, b: np.ndarray, people: np.ndarray, samples: int, seed: int
) -> dict[str, float]:
    """The paired difference of two methods on the same queries.

    Args:
        a: [Q] values of one metric.
        b: [Q] values of the same metric on the same queries.
        people: [Q], the person of each query.
        samples: Number of bootstrap draws.
        seed: Seed of the draws.

    Returns:
        `difference` (mean of a − b), `low` and `high`, its 95 % bounds.
    """
    low, high = PersonBootstrap(people, samples, seed).mean_bounds(a - b)
    return {'difference': metrics.summary('hit@1', a - b), 'low': low, 'high': high}


def ratio(
    a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray], samples: int, seed: int
) -> dict[str, float]:
    """The ratio of the mean of `a` to the mean of `b`.

    Args:
        a: ([Q] values of one metric, [Q] the person of each query).
        b: The same of other queries, or of the same ones, which are then drawn together.
        samples: Number of bootstrap draws.
        seed: Seed of the draws.

    Returns:
        `ratio`, and `low` and `high`, its 95 % bounds; NaN where the mean of `b` is 0, and the
        bounds also where `a` or `b` is about one person only.
    """
    paired = np.array_equal(a[1], b[1])
    above = PersonBootstrap(a[1], samples, seed).means(a[0])
    below = PersonBootstrap(b[1], samples, seed if paired else seed + 1).means(b[0])
    total = b[0].mean()
    value = a[0].mean() / total if total else float('nan')
    drawn = above[below > 0] / below[below > 0]
    few = min(len(np.unique(a[1])), len(np.unique(b[1]))) < 2 or not len(drawn)
    low, high = (float('nan'),) * 2 if few else np.nanpercentile(drawn, LEVEL)
    return {'ratio': float(value), 'low': float(low), 'high': float(high)}


@dataclasses.dataclass(frozen=True)
class Run:
    """Values of one model on the queries of one world.

    Attributes:
        seed: Initial seed of the model.
        people: [Q], the person of each query; a person of several worlds is drawn in all of them.
        values: [Q] values of one metric, or differences of two methods on the same queries.
    """

    seed: int
    people: np.ndarray
    values: np.ndarray


def _drawn_means(runs: Sequence[Run], people: np.ndarray, samples: int, seed: int) -> np.ndarray:
    """The mean over runs of the means over queries, in every draw of `people`: [samples]."""
    counts = np.random.default_rng((seed, 5)).multinomial(
        len(people), np.full(len(people), 1 / len(people)), size=samples
    )
    seeds = np.unique([run.seed for run in runs])
    drawn = np.random.default_rng((seed, 14)).multinomial(
        len(seeds), np.full(len(seeds), 1 / len(seeds)), size=samples
    )
    total, count = np.zeros(samples), np.zeros(samples)
    for run in runs:
        cluster = np.searchsorted(people, run.people)
        sums = counts @ np.bincount(cluster, run.values, minlength=len(people))
        queries = counts @ np.bincount(cluster, minlength=len(people))
        # A draw without any person of this world has no mean for it.
        weight = drawn[:, np.searchsorted(seeds, run.seed)] * (queries > 0)
        total += weight * sums / np.maximum(queries, 1)
        count += weight
    return np.where(count > 0, total, np.nan) / np.maximum(count, 1)


def _all_people(*groups: Sequence[Run]) -> np.ndarray:
    return np.unique(np.concatenate([run.people for runs in groups for run in runs]))


def _mean(runs: Sequence[Run]) -> float:
    return float(np.mean([run.values.mean() for run in runs]))


def _bounds(drawn: np.ndarray, *groups: Sequence[Run]) -> dict[str, float]:
    for runs in groups:
        if len(_all_people(runs)) < 2:
            return {'low': float('nan'), 'high': float('nan')}
    low, high = np.nanpercentile(drawn, LEVEL)
    return {'low': float(low), 'high': float(high)}


def over_runs(runs: Sequence[Run], samples: int, seed: int) -> dict[str, float]:
    """The mean of a metric over initial seeds and worlds, with bounds over people and seeds.

    Worlds are fixed: each has the same weight, and they are not resampled.

    Args:
        runs: One per initial seed and world, each with one query or more.
        samples: Number of draws.
        seed: Seed of the draws.

    Returns:
        `mean`, and `low` and `high`, its 95 % bounds; NaN where all is about one person.
    """
    drawn = _drawn_means(runs, _all_people(runs), samples, seed)
    return {'mean': _mean(runs)} | _bounds(drawn, runs)


def ratio_over_runs(
    a: Sequence[Run], b: Sequence[Run], samples: int, seed: int
) -> dict[str, float]:
    """The ratio of the mean of `a` to the mean of `b`, both as of `over_runs`.

    People and initial seeds of both are drawn together.

    Returns:
        `ratio`, and `low` and `high`, its 95 % bounds; NaN where the mean of `b` is 0.
    """
    people, total = _all_people(a, b), _mean(b)
    above, below = (_drawn_means(runs, people, samples, seed) for runs in (a, b))
    defined = below > 0
    if not total or not defined.any():
        return {'ratio': float('nan'), 'low': float('nan'), 'high': float('nan')}
    return {'ratio': _mean(a) / total} | _bounds(above[defined] / below[defined], a, b)
