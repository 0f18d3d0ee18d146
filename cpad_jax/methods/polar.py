"""POLAR: a rank-one update per person of the value projection of the last text layer.

Ryan et al. 2025, "Improving Personalized Search with Regularized Low-Rank Parameter Updates". A
rare word and a class word refer to the person, and W of the values becomes W + B·A with an
L2-normalised A: trained so that text embeddings of the person are near the reference photos, while
B stays small. The text tower stays the same for other people. Unlike in the paper, each phrase is
compared with the mean of the photos (which has the same gradient as with each of them), and the
phrases are our own.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from cpad_jax.methods import reference_photos
from cpad_jax.methods.context import EvalContext
from cpad_jax.models import clip_pad
from cpad_jax.models.clip import CLIP
from cpad_jax.models.person_adapter import unit
from cpad_jax.ranking import scorers
from cpad_jax.ranking.method import IMAGE, Method
from cpad_jax.ranking.query import Query
from cpad_jax.text import training_phrases
from cpad_jax.text.prompts import query_text

METHOD = Method('POLAR', IMAGE)
WHO = 'sks person'
STEPS = 500
RATE = 1e-3  # Adam's step.
DECAY = 1e-3  # Weight of B's mean square. With the authors' 0.1 a narrow tower does not learn.
TEXTS = 64  # Queries encoded at once.

Array = jax.Array
_optimiser = optax.adam(RATE)


def _encode_texts(clip: CLIP, frozen: Any, ids: Array, update: Any) -> Array:
    """Encodes texts about one person: ids [B, L] → [B, D], L2-normalised."""
    block = f'resblocks.{clip.config.text.layers - 1}'
    a = unit(update['a'])[:, None]  # [W, 1]
    low_rank = {block: {'value': {'a': a, 'b': update['b'][None]}}}
    tokens = jnp.zeros((len(ids), 1, clip.config.text.width))  # No text has [TOK].
    return clip_pad.encode_query(clip, frozen, ids, tokens, low_rank, jnp.ones(len(ids)))


@functools.partial(jax.jit, static_argnums=0)
def _learn(clip: CLIP, frozen: Any, ids: Array, targets: Array, start: Array) -> Any:
    """Updates of people, arrays [P, …], from the means of their photos [P, D]."""

    def loss(update: Any, target: Array) -> Array:
        error = _encode_texts(clip, frozen, ids, update) - target
        return jnp.mean(error**2) + DECAY * jnp.mean(update['b'] ** 2)

    # The layers below the last values are the same for all people, and run once a step.
    gradient = jax.vmap(jax.grad(loss))

    def step(carry: Any, _: None) -> tuple[Any, None]:
        learned, state = carry
        change, state = _optimiser.update(gradient(learned, targets), state)
        return (optax.apply_updates(learned, change), state), None

    a = jnp.tile(start, (len(targets), 1))
    learned = {'a': a, 'b': jnp.zeros_like(a)}
    return jax.lax.scan(step, (learned, _optimiser.init(learned)), length=STEPS)[0][0]


@functools.partial(jax.jit, static_argnums=0)
def _encode(clip: CLIP, frozen: Any, ids: Array, updates: Any) -> Array:
    return jax.vmap(lambda ids, update: _encode_texts(clip, frozen, ids[None], update)[0])(
        ids, updates
    )


class Encoder:
    """Encodes 'sks person hugging someone' by a text tower with the person's update.

    Args:
        context: The evaluation.
    """

    def __init__(self, context: EvalContext):
        clip = self._clip = context.model.clip
        frozen = self._frozen = {k: v for k, v in clip.params.items() if k != 'visual'}
        # In float32: XLA for CPUs lacks some bfloat16 products of a batch of people.
        model = self._model = CLIP(clip.config)
        ids = clip.tokenize([phrase.format(WHO) for phrase in training_phrases.PHOTOS])
        bound = clip.config.text.width**-0.5
        start = jax.random.uniform(
            jax.random.key(context.config.seed), (clip.config.text.width,), minval=-bound,
            maxval=bound,
        )  # fmt: skip

        def learn(pictures: np.ndarray, valid: np.ndarray) -> Any:
            return _learn(model, frozen, ids, reference_photos.mean(pictures, valid), start)

        self._updates = reference_photos.PerPerson(
            context.pictures, context.config.eval.num_references, learn, 'POLAR'
        )

    def encode(self, method: Method, queries: Sequence[Query]) -> np.ndarray:
        """Encodes queries: float32 [Q, D], L2-normalised."""
        updates = self._updates(queries)
        ids = self._clip.tokenize(
            [query_text(WHO, q.action, q.place, person_token=False) for q in queries]
        )
        batches = []
        for start in range(0, len(ids), TEXTS):
            rows = np.minimum(np.arange(start, start + TEXTS), len(ids) - 1)
            batch = jax.tree.map(lambda x, r=rows: x[r], updates)
            batches.append(np.asarray(_encode(self._model, self._frozen, ids[rows], batch)))
        return np.concatenate(batches)[: len(ids)]


def make(context: EvalContext) -> scorers.Cosine:
    """The row."""
    return scorers.Cosine(METHOD, Encoder(context), context.plain_gallery)
