"""What is true of clips: who does what, where, and which compound queries a clip answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

ANY = -1


@dataclasses.dataclass(frozen=True)
class ClipLabels:
    """What is true of N clips, each with room for S people.

    Attributes:
        person: int64 [N, S], numbers of people, `ANY` where there is no further one.
        doing: bool [N, S, A], who does which action.
        place: int64 [N], or `ANY`.
    """

    person: np.ndarray
    doing: np.ndarray
    place: np.ndarray

    def __getitem__(self, clips: np.ndarray) -> ClipLabels:
        """Of some clips only."""
        return ClipLabels(self.person[clips], self.doing[clips], self.place[clips])

    def answer(self, person: np.ndarray, action: np.ndarray, place: np.ndarray) -> np.ndarray:
        """Which clips answer which compound queries.

        Args:
            person: int [Q], whom it asks for, or `ANY`.
            action: int [Q], what that person, or anybody, is to do, or `ANY`.
            place: int [Q], where, or `ANY`.

        Returns:
            bool [Q, N].
        """
        asked = person[:, None, None]
        who = (self.person >= 0) & ((asked == ANY) | (self.person == asked))  # [Q, N, S]
        does = np.moveaxis(self.doing[:, :, action], 2, 0) | (action == ANY)[:, None, None]
        where = (place[:, None] == ANY) | (self.place == place[:, None])
        return (who & does).any(axis=2) & where


def label_clips(
    clips: Sequence[Mapping[str, Any]], people: Mapping[str, int], num_actions: int
) -> ClipLabels:
    """Reads what is true of clips off their records.

    Args:
        clips: Records of the `clips` schema.
        people: person_id → number; somebody who is not in it is in a clip, but cannot be asked for.
        num_actions: A.
    """
    casts, places = [], []
    for number in range(len(clips)):
        record = clips[number]
        places.append(record['place'])
        casts.append(
            [(people.get(p['person_id'], len(people)), p['actions']) for p in record['people']]
        )
    room = max(1, *map(len, casts))
    person = np.full((len(casts), room), ANY, np.int64)
    doing = np.zeros((len(casts), room, num_actions), bool)
    for row, cast in enumerate(casts):
        for slot, (who, actions) in enumerate(cast):
            person[row, slot] = who
            doing[row, slot, actions] = True
    return ClipLabels(person, doing, np.array(places, np.int64))
