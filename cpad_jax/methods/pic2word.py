"""Pic2Word: a network that maps a picture to a word, trained on pictures alone.

Saito et al. 2023, "Pic2Word: Mapping Pictures to Words for Zero-shot Composed Image Retrieval". A
network of three layers maps a picture's embedding to a token, such that the embedding of "a photo
of [TOK]" is near that picture and not near others. No identities are used. Unlike in the paper,
several reference photos make one token (through the mean of their hidden layer), photos are
centred, there is no dropout, and the network is trained on a quarter of a million draws, not on
millions, at a higher learning rate.
"""

from __future__ import annotations

from cpad_jax.methods import pseudo_words, reference_photos
from cpad_jax.methods.context import EvalContext
from cpad_jax.ranking import scorers
from cpad_jax.ranking.method import IMAGE, Method
from cpad_jax.text import training_phrases

METHOD = Method('Pic2Word', IMAGE)
RECIPE = pseudo_words.Recipe(
    'pic2word', hidden_width=512, photos=1, phrases=(training_phrases.BASE,), pull=0.0,
    steps=1000, rate=1e-3,
)  # fmt: skip


def make(context: EvalContext) -> scorers.Cosine:
    """The row."""
    network = pseudo_words.learned(RECIPE, context, by_person=False)
    words = reference_photos.PerPerson(
        context.pictures, context.config.eval.num_references, network.words, 'Pic2Word'
    )
    return scorers.Cosine(
        METHOD, pseudo_words.Encoder(context.model.clip, words), context.plain_gallery
    )
