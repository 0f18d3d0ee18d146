"""PALAVRA: a set encoder guesses a word for a person's photos, which is then optimised.

Cohen et al. 2022, '"This is my unicorn, Fluffy": Personalizing Frozen Vision-Language
Representations'. The set encoder is learned so that what the text tower says of the token leads
back to the photos (their cycle), while the token stays a word like 'person' (their coarse word).
Then each person's token is optimised: near the reference photos, away from what it is told apart
from. Unlike there, sets are photos of one person each, whose name nobody reads, in place of
captioned objects; other people's photos stand for the class that a person is told apart from; the
temperature is CLIP's own, not 0.25, and the coarse word pulls a tenth as much, or a small CLIP's
tokens hardly differ.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from cpad_jax.features.store import IdentityFeatures
from cpad_jax.methods import pseudo_words, reference_photos
from cpad_jax.methods.context import Setting
from cpad_jax.models import clip_pad
from cpad_jax.models.clip import CLIP
from cpad_jax.models.person_adapter import unit
from cpad_jax.ranking import scorers
from cpad_jax.ranking.method import IMAGE, Method
from cpad_jax.text import training_phrases
from cpad_jax.text.prompts import PERSON_TOKEN

METHOD = Method('PALAVRA', IMAGE)
RECIPE = pseudo_words.Recipe(
    'palavra', hidden_width=512, photos=5, phrases=training_phrases.PHOTOS, pull=0.1,
    steps=600, rate=1e-3,
)  # fmt: skip

NUM_OTHERS = 1000  # How many people a person is told apart from.
STEPS = 30
RATE = 0.1  # Adam's step, as a share of what the coordinates of the guess are.

Array = jax.Array
_optimiser = optax.adam(RATE)


@functools.partial(jax.jit, static_argnums=0)
def _optimise(clip: CLIP, fixed: Any, guess: Array, shown: Array) -> Array:
    """Moves tokens [P, 1, W], each for itself, towards means of photos [P, D]."""
    shown = unit(shown)
    ids = jnp.tile(fixed['ids'], (len(guess), 1))
    scale = jnp.sqrt(jnp.mean(guess**2, axis=-1, keepdims=True))
    near = shown @ fixed['others'].T  # [P, M]
    # Whoever is most like the photos may be the person.
    apart = jnp.arange(near.shape[1]) != near.argmax(axis=1, keepdims=True)

    def loss(moved: Array) -> Array:
        words = guess + scale * moved
        said = clip_pad.encode_query(clip, fixed['frozen'], ids, words)
        right = fixed['scale'] * jnp.sum(said * shown, axis=-1, keepdims=True)
        wrong = jnp.where(apart, fixed['scale'] * said @ fixed['others'].T, -jnp.inf)
        total = jax.nn.logsumexp(jnp.concatenate([right, wrong], axis=1), axis=1)
        return jnp.sum(total - right[:, 0])

    def step(carry: Any, _: None) -> tuple[Any, None]:
        moved, state = carry
        change, state = _optimiser.update(jax.grad(loss)(moved), state)
        return (optax.apply_updates(moved, change), state), None

    moved = jnp.zeros_like(guess)
    moved = jax.lax.scan(step, (moved, _optimiser.init(moved)), length=STEPS)[0][0]
    return guess + scale * moved


def _others(photos: IdentityFeatures, seed: int) -> np.ndarray:
    """A photo of each of some people who were learned: float32 [M, D] of length 1."""
    _, first = np.unique(photos.labels, return_index=True)
    chosen = np.random.default_rng((seed, 12)).permutation(first)[:NUM_OTHERS]
    return np.asarray(unit(photos.images[chosen].astype(np.float32)))


def make(setting: Setting) -> scorers.Cosine:
    """The row."""
    clip, seed = setting.model.clip, setting.config.seed
    network = pseudo_words.learned(RECIPE, setting, by_person=True)
    fixed = {
        'frozen': {k: v for k, v in clip.params.items() if k != 'visual'},
        'ids': clip.tokenize([training_phrases.BASE.format(PERSON_TOKEN)]),
        'others': _others(setting.training_photos, seed),
        'scale': jnp.exp(clip.params['logit_scale']),
    }

    def learn(pictures: np.ndarray, there: np.ndarray) -> Array:
        guess = network.words(pictures, there)
        return _optimise(clip.model, fixed, guess, reference_photos.mean(pictures, there))

    words = reference_photos.PerPerson(
        setting.pictures, setting.config.eval.num_references, learn, 'PALAVRA'
    )
    return scorers.Cosine(METHOD, pseudo_words.Encoder(clip, words), setting.plain_gallery)
