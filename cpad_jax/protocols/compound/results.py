"""What came out, as rows and paired comparisons: results.json and comparisons.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpad_jax.ranking import bootstrap
from cpad_jax.ranking import rows as ranking_rows
from cpad_jax.ranking.method import (
    CE,
    CLIP,
    CLIP_FACES,
    CLOSED,
    DETECTED,
    FACE_ONLY,
    HAIR_ONLY,
    LATE_FUSION,
    PAD_IMAGE,
    PAD_TEXT,
    PAD_TEXT_IMAGE,
    WITH_FACES,
    WRONG_PERSON,
    Method,
)
from cpad_jax.ranking.query import Query
from cpad_jax.ranking.rows import STRATA, finite, group

_COMPARED = ('hit@1', 'hit@5')
# (a, b): the difference a − b is reported for seen people.
DIFFERENCES = (
    (PAD_TEXT_IMAGE, PAD_IMAGE),
    (PAD_IMAGE, CLIP),
    (PAD_TEXT, CLIP),
    (PAD_TEXT_IMAGE, CLIP),
    (PAD_IMAGE, CE),
    (WITH_FACES, PAD_IMAGE),
    (WITH_FACES, LATE_FUSION),
    (WITH_FACES, CLIP_FACES),
    (LATE_FUSION, CLIP_FACES),
    *((row, row.variant(CLOSED)) for row in (LATE_FUSION, CLIP_FACES, WITH_FACES)),
    *((row.variant(DETECTED), row) for row in (LATE_FUSION, CLIP_FACES, WITH_FACES)),
)
IN_STRATA = (
    (PAD_TEXT, CLIP),
    (PAD_IMAGE, CLIP),
    (PAD_TEXT_IMAGE, CLIP),
    (WITH_FACES, LATE_FUSION),
    (WITH_FACES, CLIP_FACES),
    (LATE_FUSION, CLIP_FACES),
)


def compare(
    queries: Sequence[Query],
    values: Mapping[Method, Mapping[str, np.ndarray]],
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
    person = np.array([query.person_id for query in queries])
    pairs = [('seen', *pair) for pair in DIFFERENCES]
    pairs += [(people, *pair) for people in STRATA for pair in IN_STRATA]
    for scenario in dict.fromkeys(query.scenario for query in queries):
        groups = {people: group(queries, scenario, people) for people in ('seen', *STRATA)}
        seen, unseen = groups['seen'], groups['unseen']
        for metric in _COMPARED:
            for people, a, b in pairs:
                which = groups[people]
                if not len(which):
                    continue
                found += [
                    {'kind': 'difference', 'scenario': scenario, 'people': people} | row
                    for row in ranking_rows.compare(
                        values, [(a, b)], [metric], person[which], samples, seed, which
                    )
                ]
        hits = {method: own['hit@1'] for method, own in values.items()}
        image, right = hits.get(PAD_IMAGE), hits.get(PAD_TEXT_IMAGE)
        ratios = [
            ('image form, unseen to seen people', image, unseen, image, seen),
            ('text + image form, wrong to right person', hits.get(WRONG_PERSON), seen,
             right, seen),
            ('image form, face without hair to whole photo', hits.get(FACE_ONLY), seen,
             image, seen),
            ('image form, hair without face to whole photo', hits.get(HAIR_ONLY), seen,
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
