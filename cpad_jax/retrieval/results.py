"""What came out, as rows and paired comparisons: results.json and comparisons.json."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpad_jax.retrieval import bootstrap, metrics, queries, scenarios

GROUPS = ('all', 'seen', 'unseen')
_COMPARED = ('hit@1', 'hit@5')
# (better, worse) pairs whose difference is reported for seen people.
_DIFFERENCES = (
    (queries.PAD_TEXT_IMAGE, queries.PAD_IMAGE),
    (queries.PAD_IMAGE, queries.CLIP),
    (queries.PAD_TEXT, queries.CLIP),
    (queries.PAD_TEXT_IMAGE, queries.CLIP),
    (queries.PAD_IMAGE, queries.CE),
    (queries.WITH_FACES, queries.PAD_IMAGE),
    (queries.WITH_FACES, queries.LATE_FUSION),
)


def group(asked: Sequence[scenarios.Query], scenario: str, people: str) -> np.ndarray:
    """Numbers of the queries of a scenario about a group of people."""
    return np.array(
        [
            number
            for number, query in enumerate(asked)
            if query.scenario == scenario and (people == 'all' or query.seen == (people == 'seen'))
        ],
        np.int64,
    )


def result_rows(
    asked: Sequence[scenarios.Query],
    values: Mapping[queries.Method, Mapping[str, np.ndarray]],
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


def compare(
    asked: Sequence[scenarios.Query],
    values: Mapping[queries.Method, Mapping[str, np.ndarray]],
    samples: int,
    seed: int,
) -> list[dict[str, Any]]:
    """The paired comparisons of `comparisons.json`.

    Returns:
        Per scenario the differences between methods on seen people (`kind` 'difference', with
        `metric`, `a`, `b`, `difference`, `low`, `high`), and two ratios at hit@1 (`kind` 'ratio',
        with `what`, `ratio`, `low`, `high`): unseen to seen people in image form, wrong to right
        person.
    """
    found = []
    person = np.array([query.person_id for query in asked])
    for scenario in dict.fromkeys(query.scenario for query in asked):
        seen, unseen = (group(asked, scenario, people) for people in ('seen', 'unseen'))
        who = person[seen]
        for metric in _COMPARED:
            for a, b in _DIFFERENCES:
                if not len(seen) or a not in values or b not in values:
                    continue
                difference = bootstrap.paired_difference(
                    values[a][metric][seen], values[b][metric][seen], who, samples, seed
                )
                found.append(
                    {'kind': 'difference', 'scenario': scenario, 'metric': metric}
                    | {'a': a.key, 'b': b.key}
                    | {name: finite(value) for name, value in difference.items()}
                )
        hits = {method: own['hit@1'] for method, own in values.items()}
        image, right = hits.get(queries.PAD_IMAGE), hits.get(queries.PAD_TEXT_IMAGE)
        ratios = [
            ('image form, unseen to seen people', image, unseen, image, seen),
            ('text + image form, wrong to right person', hits.get(queries.WRONG_PERSON), seen,
             right, seen),
        ]  # fmt: skip
        for what, above, whose, below, others in ratios:
            if above is None or below is None or not len(whose) or not len(others):
                continue
            share = bootstrap.ratio(
                (above[whose], person[whose]), (below[others], person[others]), samples, seed
            )
            found.append(
                {'kind': 'ratio', 'scenario': scenario, 'metric': 'hit@1', 'what': what}
                | {name: finite(value) for name, value in share.items()}
            )
    return found
