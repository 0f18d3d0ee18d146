"""Training of the video adapter on labelled clips: what is done, and where.

The loss contrasts the clips of a batch with captions of them, about no particular person, as in the
training of CLIP. The text tower stays frozen, so that words of no caption keep their embeddings.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from cpad_jax import progress
from cpad_jax.models.video_adapter import VideoAdapter
from cpad_jax.training import losses, optimisers
from cpad_jax.training.clip_labels import ClipLabels
from cpad_jax.training.compound_captions import CompoundCaptions, sample_query

BATCH = 256  # Clips at once.
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.1
TEMPERATURE = 0.05


def draw(
    labels: ClipLabels, captions: CompoundCaptions, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws clips, each with a caption of an action of a person in it, its place, or both.

    Args:
        labels: Labels of N clips; those without people are left out.
        captions: Captions to draw from.
        rng: NumPy random generator.

    Returns:
        Clips int [B], captions int [B], and bool [B, B]: which clips (columns) match each caption.
    """
    count = (labels.person >= 0).sum(axis=1)
    clips = rng.permutation(np.flatnonzero(count))[:BATCH]
    people = labels.person[clips, rng.integers(count[clips])]
    query = sample_query(labels, clips, people, 1.0, rng)
    relevant = labels[clips].relevant(query.person, query.action, query.place)
    return clips, captions.draw(query.action, query.place, rng), relevant


def learn_words(
    adapter: VideoAdapter,
    clips: np.ndarray,
    labels: ClipLabels,
    captions: CompoundCaptions,
    texts: np.ndarray,
    *,
    steps: int,
    seed: int,
) -> Any:
    """Trains a video adapter by captions of clips.

    Args:
        adapter: The video adapter.
        clips: float32 [N, D], L2-normalised embeddings of clips.
        labels: Labels of the clips.
        captions: Captions about no particular person.
        texts: float32 [V, D], L2-normalised embeddings of `captions.texts`.
        steps: How many, >= 1.
        seed: Of weights and batches.

    Returns:
        The adapter's parameters.
    """
    params = jax.jit(adapter.init)(jax.random.key(seed), jnp.asarray(clips[:1]))['params']
    groups = jax.tree.map(lambda _: 'words', params) | {'centre': optimisers.FROZEN}
    params |= {'centre': jnp.asarray(clips.mean(axis=0))}
    optimiser = optimisers.make(
        groups, {'words': LEARNING_RATE}, steps=steps, warmup_steps=min(50, steps - 1),
        weight_decay=WEIGHT_DECAY,
    )  # fmt: skip
    state = optimiser.init(params)

    @jax.jit
    def step(
        params: Any, state: Any, clips: jax.Array, texts: jax.Array, relevant: jax.Array
    ) -> tuple:
        def loss(params: Any) -> jax.Array:
            adapted = adapter.apply({'params': params}, clips)
            scores = jnp.matmul(texts, adapted.T, precision='highest')
            return losses.multi_positive(scores / TEMPERATURE, relevant)

        value, grads = jax.value_and_grad(loss)(params)
        updates, state = optimiser.update(grads, state, params)
        return optax.apply_updates(params, updates), state, value

    rng = np.random.default_rng((seed, 11))
    with progress.bar(total=steps, stage='learning words', unit='step') as bar:
        for number in range(steps):
            rows, drawn, relevant = draw(labels, captions, rng)
            params, state, value = step(params, state, clips[rows], texts[drawn], relevant)
            bar.update()
            if number % 50 == 0:
                bar.set_postfix(loss=f'{float(value):.3g}', refresh=False)
    return params
