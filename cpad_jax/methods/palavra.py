"""PALAVRA: a set encoder initialises a word for a person's photos, which is then optimised.

Cohen et al. 2022, '"This is my unicorn, Fluffy": Personalizing Frozen Vision-Language
Representations'. The set encoder is trained so that the text embedding of the token is near the
photos (their cycle consistency), while the token stays near a word like 'person' (their coarse
word). Then each person's token is optimised: towards the reference photos, away from negatives.
Unlike in the paper, sets are photos of one person each, without the name, in place of captioned
objects; other people's photos are the negatives; the temperature is CLIP's own, not 0.25, and the
coarse word has a tenth of the weight, without which a small CLIP's tokens hardly differ.
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
from cpad_jax.methods.context import EvalContext
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

NUM_NEGATIVES = 1000  # Other people, at most.
STEPS = 30
RATE = 0.1  # Adam's step, relative to the root mean square of the initial token.

Array = jax.Array
_optimiser = optax.adam(RATE)


@functools.partial(jax.jit, static_argnums=0)
def _optimise(clip: CLIP, fixed: Any, initial: Array, photos: Array) -> Array:
    """Optimises tokens [P, 1, W], independently, towards means of photos [P, D]."""
    photos = unit(photos)
    ids = jnp.tile(fixed['ids'], (len(initial), 1))
    scale = jnp.sqrt(jnp.mean(initial**2, axis=-1, keepdims=True))
    cosines = photos @ fixed['negatives'].T  # [P, M]
    # The most similar one may be the person.
    negative = jnp.arange(cosines.shape[1]) != cosines.argmax(axis=1, keepdims=True)

    def loss(moved: Array) -> Array:
        words = initial + scale * moved
        texts = clip_pad.encode_query(clip, fixed['frozen'], ids, words)
        positives = fixed['scale'] * jnp.sum(texts * photos, axis=-1, keepdims=True)
        negatives = jnp.where(negative, fixed['scale'] * texts @ fixed['negatives'].T, -jnp.inf)
        total = jax.nn.logsumexp(jnp.concatenate([positives, negatives], axis=1), axis=1)
        return jnp.sum(total - positives[:, 0])

    def step(carry: Any, _: None) -> tuple[Any, None]:
        moved, state = carry
        change, state = _optimiser.update(jax.grad(loss)(moved), state)
        return (optax.apply_updates(moved, change), state), None

    moved = jnp.zeros_like(initial)
    moved = jax.lax.scan(step, (moved, _optimiser.init(moved)), length=STEPS)[0][0]
    return initial + scale * moved


def _negatives(photos: IdentityFeatures, seed: int) -> np.ndarray:
    """A training photo of each of some people: float32 [M, D], L2-normalised."""
    _, first = np.unique(photos.labels, return_index=True)
    chosen = np.random.default_rng((seed, 12)).permutation(first)[:NUM_NEGATIVES]
    return np.asarray(unit(jnp.asarray(photos.images[chosen], jnp.float32)))


def make(context: EvalContext) -> scorers.Cosine:
    """The row."""
    clip, seed = context.model.clip, context.config.seed
    network = pseudo_words.learned(RECIPE, context, by_person=True)
    fixed = {
        'frozen': {k: v for k, v in clip.params.items() if k != 'visual'},
        'ids': clip.tokenize([training_phrases.BASE.format(PERSON_TOKEN)]),
        'negatives': _negatives(context.training_photos, seed),
        'scale': jnp.exp(clip.params['logit_scale']),
    }

    def learn(pictures: np.ndarray, valid: np.ndarray) -> Array:
        initial = network.words(pictures, valid)
        return _optimise(clip.model, fixed, initial, reference_photos.mean(pictures, valid))

    words = reference_photos.PerPerson(
        context.pictures, context.config.eval.num_references, learn, 'PALAVRA'
    )
    return scorers.Cosine(METHOD, pseudo_words.Encoder(clip, words), context.plain_gallery)
