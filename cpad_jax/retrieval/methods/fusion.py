"""Several opinions of which clip answers a query, as one: a weighted sum of standard scores."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from cpad_jax.retrieval import metrics, scorers, scores
from cpad_jax.retrieval.queries import Method
from cpad_jax.retrieval.scenarios import Query
from cpad_jax.retrieval.standard import standardised

# Queries that are scored at once.
_AT_ONCE = 128


@dataclasses.dataclass(frozen=True)
class Fused:
    """A row that adds up what texts say of whole clips and what faces say of who is in them.

    Attributes:
        method: The row.
        encoder: Embeds texts.
        gallery: float32 [N, D] of length 1.
        texts: As which methods the encoder is to word a query, and how much each counts.
        faces: How alike people are: queries → float64 [Q, N], NaN where no face is seen.
        face_weight: How much that counts.
    """

    method: Method
    encoder: scorers.Encoder
    gallery: np.ndarray
    texts: Mapping[Method, float]
    faces: Callable[[Sequence[Query]], np.ndarray]
    face_weight: float

    @property
    def weights(self) -> tuple[float, ...]:
        """How much each of `parts` counts."""
        return (*self.texts.values(), self.face_weight)

    def parts(self, asked: Sequence[Query]) -> Iterator[tuple[Sequence[Query], list[np.ndarray]]]:
        """Some queries after the other, each with its standard scores [q, N] by texts and faces."""
        for start in range(0, len(asked), _AT_ONCE):
            some = asked[start : start + _AT_ONCE]
            by_text = [
                scores.on_grid(self.encoder.encode(method, some)) @ self._clips.T
                for method in self.texts
            ]
            yield some, [standardised(found) for found in (*by_text, self.faces(some))]

    def ranks(self, asked: Sequence[Query]) -> list[np.ndarray]:
        """See `scorers.Scorer`; the same clip twice is a tie."""
        found: list[np.ndarray] = []
        for some, parts in self.parts(asked):
            relevant = [query.relevant for query in some]
            found += metrics.relevant_ranks(weighted(parts, self.weights), relevant)
        return found

    @functools.cached_property
    def _clips(self) -> np.ndarray:
        return scores.on_grid(self.gallery)


def weighted(parts: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """The sum of scores [Q, N], each times its weight."""
    return sum(weight * part for weight, part in zip(weights, parts, strict=True))
