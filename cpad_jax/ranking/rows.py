"""Rows of results: metrics of a group of people with their bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpad_jax.ranking import bootstrap, metrics
from cpad_jax.ranking.method import Method
from cpad_jax.ranking.query import Query

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
        read: bool [Q], see `names_read`; None where nobody looked, and nobody is in its strata.
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


def group(asked: Sequence[Query], scenario: str, people: str) -> np.ndarray:
    """Numbers of the queries of a scenario about a group of people, one of `GROUPS`."""
    read = None
    if asked and all(query.read is not None for query in asked):
        read = np.array([query.read for query in asked], bool)
    of_people = in_group(np.array([query.seen for query in asked], bool), read, people)
    of_scenario = np.array([query.scenario == scenario for query in asked], bool)
    return np.flatnonzero(of_people & of_scenario)


def result_rows(
    asked: Sequence[Query],
    values: Mapping[Method, Mapping[str, np.ndarray]],
    facts: Mapping[str, Any],
    samples: int,
    seed: int,
) -> list[dict[str, Any]]:
    """The flat rows of `results.json`.

    Args:
        asked: Q queries.
        values: For each method each metric [Q], as `metrics.query_metrics` gives them.
        facts: What is the same in every row.
        samples: Bootstrap draws.
        seed: Seed of the draws.

    Returns:
        One row per method, scenario and group of people that has queries. A number that cannot be
        had (bounds of a single person) is None.
    """
    rows = []
    for scenario in dict.fromkeys(query.scenario for query in asked):
        for people in GROUPS:
            which = group(asked, scenario, people)
            if not len(which):
                continue
            who = np.array([asked[number].person_id for number in which])
            draws = bootstrap.PersonBootstrap(who, samples, seed)
            for method, own in values.items():
                row = {
                    **facts,
                    'method': method.name,
                    'person_query': method.person_query,
                    'scenario': scenario,
                    'people': people,
                    'control': method.control,
                    'num_queries': len(which),
                    'num_people': len(set(who)),
                }
                some = {name: own[name][which] for name in metrics.NAMES}
                rows.append(row | with_bounds(some, draws))
    return rows


def with_bounds(
    values: Mapping[str, np.ndarray], draws: bootstrap.PersonBootstrap
) -> dict[str, float | None]:
    """What a row says of metrics [Q]: each in one number, with its bounds `_low` and `_high`."""
    row: dict[str, float | None] = {}
    for name, own in values.items():
        low, high = draws.bounds(name, own)
        row[name] = finite(metrics.summary(name, own))
        row[f'{name}_low'], row[f'{name}_high'] = finite(low), finite(high)
    return row


def finite(value: float) -> float | None:
    """A number as it stands in JSON: None where it could not be had."""
    return float(value) if math.isfinite(value) else None
