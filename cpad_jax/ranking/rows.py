"""Rows of results and paired comparisons: metrics with their bounds, as they stand in JSON."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from cpad_jax.ranking import bootstrap, metrics
from cpad_jax.ranking.method import Method
from cpad_jax.ranking.query import Query


class Keyed(Hashable, Protocol):
    """A method or condition that rows name by its `key`."""

    @property
    def key(self) -> str:
        """A short unique name."""
        ...


Key = TypeVar('Key', bound=Keyed)

# Of people: seen in identity learning, of these whose names plain CLIP has read ('read') and has
# not ('unread'), and never seen.
GROUPS = ('all', 'seen', 'read', 'unread', 'unseen')


# And these for those whose names CLIP has read, for those whose it has not, and people never seen.
STRATA = {
    'read': 'Seen people whose names plain CLIP has read',
    'unread': 'Seen people whose names plain CLIP has not read',
    'unseen': 'People whom identity learning never saw',
}


def in_group(seen: np.ndarray, read: np.ndarray | None, people: str) -> np.ndarray:
    """Which people or queries belong to one of `GROUPS`.

    Args:
        seen: bool [Q].
        read: bool [Q], see `names_read`; None where that is not known: its strata are empty.
        people: One of `GROUPS`.

    Returns:
        bool [Q].
    """
    if people == 'all':
        return np.ones(len(seen), bool)
    if people == 'unseen':
        return ~seen
    if people == 'seen':
        return seen.copy()
    if read is None:
        return np.zeros(len(seen), bool)
    return seen & (read == (people == 'read'))


def group(queries: Sequence[Query], scenario: str, people: str) -> np.ndarray:
    """Numbers of the queries of a scenario about a group of people, one of `GROUPS`."""
    read = None
    if queries and all(query.read is not None for query in queries):
        read = np.array([query.read for query in queries], bool)
    of_people = in_group(np.array([query.seen for query in queries], bool), read, people)
    of_scenario = np.array([query.scenario == scenario for query in queries], bool)
    return np.flatnonzero(of_people & of_scenario)


def result_rows(
    queries: Sequence[Query],
    values: Mapping[Method, Mapping[str, np.ndarray]],
    facts: Mapping[str, Any],
    samples: int,
    seed: int,
) -> list[dict[str, Any]]:
    """The flat rows of `results.json`.

    Args:
        queries: Q queries.
        values: For each method each metric [Q], as `metrics.query_metrics` gives them.
        facts: Entries that all rows share.
        samples: Bootstrap draws.
        seed: Seed of the draws.

    Returns:
        One row per method, scenario and group of people that has queries. A number that is not
        defined (bounds of a single person) is None.
    """
    table = []
    for scenario in dict.fromkeys(query.scenario for query in queries):
        for people in GROUPS:
            which = group(queries, scenario, people)
            if not len(which):
                continue
            who = np.array([queries[number].person_id for number in which])
            shared = {
                'scenario': scenario,
                'people': people,
                'num_queries': len(which),
                'num_people': len(set(who)),
            }
            describe = functools.partial(_description, facts, shared)
            table += rows(values, describe, metrics.NAMES, who, samples, seed, which)
    return table


def _description(
    facts: Mapping[str, Any], shared: Mapping[str, Any], method: Method
) -> dict[str, Any]:
    return {
        **facts,
        'method': method.name,
        'person_query': method.person_query,
        'scenario': shared['scenario'],
        'people': shared['people'],
        'control': method.control,
        **shared,
    }


def rows(
    values: Mapping[Key, Mapping[str, np.ndarray]],
    describe: Callable[[Key], Mapping[str, Any]],
    names: Sequence[str],
    units: np.ndarray,
    samples: int,
    seed: int,
    which: np.ndarray | None = None,
) -> list[dict[str, Any]]:
    """A row for each method: its description, and metrics with their bounds.

    Args:
        values: Of each method (or condition) each metric of each query.
        describe: Method → the entries of its row before the metrics.
        names: Names of metrics.
        units: [Q], which unit of the bootstrap each query belongs to: a person, or a title.
        samples: Bootstrap draws.
        seed: Seed of the draws.
        which: Indices of the Q queries; all by default.
    """
    draws = bootstrap.PersonBootstrap(units, samples, seed)
    which = np.arange(len(units)) if which is None else which
    return [
        {**describe(key), **with_bounds({name: metric[name][which] for name in names}, draws)}
        for key, metric in values.items()
    ]


def with_bounds(
    values: Mapping[str, np.ndarray], draws: bootstrap.PersonBootstrap
) -> dict[str, float | None]:
    """Summaries of metrics [Q], each with its bounds `_low` and `_high`."""
    row: dict[str, float | None] = {}
    for name, own in values.items():
        low, high = draws.bounds(name, own)
        row[name] = finite(metrics.summary(name, own))
        row[f'{name}_low'], row[f'{name}_high'] = finite(low), finite(high)
    return row


def finite(value: float) -> float | None:
    """A number as it stands in JSON: None where it is not finite."""
    return float(value) if math.isfinite(value) else None


def compare(
    values: Mapping[Key, Mapping[str, np.ndarray]],
    pairs: Iterable[tuple[Key, Key]],
    names: Sequence[str],
    units: np.ndarray,
    samples: int,
    seed: int,
    which: np.ndarray | None = None,
) -> list[dict[str, Any]]:
    """Paired differences between methods on the same queries.

    Args:
        values: As in `rows`; its keys have a `key`, by which rows name them.
        pairs: (a, b), for the difference a − b; pairs that `values` lacks are left out.
        names: Names of metrics.
        units: As in `rows`.
        samples: Bootstrap draws.
        seed: Seed of the draws.
        which: Indices of the Q queries; all by default.

    Returns:
        By pair, then metric: `metric`, `a`, `b`, and the entries of `difference`.
    """
    which = np.arange(len(units)) if which is None else which
    return [
        {'metric': name, 'a': a.key, 'b': b.key}
        | difference(values[a][name][which], values[b][name][which], units, samples, seed)
        for a, b in pairs
        if a in values and b in values
        for name in names
    ]


def difference(
    a: np.ndarray, b: np.ndarray, units: np.ndarray, samples: int, seed: int
) -> dict[str, float | None]:
    """`bootstrap.paired_difference` as it stands in JSON.

    Returns:
        `difference`, the mean of a − b, and `low` and `high`, its 95 % bounds; None where they are
        not defined.
    """
    values = bootstrap.paired_difference(a, b, units, samples, seed)
    return {name: finite(value) for name, value in values.items()}
