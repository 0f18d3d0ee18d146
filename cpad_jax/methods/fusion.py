"""Several opinions of which clip answers a query, as one: a weighted sum of scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from cpad_jax.ranking import exact_scores, metrics, scorers
from cpad_jax.ranking.method import Method
from cpad_jax.ranking.query import Query
from cpad_jax.ranking.zscore import zscore

# Queries that are scored at once.
_AT_ONCE = 128


# Queries → float64 [Q, N], larger is better; what is added up must be of one scale.
Part = Callable[[Sequence[Query]], np.ndarray]


class Text:
    """Standard scores of a text by cosine.

    Args:
        encoder: Embeds texts.
        method: As which it is to word a query.
        gallery: float32 [N, D] of length 1.
    """

    def __init__(self, encoder: scorers.Encoder, method: Method, gallery: np.ndarray):
        self._encoder, self._method = encoder, method
        self._clips = exact_scores.quantise(gallery)

    def __call__(self, asked: Sequence[Query]) -> np.ndarray:
        """See `Part`."""
        embedded = exact_scores.quantise(self._encoder.encode(self._method, asked))
        return zscore(embedded @ self._clips.T)


@dataclasses.dataclass(frozen=True)
class Faces:
    """Standard scores of how alike faces are.

    Attributes:
        match: Queries → float64 [Q, N], NaN where no face is seen.
    """

    match: Callable[[Sequence[Query]], np.ndarray]

    def __call__(self, asked: Sequence[Query]) -> np.ndarray:
        """See `Part`."""
        return zscore(self.match(asked))


@dataclasses.dataclass(frozen=True)
class Fused:
    """A row that adds up what texts say of whole clips and what faces say of who is in them.

    Attributes:
        method: The row.
        parts: What is added up.
        weights: How much each counts.
    """

    method: Method
    parts: Sequence[Part]
    weights: Sequence[float]

    def scored(self, asked: Sequence[Query]) -> Iterator[tuple[Sequence[Query], list[np.ndarray]]]:
        """Some queries after the other, each with the scores [q, N] of every part."""
        for start in range(0, len(asked), _AT_ONCE):
            some = asked[start : start + _AT_ONCE]
            yield some, [part(some) for part in self.parts]

    def ranks(self, asked: Sequence[Query]) -> list[np.ndarray]:
        """See `scorers.Scorer`; the same clip twice is a tie."""
        found: list[np.ndarray] = []
        for some, parts in self.scored(asked):
            relevant = [query.relevant for query in some]
            found += metrics.relevant_ranks(weighted(parts, self.weights), relevant)
        return found


def weighted(parts: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """The sum of scores [Q, N], each times its weight."""
    return sum(weight * part for weight, part in zip(weights, parts, strict=True))
