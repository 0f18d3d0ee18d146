"""What is done, and where, as against all else that could be said of a clip.

Some clips are near to every text. So 'a person hugging someone' is not judged by its cosine with a
clip but by how much it makes up of all that could be done there: a posterior over a bank of texts.
The open bank is phrases that training says of people, many more than are asked for and none of
them worded as a query is; what is asked joins it, one at a time. The closed bank is evaluation's
own actions and places, which a system that is asked anything at all cannot know. What is done and
where it is are judged apart, each by a bank of its own: in one bank of all that can be said,
'hugging someone' has to stand against 'hugging someone in a kitchen', which is no other answer but
a longer one.

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
# What can be asked: all actions, and all places.
_ASKED: tuple[tuple[ActionPlace, ...], ...] = (
    tuple((action, None) for action in ALL_ACTIONS),
    tuple((None, place) for place in PLACES),
)
# What training says that somebody does, and where.
PHRASES: tuple[tuple[str, ...], ...] = tuple(
    tuple(dict.fromkeys([*said, *(phrase for shown in by_class.values() for phrase in shown)]))
    for said, by_class in (
        (training_phrases.DOING, training_phrases.ACTION_CAPTIONS),
        (training_phrases.WHERE, training_phrases.PLACE_CAPTIONS),
    )
)
# In spreads of a text's scores over the gallery. Chosen on world 100.
TEMPERATURE = 0.3


class QueryBank:
    """Scores what is done and where, whoever does it.

    Args:
        model: Embeds texts; what labelled clips have taught it of clips counts, too.
        gallery: float32 [N, D] of length 1, N >= 1 clips by plain CLIP.
        kind: `OPEN` or `CLOSED`.
        temperature: In spreads of a text's scores over the gallery, above 0.
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
            return exact_scores.quantise(embedded) @ clips.T

        # An action or a place → the log of its share of every clip, [N].
        self._shares: dict[ActionPlace, np.ndarray] = {}
        self._count = len(clips)
        for asked, phrases in zip(_ASKED, PHRASES, strict=True):
            wanted = embed([query_text(None, *words, person_token=False) for words in asked])
            bank = wanted
            if kind == OPEN:
                bank = embed([f'{GENERIC_PERSON} {phrase}' for phrase in phrases])
            spread = bank.std(axis=1).mean()
            # Where all clips are one, no text is more likely of one than of another.
            scale = 1 / (temperature * spread) if spread else 0.0
            total = _log_sum(scale * bank)
            wanted = scale * wanted
            if kind == OPEN:
                total = np.logaddexp(total, wanted)  # Each joins the bank for itself.
            self._shares.update(zip(asked, wanted - total, strict=True))

    def log_posterior(self, words: Sequence[ActionPlace]) -> np.ndarray:
        """Log of how likely words are of each clip: float64 [Q, N], at most 0.

        Args:
            words: Q actions and places; of both, the sum.
        """
        total = np.zeros((len(words), self._count))
        for row, (action, place) in zip(total, words, strict=True):
            for said in ((action, None), (None, place)):
                if said in self._shares:
                    row += self._shares[said]
        return total

    def __call__(self, asked: Sequence[Query]) -> np.ndarray:
        """Queries, of which the person is left out → float64 [Q, N]."""
        return self.log_posterior([(query.action, query.place) for query in asked])


def _log_sum(found: np.ndarray) -> np.ndarray:
    """Log Σ exp of scores [B, n] over B: [n]."""
    most = found.max(axis=0)
    return most + np.log(np.exp(found - most).sum(axis=0))
