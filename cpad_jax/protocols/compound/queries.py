"""Compound queries of a gallery, and the clips that are relevant to them.

Works on records and the table of people alone; it knows no model. A clip answers "person, action"
only if that person does the action, and "person, place" if the person is in a clip shot there.
Where a data set knows only what is done in a clip (relevance 'clip'), all its people count as doing
it.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpad_jax.errors import UserError
from cpad_jax.ranking.query import (
    SCENARIOS,
    Appearance,
    Query,
    appearances,
    choose_references,
)
from cpad_jax.text.prompts import ACTIONS, PLACES

MIN_DISTRACTORS = 5


def _wanted(scenario: str, own: Sequence[Appearance]) -> list[tuple[int | None, int | None]]:
    """The (action, place) pairs of queries about a person, sorted."""
    pairs: set[tuple[int | None, int | None]] = set()
    for seen in own:
        place = seen.place if seen.place >= 0 else None
        if scenario == 'place' and place is not None:
            pairs.add((None, place))
        for action in seen.actions:
            if scenario == 'action':
                pairs.add((action, None))
            elif scenario == 'action+place' and place is not None:
                pairs.add((action, place))
    return sorted(pairs, key=lambda pair: tuple(-1 if value is None else value for value in pair))


def check(scenarios: Sequence[str], key: str) -> None:
    """Makes sure that a configuration's `key` names scenarios that there are.

    Raises:
        UserError: It does not, or names none.
    """
    if not len(scenarios):
        raise UserError(f'{key} is empty, expected some of {", ".join(SCENARIOS)}')
    for scenario in scenarios:
        if scenario not in SCENARIOS:
            raise UserError(f'{key} names {scenario!r}, expected some of {", ".join(SCENARIOS)}')


def build_queries(
    clips: Sequence[Mapping[str, Any]],
    people: Mapping[str, Mapping[str, Any]],
    references: Mapping[str, Sequence[Mapping[str, Any]]],
    scenarios: Sequence[str] = SCENARIOS,
    num_references: int = 5,
    min_distractors: int = MIN_DISTRACTORS,
    actions: Sequence[str] = ACTIONS,
    places: Sequence[str] = PLACES,
    relevance: str = 'person',
) -> list[Query]:
    """All queries that the protocol allows.

    Args:
        clips: Records of the `clips` schema without need of `frames`: `clip_id`, `title`, `actions`
            (where relevance is 'clip'), `place` and `people`.
        people: person_id → `name` and `seen`.
        references: person_id → photos, each with `image_id` and `source`; a photo whose source is a
            title of a relevant clip is not used.
        scenarios: Which of `SCENARIOS`.
        num_references: Photos per query, at most.
        min_distractors: Least number of clips that show the same person otherwise, and of clips
            that show the same action or place without that person.
        actions: Names of the actions that the records' numbers mean.
        places: Names of the places.
        relevance: As in `appearances`.

    Returns:
        Queries by scenario, then person, then action and place.

    Raises:
        UserError: An unknown scenario.
    """
    check(scenarios, 'config.eval.scenarios')
    everybody = appearances(clips, relevance)
    # Clips in which anybody does the action in the place.
    matching: dict[tuple[int | None, int | None], set[int]] = collections.defaultdict(set)
    for own in everybody.values():
        for seen in own:
            for action in (None, *seen.actions):
                for place in (None, seen.place):
                    matching[action, place].add(seen.clip)
    queries = []
    for scenario in scenarios:
        for person_id in sorted(everybody):
            own = everybody[person_id]
            here = {seen.clip for seen in own}
            for action, place in _wanted(scenario, own):
                relevant = {seen.clip for seen in own if seen.matches(None, action, place)}
                same_person = len(here - relevant)
                same_doing = len(matching[action, place] - here)
                photos = choose_references(
                    references.get(person_id, ()),
                    {clips[number]['title'] for number in relevant},
                    num_references,
                )
                if min(same_person, same_doing) < min_distractors or not photos:
                    continue
                words = [actions[action]] if action is not None else []
                words += [places[place]] if place is not None else []
                queries.append(
                    Query(
                        query_id='/'.join([scenario, person_id, *words]),
                        scenario=scenario,
                        person_id=person_id,
                        name=people[person_id]['name'],
                        seen=bool(people[person_id]['seen']),
                        action=actions[action] if action is not None else None,
                        place=places[place] if place is not None else None,
                        relevant=tuple(sorted(relevant)),
                        references=photos,
                    )
                )
    return queries


def impostors(queries: Sequence[Query], seed: int) -> dict[str, str]:
    """For the control "wrong person": each person's stand-in, never themselves.

    Args:
        queries: About whom; seen people stand in for seen ones, unseen for unseen.
        seed: Seed of the draw.

    Returns:
        person_id → person_id. Somebody who is alone of their kind has no entry.
    """
    rng = np.random.default_rng((seed, 6))
    pairs = {}
    for seen in (True, False):
        kind = sorted({query.person_id for query in queries if query.seen == seen})
        if len(kind) > 1:
            # A turn of a shuffled circle has no fixed point.
            circle = [kind[i] for i in rng.permutation(len(kind))]
            pairs.update(zip(circle, circle[1:] + circle[:1], strict=True))
    return pairs
