"""Scorers: each ranks clips for queries and is one row of the table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from cpad_jax import progress
from cpad_jax.ranking import exact_scores
from cpad_jax.ranking.method import Method
from cpad_jax.ranking.query import Query


class Scorer(Protocol):
    """Ranks clips by a method."""

    @property
    def method(self) -> Method:
        """The row in the table."""
        ...

    def ranks(self, queries: Sequence[Query]) -> list[np.ndarray]:
        """Ranks of each query's relevant clips, as of `metrics.relevant_ranks`.

        Args:
            queries: A batch of queries; ranks do not depend on the others of the batch.
        """
        ...


class Encoder(Protocol):
    """Encodes queries, e.g. `clip_pad.QueryEncoder`."""

    def encode(self, method: Method, queries: Sequence[Query]) -> np.ndarray:
        """Queries → float32 [Q, D], L2-normalised."""
        ...


@dataclasses.dataclass(frozen=True)
class Cosine:
    """Ranks by the cosine of one embedding per query and one per clip.

    Attributes:
        method: The row.
        encoder: Encodes queries by the method.
        gallery: float32 [N, D], L2-normalised.
    """

    method: Method
    encoder: Encoder
    gallery: np.ndarray

    def ranks(self, queries: Sequence[Query]) -> list[np.ndarray]:
        """See `Scorer`; exact, see `exact_scores`."""
        embedded = self.encoder.encode(self.method, queries)
        return exact_scores.ranks(embedded, self.gallery, [query.relevant for query in queries])

    def best(self, query: Query, count: int) -> list[int]:
        """Numbers of the `count` best clips, best first; ties in gallery order."""
        (embedded,) = self.encoder.encode(self.method, [query])
        return exact_scores.best(embedded, self.gallery, count).tolist()


def rank_all(
    scorers: Sequence[Scorer],
    queries: Sequence[Query],
    use: Callable[[Method, list[np.ndarray]], None],
    chunk: int = exact_scores.CHUNK,
) -> None:
    """Ranks the relevant clips of all queries by each method, with a progress bar.

    Args:
        scorers: The methods.
        queries: The queries.
        use: Called with a method and the ranks of each query's relevant clips.
        chunk: Queries at once.
    """
    with progress.bar(total=len(scorers) * len(queries), stage='ranking', unit='query') as bar:
        for scorer in scorers:
            ranks: list[np.ndarray] = []
            for start in range(0, len(queries), chunk):
                batch = queries[start : start + chunk]
                ranks += scorer.ranks(batch)
                bar.update(len(batch))
            use(scorer.method, ranks)
