"""Training of the name adapter: from a name to the token of its bearer's photos.

Thousands of names are too many for a small update of the text tower to hold; this holds them, and
what the frozen CLIP knows of a name is among what it reads.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from cpad_jax import progress
from cpad_jax.models.name_adapter import NameAdapter
from cpad_jax.models.person_adapter import unit
from cpad_jax.training import optimisers

BATCH = 2048  # Names at once.
LEARNING_RATE = 2e-3
# Weight of the cross-entropy, by which a name's token is nearer to its bearer's than to others'.
APART = 0.1
TEMPERATURE = 0.05


def initial_params(
    adapter: NameAdapter, features: np.ndarray, tokens: np.ndarray, seed: int
) -> Any:
    """Fresh parameters, with the constants measured.

    Args:
        adapter: The name adapter.
        features: float [N, F], of `name_adapter.name_features`.
        tokens: float [N, K, W], the target tokens.
        seed: Of the draw.
    """
    params = jax.jit(adapter.init)(jax.random.key(seed), jnp.asarray(features[:1]))['params']
    centre = features.mean(axis=0)
    # One spread for all: a dimension that hardly differs is not blown up.
    spread = float(np.sqrt(np.mean((features - centre) ** 2)))
    if spread < 1e-6:  # Of one name, or of equal ones, which say nothing of others.
        spread = 1.0
    return params | {
        'centre': jnp.asarray(centre),
        'spread': jnp.full(features.shape[-1], spread, jnp.float32),
        'length': jnp.asarray(np.linalg.norm(tokens, axis=-1).mean(), jnp.float32),
    }


def loss(adapter: NameAdapter, params: Any, features: jax.Array, tokens: jax.Array) -> jax.Array:
    """1 − cos to the target token, and the cross-entropy of its rank among all of the batch.

    Args:
        adapter: The name adapter.
        params: Its parameters.
        features: float [B, F].
        tokens: float [B, K, W], of B people.

    Returns:
        Scalar float32.
    """
    count = len(features)
    predicted = unit(adapter.apply({'params': params}, features))
    targets = unit(tokens)
    near = 1 - jnp.mean(jnp.sum(predicted * targets, axis=-1))
    logits = jnp.einsum('nkw,mkw->nm', predicted, targets) / (tokens.shape[1] * TEMPERATURE)
    apart = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.arange(count))
    return near + APART * jnp.mean(apart)


def learn_names(
    adapter: NameAdapter, features: np.ndarray, tokens: np.ndarray, *, steps: int, seed: int
) -> Any:
    """Learns which token belongs to which name.

    Args:
        adapter: The name adapter.
        features: float [N, F], of `name_adapter.name_features`.
        tokens: float [N, K, W], the mean face token of each name's bearer.
        steps: How many, >= 1.
        seed: Of weights and batches.

    Returns:
        The adapter's parameters.
    """
    params = initial_params(adapter, features, tokens, seed)
    labels = jax.tree.map(lambda _: 'names', params)
    labels |= dict.fromkeys(('centre', 'spread', 'length'), optimisers.FROZEN)
    optimiser = optimisers.make(
        labels, {'names': LEARNING_RATE}, steps=steps, warmup_steps=min(20, steps - 1)
    )
    state = optimiser.init(params)

    @jax.jit
    def step(params: Any, state: Any, features: jax.Array, tokens: jax.Array) -> tuple:
        value, grads = jax.value_and_grad(
            lambda params: loss(adapter, params, features, tokens)
        )(params)  # fmt: skip
        updates, state = optimiser.update(grads, state, params)
        return optax.apply_updates(params, updates), state, value

    rng = np.random.default_rng((seed, 9))
    size = min(BATCH, len(features))
    waiting = np.empty(0, np.int64)
    with progress.bar(total=steps, stage='learning names', unit='step') as bar:
        for number in range(steps):
            if len(waiting) < size:
                waiting = rng.permutation(len(features))
            batch, waiting = waiting[:size], waiting[size:]
            params, state, value = step(params, state, features[batch], tokens[batch])
            bar.update()
            if number % 50 == 0:
                bar.set_postfix(loss=f'{float(value):.3g}', refresh=False)
    return params
