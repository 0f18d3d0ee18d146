"""Labels of clips as arrays, and the predicate `ranking.query.is_relevant` over all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpad_jax.ranking.query import clip_appearances

ANY = -1


@dataclasses.dataclass(frozen=True)
class ClipLabels:
    """Labels of N clips, each with up to S people.

    Attributes:
        person: int64 [N, S], numbers of people, `ANY` where there is no further one.
        doing: bool [N, S, A], who does which action.
        place: int64 [N], or `ANY`.
    """

    person: np.ndarray
    doing: np.ndarray
    place: np.ndarray

    def __getitem__(self, clips: np.ndarray) -> ClipLabels:
        """Labels of some of the clips."""
        return ClipLabels(self.person[clips], self.doing[clips], self.place[clips])

    def relevant(self, person: np.ndarray, action: np.ndarray, place: np.ndarray) -> np.ndarray:
        """Which clips are relevant to which compound queries: `is_relevant` of each pair.

        Args:
            person: int [Q], the person of each query, or `ANY`.
            action: int [Q], the action of that person, or of any person, or `ANY`.
            place: int [Q], the place, or `ANY`.

        Returns:
            bool [Q, N].
        """
        query_person = person[:, None, None]
        who = (self.person >= 0) & (
            (query_person == ANY) | (self.person == query_person)
        )  # [Q, N, S]
        does = np.moveaxis(self.doing[:, :, action], 2, 0) | (action == ANY)[:, None, None]
        where = (place[:, None] == ANY) | (self.place == place[:, None])
        return (who & does).any(axis=2) & where


def label_clips(
    clips: Sequence[Mapping[str, Any]],
    people: Mapping[str, int],
    num_actions: int,
    relevance: str = 'person',
) -> ClipLabels:
    """Labels of clips from their records.

    Args:
        clips: Records of the `clips` schema.
        people: person_id → number; all other people get a number that no query has.
        num_actions: A.
        relevance: As in `ranking.query.clip_appearances`.
    """
    casts, places = [], []
    for number in range(len(clips)):
        record = clips[number]
        places.append(record['place'])
        casts.append(clip_appearances(record, relevance, number))
    room = max(1, *map(len, casts))
    person = np.full((len(casts), room), ANY, np.int64)
    doing = np.zeros((len(casts), room, num_actions), bool)
    for row, cast in enumerate(casts):
        for slot, appearance in enumerate(cast):
            person[row, slot] = people.get(appearance.person_id, len(people))
            doing[row, slot, list(appearance.actions)] = True
    return ClipLabels(person, doing, np.array(places, np.int64))
