"""Name and class word: plain CLIP is told what kind of thing the name is of, "the person NAME".

The training-free baseline of personalised retrieval (Yeh et al. 2023, "Meta-Personalizing
Vision-Language Models to Find Named Instances in Video").
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from cpad_jax.methods.context import Setting
from cpad_jax.models.pretrained import CLIPModel
from cpad_jax.ranking import scorers
from cpad_jax.ranking.method import TEXT, Method
from cpad_jax.ranking.query import Query
from cpad_jax.text.prompts import query_text

METHOD = Method('name + class word', TEXT)
CLASS_WORD = 'the person'


@dataclasses.dataclass(frozen=True)
class Encoder:
    """Writes the class word before the name."""

    clip: CLIPModel

    def encode(self, method: Method, queries: Sequence[Query]) -> np.ndarray:
        """Embeds queries: float32 [Q, D] of length 1."""
        texts = [
            query_text(f'{CLASS_WORD} {q.name}', q.action, q.place, person_token=False)
            for q in queries
        ]
        return np.asarray(self.clip.encode_text(self.clip.tokenize(texts), normalize=True))


def make(setting: Setting) -> scorers.Cosine:
    """The row."""
    return scorers.Cosine(METHOD, Encoder(setting.model.clip), setting.plain_gallery)
