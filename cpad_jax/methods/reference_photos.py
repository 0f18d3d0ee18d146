"""Values learned from the reference photos of a query, once per person for all queries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cpad_jax import progress
from cpad_jax.models.person_adapter import unit
from cpad_jax.ranking.query import Query

PEOPLE = 64  # Learned at once: one compiled program for any number of people.

# L2-normalised pictures [P, R, D] and which of them are valid [P, R] → arrays [P, …].
Learn = Callable[[np.ndarray, np.ndarray], Any]


class PerPerson:
    """Learns from each set of reference photos on first use, many people at a time.

    Args:
        pictures: image_id → CLIP embedding [D] of a whole photo, of any norm.
        count: R, photos per query, at most.
        learn: Learns; the result of one person must not depend on the others.
        stage: Name on the progress bar.
    """

    def __init__(self, pictures: Mapping[str, np.ndarray], count: int, learn: Learn, stage: str):
        self._pictures, self._count = pictures, count
        self._learn, self._stage = learn, stage
        self._learned: dict[tuple[str, ...], Any] = {}

    def __call__(self, queries: Sequence[Query]) -> Any:
        """Queries → arrays [Q, …] learned for the person of each; Q >= 1."""
        references = [query.references for query in queries]
        missing = sorted(set(references) - set(self._learned))
        if missing:
            with progress.bar(total=len(missing), stage=self._stage, unit='person') as bar:
                for start in range(0, len(missing), PEOPLE):
                    batch = missing[start : start + PEOPLE]
                    arrays = jax.tree.map(np.asarray, self._learn(*self._photos(batch)))
                    for row, photos in enumerate(batch):
                        self._learned[photos] = jax.tree.map(lambda x, r=row: x[r], arrays)
                    bar.update(len(batch))
        rows = [self._learned[photos] for photos in references]
        return jax.tree.map(lambda *leaves: np.stack(leaves), *rows)

    def _photos(self, people: Sequence[tuple[str, ...]]) -> tuple[np.ndarray, np.ndarray]:
        """Pictures [PEOPLE, R, D] and bool [PEOPLE, R]; the last person fills empty rows."""
        width = len(next(iter(self._pictures.values())))
        pictures = np.zeros((PEOPLE, self._count, width), np.float32)
        valid = np.zeros((PEOPLE, self._count), bool)
        for row in range(PEOPLE):
            for column, image_id in enumerate(people[min(row, len(people) - 1)]):
                pictures[row, column] = self._pictures[image_id]
                valid[row, column] = True
        return np.asarray(unit(jnp.asarray(pictures))), valid


def mean(pictures: Any, valid: Any) -> jax.Array:
    """The mean of the valid photos: float [P, R, D] and bool [P, R] → [P, D]."""
    share = valid / valid.sum(axis=-1, keepdims=True)
    return (pictures * share[..., None]).sum(axis=1)
