"""What ranks clips for queries, whatever it compares: one row of the table each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from cpad_jax import progress
from cpad_jax.retrieval import metrics, scores
from cpad_jax.retrieval.queries import Method, QueryEncoder
from cpad_jax.retrieval.scenarios import Query


class Scorer(Protocol):
    """A method, and how it scores.

    Attributes:
        method: Its row in the table.
    """

    method: Method

    def score(self, queries: Sequence[Query]) -> np.ndarray:
        """How well each of the N clips of the gallery answers each query.

        Args:
            queries: Some of all queries; which ones stand together must not matter.

        Returns:
            float [len(queries), N], larger is better.
        """


@dataclasses.dataclass(frozen=True)
class Cosine:
    """One embedding per query and one per clip.

    Attributes:
        method: How queries are embedded.
        encoder: Embeds them.
        gallery: float32 [N, D] of length 1.
    """

    method: Method
    encoder: QueryEncoder
    gallery: np.ndarray

    def score(self, queries: Sequence[Query]) -> np.ndarray:
        """Cosines, see `Scorer`."""
        return self.encoder.encode(self.method, queries) @ self.gallery.T


def rank_all(
    scorers: Sequence[Scorer],
    asked: Sequence[Query],
    use: Callable[[Method, list[np.ndarray]], None],
    chunk: int = scores.CHUNK,
) -> None:
    """Ranks the answers of all queries by one method after the other, under a progress bar.

    Args:
        scorers: Which methods.
        asked: Which queries.
        use: Takes a method and the ranks of each query's relevant clips.
        chunk: Queries that are scored at once.
    """
    with progress.bar(total=len(scorers) * len(asked), stage='asking', unit='query') as bar:
        for scorer in scorers:
            found: list[np.ndarray] = []
            for start in range(0, len(asked), chunk):
                some = asked[start : start + chunk]
                relevant = [np.asarray(query.relevant) for query in some]
                found += metrics.relevant_ranks(scorer.score(some), relevant)
                bar.update(len(some))
            use(scorer.method, found)
