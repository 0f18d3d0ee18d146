"""Plain CLIP as a row: 'Orla Brandt hugging someone' against the mean of a clip's frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cpad_jax.models.clip_pad_api import PersonalizedCLIP
from cpad_jax.models.pretrained import CLIPModel
from cpad_jax.ranking import exact_scores, scorers
from cpad_jax.ranking.method import CLIP, NONE, TEXT, Method
from cpad_jax.ranking.query import Query
from cpad_jax.text.prompts import query_text

if TYPE_CHECKING:  # It holds a `QueryEncoder`.
    from cpad_jax.methods.context import EvalContext


@dataclasses.dataclass(frozen=True)
class Encoder:
    """Encodes queries by the CLIP of a CLIP-PAD: with the name, or 'a person …' without.

    Attributes:
        model: The CLIP-PAD.
    """

    model: PersonalizedCLIP

    def encode(self, method: Method, queries: Sequence[Query]) -> np.ndarray:
        """Encodes queries by `CLIP`, or by `NO_PERSON`: float32 [Q, D], L2-normalised."""
        named = method.person_query == TEXT
        texts = [
            query_text(q.name if named else None, q.action, q.place, person_token=False)
            for q in queries
        ]
        # No text has [TOK].
        tokens = np.tile(self.model.default_token, (len(queries), 1, 1))
        return self.model.encode_queries(texts, tokens)


class PlainCLIP:
    """Zero-shot CLIP for queries without a person: 'a person hugging someone'.

    Args:
        clip: Encodes texts.
        gallery: float32 [N, D], L2-normalised.
        name: Of the row.
    """

    def __init__(self, clip: CLIPModel, gallery: np.ndarray, name: str = CLIP.name):
        self._clip, self._gallery = clip, gallery
        self.method = Method(name, NONE)

    def ranks(self, queries: Sequence[Query]) -> list[np.ndarray]:
        """See `scorers.Scorer`."""
        texts = [query_text(None, q.action, q.place, person_token=False) for q in queries]
        embedded = self._clip.encode_text(self._clip.tokenize(texts), normalize=True)
        relevant = [query.relevant for query in queries]
        return exact_scores.ranks(np.asarray(embedded), self._gallery, relevant)


def make(context: EvalContext) -> scorers.Cosine:
    """The row by the name."""
    return scorers.Cosine(CLIP, context.encoder, context.plain_gallery)
