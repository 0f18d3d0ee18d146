"""What came out, as rows and paired comparisons: results.json and comparisons.json."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpad_jax.retrieval import bootstrap, metrics, queries, scenarios

# Of people: seen in identity learning, of these whose names plain CLIP has read ('read') and has
# not ('unread'), and never seen.
GROUPS = ('all', 'seen', 'read', 'unread', 'unseen')
_COMPARED = ('hit@1', 'hit@5')
# (a, b): the difference a − b is reported for seen people.
DIFFERENCES = (
    (queries.PAD_TEXT_IMAGE, queries.PAD_IMAGE),
    (queries.PAD_IMAGE, queries.CLIP),
    (queries.PAD_TEXT, queries.CLIP),
    (queries.PAD_TEXT_IMAGE, queries.CLIP),
    (queries.PAD_IMAGE, queries.CE),
    (queries.WITH_FACES, queries.PAD_IMAGE),
    (queries.WITH_FACES, queries.LATE_FUSION),
    (queries.WITH_FACES, queries.CLIP_FACES),
    (queries.LATE_FUSION, queries.CLIP_FACES),
    (queries.LATE_FUSION, queries.LATE_FUSION_CLOSED),
    (queries.CLIP_FACES, queries.CLIP_FACES_CLOSED),
    (queries.WITH_FACES, queries.WITH_FACES_CLOSED),
    (queries.LATE_FUSION_DETECTED, queries.LATE_FUSION),
    (queries.CLIP_FACES_DETECTED, queries.CLIP_FACES),
    (queries.WITH_FACES_DETECTED, queries.WITH_FACES),
)
# And these for those whose names CLIP has read, for those whose it has not, and people never seen.
STRATA = {
    'read': 'Seen people whose names plain CLIP has read',
    'unread': 'Seen people whose names plain CLIP has not read',
    'unseen': 'People whom identity learning never saw',
}
IN_STRATA = (
    (queries.PAD_TEXT, queries.CLIP),
    (queries.PAD_IMAGE, queries.CLIP),
    (queries.PAD_TEXT_IMAGE, queries.CLIP),
    (queries.WITH_FACES, queries.LATE_FUSION),
    (queries.WITH_FACES, queries.CLIP_FACES),
    (queries.LATE_FUSION, queries.CLIP_FACES),
)


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


def group(asked: Sequence[scenarios.Query], scenario: str, people: str) -> np.ndarray:
    """Numbers of the queries of a scenario about a group of people, one of `GROUPS`."""
    read = None
    if asked and all(query.read is not None for query in asked):
        read = np.array([query.read for query in asked], bool)
    of_people = in_group(np.array([query.seen for query in asked], bool), read, people)
    of_scenario = np.array([query.scenario == scenario for query in asked], bool)
    return np.flatnonzero(of_people & of_scenario)


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
        Per scenario the differences between methods (`kind` 'difference', with `people`, `metric`,
        `a`, `b`, `difference`, `low`, `high`) on seen people and in each of `STRATA`, and ratios
        at hit@1 (`kind` 'ratio', with `what`, `ratio`, `low`, `high`): unseen to seen people in
        image form, wrong to right person, photos without hair and without a face to whole ones.
    """
    found = []
    person = np.array([query.person_id for query in asked])
    pairs = [('seen', *pair) for pair in DIFFERENCES]
    pairs += [(people, *pair) for people in STRATA for pair in IN_STRATA]
    for scenario in dict.fromkeys(query.scenario for query in asked):
        groups = {people: group(asked, scenario, people) for people in ('seen', *STRATA)}
        seen, unseen = groups['seen'], groups['unseen']
        for metric in _COMPARED:
            for people, a, b in pairs:
                which = groups[people]
                if not len(which) or a not in values or b not in values:
                    continue
                difference = bootstrap.paired_difference(
                    values[a][metric][which], values[b][metric][which], person[which], samples,
                    seed,
                )  # fmt: skip
                found.append(
                    {'kind': 'difference', 'scenario': scenario, 'people': people}
                    | {'metric': metric, 'a': a.key, 'b': b.key}
                    | {name: finite(value) for name, value in difference.items()}
                )
        hits = {method: own['hit@1'] for method, own in values.items()}
        image, right = hits.get(queries.PAD_IMAGE), hits.get(queries.PAD_TEXT_IMAGE)
        ratios = [
            ('image form, unseen to seen people', image, unseen, image, seen),
            ('text + image form, wrong to right person', hits.get(queries.WRONG_PERSON), seen,
             right, seen),
            ('image form, face without hair to whole photo', hits.get(queries.FACE_ONLY), seen,
             image, seen),
            ('image form, hair without face to whole photo', hits.get(queries.HAIR_ONLY), seen,
             image, seen),
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
