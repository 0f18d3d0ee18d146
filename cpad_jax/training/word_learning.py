"""Learning words: the clip adapter learns from labelled clips what is done and where.

Clips of a batch and captions of them, about nobody in particular, are to find each other, as in
CLIP's own training; the text tower stays frozen, so that words that no caption has still say what
they said.
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
    shown: ClipLabels, captions: CompoundCaptions, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Some clips, each with a caption of what somebody in it does, where it is, or both.

    Args:
        shown: What is true of N clips; those without people are left out.
        captions: What may be said.
        rng: Source of chance.

    Returns:
        Clips int [B], captions int [B], and bool [B, B]: which clips (columns) each is true of.
    """
    count = (shown.person >= 0).sum(axis=1)
    clips = rng.permutation(np.flatnonzero(count))[:BATCH]
    people = shown.person[clips, rng.integers(count[clips])]
    asked = sample_query(shown, clips, people, 1.0, rng)
    true = shown[clips].answer(asked.person, asked.action, asked.place)
    return clips, captions.draw(asked.action, asked.place, rng), true


def learn_words(
    adapter: VideoAdapter,
    clips: np.ndarray,
    shown: ClipLabels,
    captions: CompoundCaptions,
    said: np.ndarray,
    *,
    steps: int,
    seed: int,
) -> Any:
    """Learns what captions say of clips.

    Args:
        adapter: The clip adapter.
        clips: float32 [N, D] of length 1.
        shown: What is true of them.
        captions: About nobody in particular.
        said: float32 [V, D] of length 1, what the text tower makes of `captions.texts`.
        steps: How many, >= 1.
        seed: Of weights and batches.

    Returns:
        The adapter's parameters.
    """
    params = jax.jit(adapter.init)(jax.random.key(seed), jnp.asarray(clips[:1]))['params']
    labels = jax.tree.map(lambda _: 'words', params) | {'centre': optimisers.FROZEN}
    params |= {'centre': jnp.asarray(clips.mean(axis=0))}
    optimiser = optimisers.make(
        labels, {'words': LEARNING_RATE}, steps=steps, warmup_steps=min(50, steps - 1),
        weight_decay=WEIGHT_DECAY,
    )  # fmt: skip
    state = optimiser.init(params)

    @jax.jit
    def step(params: Any, state: Any, clips: jax.Array, said: jax.Array, true: jax.Array) -> tuple:
        def loss(params: Any) -> jax.Array:
            seen = adapter.apply({'params': params}, clips)
            scores = jnp.matmul(said, seen.T, precision='highest')
            return losses.multi_positive(scores / TEMPERATURE, true)

        value, grads = jax.value_and_grad(loss)(params)
        updates, state = optimiser.update(grads, state, params)
        return optax.apply_updates(params, updates), state, value

    rng = np.random.default_rng((seed, 11))
    with progress.bar(total=steps, stage='learning words', unit='step') as bar:
        for number in range(steps):
            own, told, true = draw(shown, captions, rng)
            params, state, value = step(params, state, clips[own], said[told], true)
            bar.update()
            if number % 50 == 0:
                bar.set_postfix(loss=f'{float(value):.3g}', refresh=False)
    return params
