"""What is done, and where, as against all else that could be said of a clip.

Some clips are near to every text. So 'a person hugging someone' is not judged by its cosine with a
clip but by how much it makes up of all that could be said of that clip: a posterior over a bank of
texts. The bank is all words that queries can be made of, and not the queries that are asked.

After Bogolin et al. 2022, "Cross Modal Retrieval with Querybank Normalisation".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cpad_jax.models.pretrained import PretrainedCLIP
from cpad_jax.retrieval import scores
from cpad_jax.retrieval.scenarios import Query
from cpad_jax.text.prompts import ALL_ACTIONS, PLACES, query_text

# In spreads of a text's scores over the gallery. Chosen on world 100.
TEMPERATURE = 0.3
_CLIPS = 8192  # Judged at once.


def bank() -> list[str]:
    """All that queries can say without a person: an action, a place, and both."""
    said = [(a, p) for a in (None, *ALL_ACTIONS) for p in (None, *PLACES) if a or p]
    return [query_text(None, *words, person_token=False) for words in said]


class WordBank:
    """Scores texts without a person.

    Args:
        clip: Embeds them.
        gallery: float32 [N, D] of length 1, N >= 1 clips by the same CLIP.
    """

    def __init__(self, clip: PretrainedCLIP, gallery: np.ndarray):
        self._clip, self._clips = clip, scores.on_grid(gallery)
        self._bank = bank()
        known = self._embed(self._bank)
        pieces = [self._clips[i : i + _CLIPS] for i in range(0, len(self._clips), _CLIPS)]
        total = np.zeros((2, len(known)))
        for found in (known @ piece.T for piece in pieces):
            total += found.sum(axis=1), (found**2).sum(axis=1)
        mean, square = total / len(self._clips)
        spread = np.sqrt(np.maximum(square - mean**2, 0)).mean()
        # Where all clips are one, no text is more likely of one than of another.
        self._scale = 1 / (TEMPERATURE * spread) if spread else 0.0
        self._all = np.concatenate([_log_sum(known @ piece.T * self._scale) for piece in pieces])

    def posterior(self, texts: Sequence[str]) -> np.ndarray:
        """Texts, each in the bank or not → log of their shares: float64 [Q, N], at most 0."""
        own, among = self._embed(texts) @ self._clips.T * self._scale, np.isin(texts, self._bank)
        every = np.where(among[:, None], self._all, np.logaddexp(self._all, own))
        return own - every

    def __call__(self, asked: Sequence[Query]) -> np.ndarray:
        """Queries, of which the person is left out → float64 [Q, N]."""
        return self.posterior(
            [query_text(None, query.action, query.place, person_token=False) for query in asked]
        )

    def _embed(self, texts: Sequence[str]) -> np.ndarray:
        ids = self._clip.tokenize(list(texts))
        return scores.on_grid(self._clip.encode_text(ids, normalize=True))


def _log_sum(found: np.ndarray) -> np.ndarray:
    """Log Σ exp of scores [B, n] over B: [n]."""
    most = found.max(axis=0)
    return most + np.log(np.exp(found - most).sum(axis=0))
