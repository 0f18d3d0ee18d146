"""POLAR: of each person a rank-one update of the values that the last text layer reads.

Ryan et al. 2025, "Improving Personalized Search with Regularized Low-Rank Parameter Updates". The
person is spoken of by a rare word and a class word, and W of the values becomes W + B·A with A of
length 1: learned so that what is said of the person lands at the reference photos, while B stays
small. The text tower is not changed for other people. Unlike there, each phrase is compared with
the mean of the photos (which has the same gradient as with each of them), and phrases are ours.
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
from cpad_jax.methods.context import Setting
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
DECAY = 1e-3  # Weight of B's mean square. The authors' 0.1 keeps a narrow tower from learning.
TEXTS = 64  # Queries embedded at once.

Array = jax.Array
_optimiser = optax.adam(RATE)


def _say(clip: CLIP, frozen: Any, ids: Array, update: Any) -> Array:
    """Embeds texts about one person: ids [B, L] → [B, D] of length 1."""
    block = f'resblocks.{clip.config.text.layers - 1}'
    a = unit(update['a'])[:, None]  # [W, 1]
    low_rank = {block: {'value': {'a': a, 'b': update['b'][None]}}}
    nobody = jnp.zeros((len(ids), 1, clip.config.text.width))  # No [TOK] stands in the texts.
    return clip_pad.encode_query(clip, frozen, ids, nobody, low_rank, jnp.ones(len(ids)))


@functools.partial(jax.jit, static_argnums=0)
def _learn(clip: CLIP, frozen: Any, ids: Array, wanted: Array, start: Array) -> Any:
    """Updates of people, arrays [P, …], from the means of their photos [P, D]."""

    def loss(update: Any, wanted: Array) -> Array:
        away = _say(clip, frozen, ids, update) - wanted
        return jnp.mean(away**2) + DECAY * jnp.mean(update['b'] ** 2)

    # What lies below the last values is the same for all people, and is computed once a step.
    gradient = jax.vmap(jax.grad(loss))

    def step(carry: Any, _: None) -> tuple[Any, None]:
        learned, state = carry
        change, state = _optimiser.update(gradient(learned, wanted), state)
        return (optax.apply_updates(learned, change), state), None

    a = jnp.tile(start, (len(wanted), 1))
    learned = {'a': a, 'b': jnp.zeros_like(a)}
    return jax.lax.scan(step, (learned, _optimiser.init(learned)), length=STEPS)[0][0]


@functools.partial(jax.jit, static_argnums=0)
def _ask(clip: CLIP, frozen: Any, ids: Array, updates: Any) -> Array:
    return jax.vmap(lambda ids, update: _say(clip, frozen, ids[None], update)[0])(ids, updates)


class Encoder:
    """Asks 'sks person hugging someone' of a text tower with the person's update.

    Args:
        setting: Of the evaluation.
    """

    def __init__(self, setting: Setting):
        clip = self._clip = setting.model.clip
        frozen = self._frozen = {k: v for k, v in clip.params.items() if k != 'visual'}
        # In float32: XLA for CPUs lacks some products of bfloat16 that people at once need.
        model = self._model = CLIP(clip.config)
        ids = clip.tokenize([phrase.format(WHO) for phrase in training_phrases.PHOTOS])
        bound = clip.config.text.width**-0.5
        start = jax.random.uniform(
            jax.random.key(setting.config.seed), (clip.config.text.width,), minval=-bound,
            maxval=bound,
        )  # fmt: skip

        def learn(pictures: np.ndarray, there: np.ndarray) -> Any:
            wanted = reference_photos.mean(pictures, there)
            return _learn(model, frozen, ids, wanted, start)

        self._updates = reference_photos.PerPerson(
            setting.pictures, setting.config.eval.num_references, learn, 'POLAR'
        )

    def encode(self, method: Method, queries: Sequence[Query]) -> np.ndarray:
        """Embeds queries: float32 [Q, D] of length 1."""
        updates = self._updates(queries)
        ids = self._clip.tokenize(
            [query_text(WHO, q.action, q.place, person_token=False) for q in queries]
        )
        found = []
        for start in range(0, len(ids), TEXTS):
            rows = np.minimum(np.arange(start, start + TEXTS), len(ids) - 1)
            some = jax.tree.map(lambda x, r=rows: x[r], updates)
            found.append(np.asarray(_ask(self._model, self._frozen, ids[rows], some)))
        return np.concatenate(found)[: len(ids)]


def make(setting: Setting) -> scorers.Cosine:
    """The row."""
    return scorers.Cosine(METHOD, Encoder(setting), setting.plain_gallery)
