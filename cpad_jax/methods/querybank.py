"""Posteriors of actions and places over a bank of texts.

Some clips are near every text (hubness). So 'a person hugging someone' is not scored by its cosine
with a clip but by its posterior among the texts of a bank. The open bank is the phrases of
training, many more than there are queries and none of them worded as a query; each query joins it
separately. The closed bank is the actions and places of the evaluation, which a system for free
text cannot know. Actions and places have a bank each: in one common bank, 'hugging someone' would
compete with 'hugging someone in a kitchen', which does not contradict it.

After Bogolin et al. 2022, "Cross Modal Retrieval with Querybank Normalisation".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cpad_jax.models.clip_pad_api import PersonalizedCLIP
from cpad_jax.ranking import exact_scores
from cpad_jax.ranking.query import Query
from cpad_jax.text import training_phrases
from cpad_jax.text.prompts import ALL_ACTIONS, GENERIC_PERSON, PLACES, query_text

ActionPlace = tuple[str | None, str | None]  # Action and place.

OPEN, CLOSED = 'open', 'closed'
BANKS = (OPEN, CLOSED)
# Texts of queries: all actions, and all places.
_QUERIES: tuple[tuple[ActionPlace, ...], ...] = (
    tuple((action, None) for action in ALL_ACTIONS),
    tuple((None, place) for place in PLACES),
)
# Phrases of training: actions, and places.
PHRASES: tuple[tuple[str, ...], ...] = tuple(
    tuple(dict.fromkeys([*common, *(phrase for own in by_class.values() for phrase in own)]))
    for common, by_class in (
        (training_phrases.DOING, training_phrases.ACTION_CAPTIONS),
        (training_phrases.WHERE, training_phrases.PLACE_CAPTIONS),
    )
)
# In standard deviations of a text's scores over the gallery. Chosen on world 100.
TEMPERATURE = 0.3


class QueryBank:
    """Scores actions and places of clips, regardless of the person.

    Args:
        model: Encodes texts; its video adapter, where it has one, adapts the clips.
        gallery: float32 [N, D], L2-normalised, N >= 1 clips by plain CLIP.
        kind: `OPEN` or `CLOSED`.
        temperature: In standard deviations of a text's scores over the gallery, above 0.
    """

    def __init__(
        self,
        model: PersonalizedCLIP,
        gallery: np.ndarray,
        kind: str = OPEN,
        temperature: float = TEMPERATURE,
    ):
        clips = exact_scores.quantise(model.adapt_clips(gallery))

        def embed(texts: Sequence[str]) -> np.ndarray:
            embedded = model.clip.encode_text(model.clip.tokenize(texts), normalize=True)
            return exact_scores.quantise(np.asarray(embedded)) @ clips.T

        # An action or a place → its log posterior for every clip, [N].
        self._log_posteriors: dict[ActionPlace, np.ndarray] = {}
        self._count = len(clips)
        for pairs, phrases in zip(_QUERIES, PHRASES, strict=True):
            logits = embed([query_text(None, *pair, person_token=False) for pair in pairs])
            bank = logits
            if kind == OPEN:
                bank = embed([f'{GENERIC_PERSON} {phrase}' for phrase in phrases])
            spread = bank.std(axis=1).mean()
            # Where all clips are equal, so are the posteriors.
            scale = 1 / (temperature * spread) if spread else 0.0
            total = _log_sum(scale * bank)
            logits = scale * logits
            if kind == OPEN:
                total = np.logaddexp(total, logits)  # Each query joins the bank separately.
            self._log_posteriors.update(zip(pairs, logits - total, strict=True))

    def log_posterior(self, pairs: Sequence[ActionPlace]) -> np.ndarray:
        """Log posteriors of actions and places for each clip: float64 [Q, N], at most 0.

        Args:
            pairs: Q actions and places; the posterior of a pair is the product of both.
        """
        total = np.zeros((len(pairs), self._count))
        for row, (action, place) in zip(total, pairs, strict=True):
            for part in ((action, None), (None, place)):
                if part in self._log_posteriors:
                    row += self._log_posteriors[part]
        return total

    def __call__(self, queries: Sequence[Query]) -> np.ndarray:
        """Queries, without their person → float64 [Q, N]."""
        return self.log_posterior([(query.action, query.place) for query in queries])


def _log_sum(scores: np.ndarray) -> np.ndarray:
    """Log Σ exp of scores [B, n] over B: [n]."""
    largest = scores.max(axis=0)
    return largest + np.log(np.exp(scores - largest).sum(axis=0))
