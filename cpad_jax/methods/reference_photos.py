"""What a method learns of a person from the photos that a query brings, once for all queries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from cpad_jax import progress
from cpad_jax.models.person_adapter import unit
from cpad_jax.ranking.query import Query

PEOPLE = 64  # Learned at once: one program serves any number of them.

# Pictures [P, R, D] of length 1 and which of them are there [P, R] → arrays [P, …].
Learn = Callable[[np.ndarray, np.ndarray], Any]


class PerPerson:
    """Learns of each set of reference photos when it is first asked for, many at a time.

    Args:
        pictures: image_id → CLIP embedding [D] of a whole photo, of any length.
        count: R, photos per query, at most.
        learn: How. What comes out for one person must not depend on the others.
        stage: Name on the progress bar.
    """

    def __init__(self, pictures: Mapping[str, np.ndarray], count: int, learn: Learn, stage: str):
        self._pictures, self._count = pictures, count
        self._learn, self._stage = learn, stage
        self._learned: dict[tuple[str, ...], Any] = {}

    def __call__(self, queries: Sequence[Query]) -> Any:
        """Queries → what was learned of each one's person, arrays [Q, …]; Q >= 1."""
        asked = [query.references for query in queries]
        missing = sorted(set(asked) - set(self._learned))
        if missing:
            with progress.bar(total=len(missing), stage=self._stage, unit='person') as bar:
                for start in range(0, len(missing), PEOPLE):
                    some = missing[start : start + PEOPLE]
                    found = jax.tree.map(np.asarray, self._learn(*self._photos(some)))
                    for row, references in enumerate(some):
                        self._learned[references] = jax.tree.map(lambda x, r=row: x[r], found)
                    bar.update(len(some))
        rows = [self._learned[references] for references in asked]
        return jax.tree.map(lambda *leaves: np.stack(leaves), *rows)

    def _photos(self, people: Sequence[tuple[str, ...]]) -> tuple[np.ndarray, np.ndarray]:
        """Pictures [PEOPLE, R, D] and bool [PEOPLE, R]; the last person stands in empty rows."""
        width = len(next(iter(self._pictures.values())))
        pictures = np.zeros((PEOPLE, self._count, width), np.float32)
        there = np.zeros((PEOPLE, self._count), bool)
        for row in range(PEOPLE):
            for column, image_id in enumerate(people[min(row, len(people) - 1)]):
                pictures[row, column] = self._pictures[image_id]
                there[row, column] = True
        return np.asarray(unit(pictures)), there


def mean(pictures: jax.Array, there: jax.Array) -> jax.Array:
    """The mean of the photos that are there: float [P, R, D] and bool [P, R] → [P, D]."""
    share = there / there.sum(axis=-1, keepdims=True)
    return (pictures * share[..., None]).sum(axis=1)
