"""Pic2Word: a network maps a picture to a word, learned from pictures alone.

Saito et al. 2023, "Pic2Word: Mapping Pictures to Words for Zero-shot Composed Image Retrieval". A
network of three layers makes a token of a picture's embedding, so that "a photo of [TOK]" lands at
that picture and not at others. Nobody says who is in it. Unlike there, several reference photos
make one token (through the mean of their hidden layer), photos are centred, there is no dropout,
and the network learns from a quarter of a million draws, not from millions, at a higher rate.
"""

from __future__ import annotations

from cpad_jax.methods import pseudo_words, reference_photos
from cpad_jax.methods.context import Setting
from cpad_jax.ranking import scorers
from cpad_jax.ranking.method import IMAGE, Method
from cpad_jax.text import training_phrases

METHOD = Method('Pic2Word', IMAGE)
RECIPE = pseudo_words.Recipe(
    'pic2word', hidden_width=512, photos=1, phrases=(training_phrases.BASE,), pull=0.0,
    steps=1000, rate=1e-3,
)  # fmt: skip


def make(setting: Setting) -> scorers.Cosine:
    """The row."""
    network = pseudo_words.learned(RECIPE, setting, by_person=False)
    words = reference_photos.PerPerson(
        setting.pictures, setting.config.eval.num_references, network.words, 'Pic2Word'
    )
    return scorers.Cosine(
        METHOD, pseudo_words.Encoder(setting.model.clip, words), setting.plain_gallery
    )
