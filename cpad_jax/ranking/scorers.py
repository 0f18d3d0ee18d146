"""What ranks clips for queries, whatever it compares: one row of the table each."""

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
    """A method, and how well it finds.

    Attributes:
        method: Its row in the table.
    """

    method: Method

    def ranks(self, asked: Sequence[Query]) -> list[np.ndarray]:
        """Ranks of each query's relevant clips, as `metrics.relevant_ranks` tells them.

        Args:
            asked: Some of all queries; which ones stand together must not matter.
        """


class Encoder(Protocol):
    """Embeds queries, e.g. `clip_pad.QueryEncoder`."""

    def encode(self, method: Method, queries: Sequence[Query]) -> np.ndarray:
        """Queries → float32 [Q, D] of length 1."""


@dataclasses.dataclass(frozen=True)
class Cosine:
    """One embedding per query and one per clip.

    Attributes:
        method: How queries are embedded.
        encoder: Embeds them.
        gallery: float32 [N, D] of length 1.
    """

    method: Method
    encoder: Encoder
    gallery: np.ndarray

    def ranks(self, asked: Sequence[Query]) -> list[np.ndarray]:
        """See `Scorer`; exact, see `scores`."""
        embedded = self.encoder.encode(self.method, asked)
        return exact_scores.ranks(embedded, self.gallery, [query.relevant for query in asked])

    def best(self, query: Query, count: int) -> list[int]:
        """Numbers of the `count` best clips, best first; ties in gallery order."""
        (embedded,) = self.encoder.encode(self.method, [query])
        return exact_scores.best(embedded, self.gallery, count).tolist()


def rank_all(
    scorers: Sequence[Scorer],
    asked: Sequence[Query],
    use: Callable[[Method, list[np.ndarray]], None],
    chunk: int = exact_scores.CHUNK,
) -> None:
    """Ranks the answers of all queries by one method after the other, under a progress bar.

    Args:
        scorers: Which methods.
        asked: Which queries.
        use: Takes a method and the ranks of each query's relevant clips.
        chunk: Queries that are asked at once.
    """
    with progress.bar(total=len(scorers) * len(asked), stage='asking', unit='query') as bar:
        for scorer in scorers:
            found: list[np.ndarray] = []
            for start in range(0, len(asked), chunk):
                some = asked[start : start + chunk]
                found += scorer.ranks(some)
                bar.update(len(some))
            use(scorer.method, found)
