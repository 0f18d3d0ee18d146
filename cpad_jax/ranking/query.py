"""Queries, and which clips are relevant to them."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

SCENARIOS = ('action', 'place', 'action+place')


def labels(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a clip's record says without its pictures, which of a whole gallery fill the memory."""
    return {name: record[name] for name in ('clip_id', 'title', 'actions', 'place', 'people')}


@dataclasses.dataclass(frozen=True)
class Appearance:
    """One person in one clip."""

    clip: int
    actions: frozenset[int]
    place: int
    title: str


@dataclasses.dataclass(frozen=True)
class Query:
    """A compound query and its truth.

    Attributes:
        query_id: Unique, readable.
        scenario: One of `SCENARIOS`.
        person_id: Whom it asks for.
        name: Their name.
        seen: Whether identity learning saw them.
        action: One of the data set's actions, or None.
        place: One of its places, or None.
        relevant: Numbers of the clips that answer it, ascending.
        references: `image_id`s of the photos that say who it is, best first.
        read: Whether plain CLIP has read the name, see `names_read`; None where nobody looked.
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


def appearances(
    clips: Sequence[Mapping[str, Any]], relevance: str = 'person'
) -> dict[str, list[Appearance]]:
    """Who is where: person_id → appearances, in the order of the clips.

    Args:
        clips: As in `build_queries`.
        relevance: 'person', or 'clip' where clips in which nobody has actions of their own lend
            theirs to everybody.
    """
    found: dict[str, list[Appearance]] = collections.defaultdict(list)
    for number, clip in enumerate(clips):
        lent: Sequence[int] = ()
        if relevance == 'clip' and not any(len(person['actions']) for person in clip['people']):
            lent = clip['actions']
        for person in clip['people']:
            found[person['person_id']].append(
                Appearance(
                    clip=number,
                    actions=frozenset(int(a) for a in (*person['actions'], *lent)),
                    place=int(clip['place']),
                    title=clip['title'],
                )
            )
    return dict(found)


def is_relevant(appearance: Appearance, action: int | None, place: int | None) -> bool:
    """Whether an appearance matches an action and a place; None matches any."""
    return (action is None or action in appearance.actions) and (
        place is None or place == appearance.place
    )


def choose_references(
    photos: Sequence[Mapping[str, Any]], titles: set[str], count: int
) -> tuple[str, ...]:
    """The first `count` photos that come from none of `titles`, as image ids."""
    return tuple(p['image_id'] for p in photos if p['source'] not in titles)[:count]
