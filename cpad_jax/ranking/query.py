"""Queries, and which clips are relevant to them."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

SCENARIOS = ('action', 'place', 'action+place')


def labels(record: Mapping[str, Any]) -> dict[str, Any]:
    """The labels of a clip's record without its pictures, which would fill the memory."""
    return {name: record[name] for name in ('clip_id', 'title', 'actions', 'place', 'people')}


@dataclasses.dataclass(frozen=True)
class Appearance:
    """One person in one clip.

    Attributes:
        clip: Number of the clip.
        person_id: The person.
        actions: Numbers of the actions of the person.
        place: Number of the place of the clip, below 0 where it is unknown.
    """

    clip: int
    person_id: str
    actions: frozenset[int]
    place: int

    def matches(self, person_id: str | None, action: int | None, place: int | None) -> bool:
        """Whether it is the person doing the action in the place; None matches any."""
        return (
            (person_id is None or person_id == self.person_id)
            and (action is None or action in self.actions)
            and (place is None or place == self.place)
        )


@dataclasses.dataclass(frozen=True)
class Query:
    """A compound query and its relevant clips.

    Attributes:
        query_id: Unique, readable.
        scenario: One of `SCENARIOS`.
        person_id: The person.
        name: Name of the person.
        seen: Whether the person is in the training data of identity learning.
        action: One of the data set's actions, or None.
        place: One of its places, or None.
        relevant: Numbers of the relevant clips, ascending.
        references: `image_id`s of the reference photos, best first.
        read: Whether plain CLIP has read the name, see `names_read`; None where it is not known.
    """

    query_id: str
    scenario: str
    person_id: str
    name: str
    seen: bool
    action: str | None
    place: str | None
    relevant: tuple[int, ...]
    references: tuple[str, ...]
    read: bool | None = None


def is_relevant(
    clip: Mapping[str, Any],
    person_id: str | None = None,
    action: int | None = None,
    place: int | None = None,
    relevance: str = 'person',
) -> bool:
    """Whether a clip is relevant to a compound query: the one predicate of all protocols.

    One and the same person of the clip has to match `person_id` and `action`.

    Args:
        clip: A record of the `clips` schema without need of `frames`.
        person_id: Person of the query, or None for any person.
        action: Number of its action, or None for any or none.
        place: Number of its place, or None for any.
        relevance: As in `clip_appearances`.
    """
    return any(
        appearance.matches(person_id, action, place)
        for appearance in clip_appearances(clip, relevance)
    )


def clip_appearances(
    clip: Mapping[str, Any], relevance: str = 'person', number: int = 0
) -> list[Appearance]:
    """The people of a clip and their actions.

    Args:
        clip: A record of the `clips` schema without need of `frames`.
        relevance: 'person', or 'clip' where the actions of a clip are those of all its people
            unless the record says which person does what.
        number: Number of the clip.
    """
    shared: Sequence[int] = ()
    if relevance == 'clip' and not any(len(person['actions']) for person in clip['people']):
        shared = clip['actions']
    return [
        Appearance(
            clip=number,
            person_id=person['person_id'],
            actions=frozenset(int(action) for action in (*person['actions'], *shared)),
            place=int(clip['place']),
        )
        for person in clip['people']
    ]


def appearances(
    clips: Sequence[Mapping[str, Any]], relevance: str = 'person'
) -> dict[str, list[Appearance]]:
    """Appearances of each person: person_id → appearances, in the order of the clips.

    Args:
        clips: As in `build_queries`.
        relevance: As in `clip_appearances`.
    """
    by_person: dict[str, list[Appearance]] = collections.defaultdict(list)
    for number, clip in enumerate(clips):
        for appearance in clip_appearances(clip, relevance, number):
            by_person[appearance.person_id].append(appearance)
    return dict(by_person)


def choose_references(
    photos: Sequence[Mapping[str, Any]], titles: set[str], count: int
) -> tuple[str, ...]:
    """The first `count` photos that come from none of `titles`, as image ids."""
    return tuple(p['image_id'] for p in photos if p['source'] not in titles)[:count]
