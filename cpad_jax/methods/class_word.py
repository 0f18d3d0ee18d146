"""Name and class word: plain CLIP with a query about "the person NAME".

The training-free baseline of personalised retrieval (Yeh et al. 2023, "Meta-Personalizing
Vision-Language Models to Find Named Instances in Video").
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from cpad_jax.methods.context import EvalContext
from cpad_jax.models.pretrained import CLIPModel
from cpad_jax.ranking import scorers
from cpad_jax.ranking.method import TEXT, Method
from cpad_jax.ranking.query import Query
from cpad_jax.text.prompts import query_text

METHOD = Method('name + class word', TEXT)
CLASS_WORD = 'the person'


@dataclasses.dataclass(frozen=True)
class Encoder:
    """Encodes queries with the class word before the name."""

    clip: CLIPModel

    def encode(self, method: Method, queries: Sequence[Query]) -> np.ndarray:
        """Encodes queries: float32 [Q, D], L2-normalised."""
        texts = [
            query_text(f'{CLASS_WORD} {q.name}', q.action, q.place, person_token=False)
            for q in queries
        ]
        return np.asarray(self.clip.encode_text(self.clip.tokenize(texts), normalize=True))


def make(context: EvalContext) -> scorers.Cosine:
    """The row."""
    return scorers.Cosine(METHOD, Encoder(context.model.clip), context.plain_gallery)
