"""Late fusion: a weighted sum of scores of texts for whole clips and of faces for people in them.

As in the instance search of TRECVID, a score of the person and one of the action and place are
added up; no text states both. Action and place are posteriors over a bank of texts (`querybank`).
Faces are compared with photos by CLIP-PAD's adapter, or with the name by plain CLIP
(`face_similarity`). CLIP-PAD + faces adds CLIP-PAD's own score of the whole clip, in which faces
are small, to both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from cpad_jax.methods import querybank
from cpad_jax.methods.context import EvalContext
from cpad_jax.methods.face_similarity import NameSimilarity
from cpad_jax.ranking import exact_scores, metrics, scorers
from cpad_jax.ranking.method import (
    CLIP_FACES,
    CLOSED,
    DETECTED,
    LATE_FUSION,
    PAD_IMAGE,
    PAD_TEXT_IMAGE,
    WITH_FACES,
    WITH_FACES_AND_NAME,
    Method,
)
from cpad_jax.ranking.query import Query
from cpad_jax.ranking.zscore import zscore

# Queries that are scored at once.
_BATCH = 128


# Queries → float64 [Q, N], larger is better; parts of one sum have one scale.
Part = Callable[[Sequence[Query]], np.ndarray]


class Text:
    """Z-scores of a text by cosine.

    Args:
        encoder: Encodes texts.
        method: The method whose wording of a query is encoded.
        gallery: float32 [N, D], L2-normalised.
    """

    def __init__(self, encoder: scorers.Encoder, method: Method, gallery: np.ndarray):
        self._encoder, self._method = encoder, method
        self._clips = exact_scores.quantise(gallery)

    def __call__(self, queries: Sequence[Query]) -> np.ndarray:
        """See `Part`."""
        embedded = exact_scores.quantise(self._encoder.encode(self._method, queries))
        return zscore(embedded @ self._clips.T)


@dataclasses.dataclass(frozen=True)
class Faces:
    """Z-scores of the similarity of faces.

    Attributes:
        similarity: Queries → float64 [Q, N], NaN where no face is seen.
    """

    similarity: Part

    def __call__(self, queries: Sequence[Query]) -> np.ndarray:
        """See `Part`."""
        return zscore(self.similarity(queries))


@dataclasses.dataclass(frozen=True)
class FusedScorer:
    """A row that ranks by a weighted sum of parts.

    Attributes:
        method: The row.
        parts: Terms of the sum.
        weights: Weight of each part.
    """

    method: Method
    parts: Sequence[Part]
    weights: Sequence[float]

    def batches(
        self, queries: Sequence[Query]
    ) -> Iterator[tuple[Sequence[Query], list[np.ndarray]]]:
        """Batches of queries, each with the scores [q, N] of every part."""
        for start in range(0, len(queries), _BATCH):
            batch = queries[start : start + _BATCH]
            yield batch, [part(batch) for part in self.parts]

    def ranks(self, queries: Sequence[Query]) -> list[np.ndarray]:
        """See `scorers.Scorer`; the same clip twice is a tie."""
        ranks: list[np.ndarray] = []
        for batch, scores in self.batches(queries):
            relevant = [query.relevant for query in batch]
            ranks += metrics.relevant_ranks(weighted(scores, self.weights), relevant)
        return ranks


def weighted(parts: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """The sum of scores [Q, N], each times its weight."""
    return sum(
        (weight * part for weight, part in zip(weights, parts, strict=True)),
        start=np.zeros_like(parts[0]),
    )


@dataclasses.dataclass(frozen=True)
class Fusion:
    """The parts of a row.

    Attributes:
        method: The row.
        weights: Section of `config.eval` with the weights: `faces` and, beside a text, `words`.
        text: CLIP-PAD's query that is scored against whole clips, with weight 1; None for none, and
            then the bank of texts has weight 1.
        by_name: Whether plain CLIP compares faces with the name, and not the adapter with photos.
        bank: Kind of the bank of texts, one of `querybank.BANKS`.
        detected: Whether faces are detected, and not those that the records mark.
    """

    method: Method
    weights: str
    text: Method | None = None
    by_name: bool = False
    bank: str = querybank.OPEN
    detected: bool = False

    def make(self, context: EvalContext) -> FusedScorer:
        """The row in an evaluation."""
        options = context.config.eval[self.weights]
        open_bank = self.bank == querybank.OPEN
        bank = context.words if open_bank else context.word_bank(self.bank)
        if self.by_name:
            tracks = context.detected_tracks if self.detected else context.face_tracks
            faces = Faces(NameSimilarity(context.model.clip, tracks))
        else:
            faces = Faces(context.detected_faces if self.detected else context.faces)
        if self.text is None:
            return FusedScorer(self.method, (bank, faces), (1.0, options.faces))
        text = Text(context.encoder, self.text, context.gallery)
        weights = (1.0, options.words, options.faces)
        return FusedScorer(self.method, (text, bank, faces), weights)


_OPEN = {
    'clip_name_on_faces': Fusion(CLIP_FACES, 'clip_name_on_faces', by_name=True),
    'late_fusion': Fusion(LATE_FUSION, 'late_fusion'),
    'with_faces': Fusion(WITH_FACES, 'with_faces', text=PAD_IMAGE),
}
# Name in `config.eval.methods` → row.
ROWS: dict[str, Fusion] = {
    **_OPEN,
    'with_faces_and_name': Fusion(WITH_FACES_AND_NAME, 'with_faces', text=PAD_TEXT_IMAGE),
    **{
        f'{name}_closed': dataclasses.replace(
            row, method=row.method.variant(CLOSED), weights=f'{name}_closed', bank=querybank.CLOSED
        )
        for name, row in _OPEN.items()
    },
    **{
        f'{name}_detected': dataclasses.replace(
            row, method=row.method.variant(DETECTED), detected=True
        )
        for name, row in _OPEN.items()
    },
}
