"""Queries about two people, and the clips that are relevant to them; works on records alone.

Relevant to "[A] hugging [B]" are clips in which A hugs B, to "[A] and [B]" those that show both, to
"[A] without [B]" those that show A and not B. Both people have clips with others, so that neither
of them alone determines the clip.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from cpad_jax.text.prompts import ACTION_PHRASES, SOMEONE

TOGETHER, ACTION, WITHOUT = 'together', 'action', 'without'
SCENARIOS = (TOGETHER, ACTION, WITHOUT)


@dataclasses.dataclass(frozen=True)
class PairQuery:
    """A query about two people and its truth.

    Attributes:
        scenario: One of `SCENARIOS`.
        first: person_id of A, who does it.
        second: person_id of B, to whom it is done.
        action: What A does to B, or None.
        relevant: Numbers of the relevant clips, ascending.
        title: Of the first of them. Queries of one title share its people.
        against: Where the scenario is `WITHOUT`, the clips that show both.
    """

    scenario: str
    first: str
    second: str
    action: str | None
    relevant: tuple[int, ...]
    title: str
    against: tuple[int, ...] = ()

    @property
    def query_id(self) -> str:
        """Unique, readable."""
        return '/'.join(filter(None, [self.scenario, self.first, self.action, self.second]))


@dataclasses.dataclass(frozen=True)
class Doing:
    """Somebody does something to somebody in a clip, and it is not done back.

    Attributes:
        clip: Number of the clip.
        first: person_id of who does it.
        second: person_id of whom it is done to.
        action: What.
        title: Of the clip.
    """

    clip: int
    first: str
    second: str
    action: str
    title: str


def _done(clips: Sequence[Mapping[str, Any]], actions: Sequence[str]) -> list[tuple[Doing, bool]]:
    """Everything that somebody does to somebody; and whether it is done back in the same clip."""
    paired = {n for n, name in enumerate(actions) if SOMEONE in ACTION_PHRASES.get(name, '')}
    doings = []
    for number, clip in enumerate(clips):
        people = clip['people']
        for index, person in enumerate(people):
            if person['target'] < 0:
                continue
            other = people[person['target']]
            if other['person_id'] == person['person_id']:
                continue
            for action in paired.intersection(int(a) for a in person['actions']):
                back = other['target'] == index and action in other['actions']
                doing = Doing(
                    number, person['person_id'], other['person_id'], actions[action], clip['title']
                )
                doings.append((doing, back))
    return doings


def directed(
    clips: Sequence[Mapping[str, Any]], known: Collection[str], actions: Sequence[str]
) -> list[Doing]:
    """All that is done to somebody and not done back, between people of whom there are photos.

    Args:
        clips: As in `build_queries`.
        known: person_ids.
        actions: Names of the actions that the records' numbers mean.

    Returns:
        In the order of the clips. Where A and B do it in turn, the order of a query means nothing,
        and it is left out.
    """
    return [
        doing for doing, back in _done(clips, actions)
        if not back and doing.first in known and doing.second in known
    ]  # fmt: skip


def build_queries(
    clips: Sequence[Mapping[str, Any]],
    known: Collection[str],
    actions: Sequence[str],
    min_others: int,
) -> list[PairQuery]:
    """All queries about two people that a gallery allows.

    Args:
        clips: Records of the `clips` schema without need of `frames`.
        known: person_ids of those of whom there are photos; queries are about them alone.
        actions: Names of the actions that the records' numbers mean.
        min_others: Least number of clips that show A with somebody and without B, and of clips that
            show B with somebody and without A; for `WITHOUT`, of clips that show A with B, too.

    Returns:
        By scenario, then A, B and action. An action that is mutual has one query.
    """
    there = [{person['person_id'] for person in clip['people']} for clip in clips]
    where: dict[str, set[int]] = collections.defaultdict(set)
    for number, people in enumerate(there):
        for person_id in people:
            where[person_id].add(number)
    in_company = {
        person_id: {number for number in clips_of if len(there[number]) > 1}
        for person_id, clips_of in where.items()
    }
    relevant_to: dict[tuple[str, str, str], set[int]] = collections.defaultdict(set)
    for doing, _ in _done(clips, actions):
        relevant_to[doing.first, doing.second, doing.action].add(doing.clip)

    def enough(a: str, b: str) -> bool:
        both = where[a] & where[b]
        least = min(len(in_company[one] - both) for one in (a, b))
        return {a, b} <= set(known) and least >= min_others

    wanted: list[tuple[str, str, str, str | None, set[int]]] = []
    pairs = {(a, b) for people in there for a in people for b in people if a != b}
    for a, b in sorted(pairs):
        if not enough(a, b):
            continue
        both = where[a] & where[b]
        if a < b:
            wanted.append((TOGETHER, a, b, None, both))
        if len(both) >= min_others:
            wanted.append((WITHOUT, a, b, None, where[a] - both))
    for (a, b, action), relevant in sorted(relevant_to.items()):
        mutual = relevant == relevant_to.get((b, a, action))
        if enough(a, b) and not (mutual and b < a):
            wanted.append((ACTION, a, b, action, relevant))
    queries = [
        PairQuery(
            scenario, a, b, action, tuple(sorted(relevant)), clips[min(relevant)]['title'],
            tuple(sorted(where[a] & where[b])) if scenario == WITHOUT else (),
        )
        for scenario, a, b, action, relevant in wanted
    ]  # fmt: skip
    return sorted(queries, key=lambda query: SCENARIOS.index(query.scenario))
