"""AdamW with warm-up and cosine decay, one learning rate per group of parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import optax

from cpad_jax.errors import UserError
from cpad_jax.training import sharding

FROZEN = 'frozen'

# Weight decay pulls towards zero, which means nothing for these: an offset, a gain, a word's or a
# person's vector, a position, a temperature.
NO_DECAY = r'(bias|scale|embedding|token)[^/]*$'


def decay_mask(params: Any) -> Any:
    """True for the parameters that weight decay applies to.

    Args:
        params: Tree of arrays.

    Returns:
        A tree of bools: matrices (two or more dimensions) whose name does not match `NO_DECAY`.
    """

    def decays(name: str, leaf: Any) -> bool:
        return np.ndim(leaf) >= 2 and not re.search(NO_DECAY, name)

    return jax.tree.map(decays, sharding.names(params), params)


def warmup_cosine(peak: float, steps: int, warmup_steps: int, end: float = 0.0) -> optax.Schedule:
    """A learning rate that rises linearly to `peak` and falls along a half cosine.

    Args:
        peak: Highest learning rate, reached at step `warmup_steps`.
        steps: Length of the training, in steps; the rate is `end * peak` there and after.
        warmup_steps: Length of the rise, 0 <= warmup_steps < steps. Step 0 already moves by
            `peak / (warmup_steps + 1)`, so that no step is wasted.
        end: Last learning rate as a fraction of the peak, in [0, 1].

    Returns:
        A function from step to learning rate.
    """

    def schedule(step: Any) -> Any:
        step = jax.numpy.asarray(step, jax.numpy.float32)
        rise = (step + 1) / (warmup_steps + 1)
        progress = jax.numpy.clip((step - warmup_steps) / max(steps - warmup_steps, 1), 0, 1)
        fall = end + (1 - end) * 0.5 * (1 + jax.numpy.cos(jax.numpy.pi * progress))
        return peak * jax.numpy.where(step < warmup_steps, rise, fall)

    return schedule


def learning_rates(config: Any, labels: Any) -> dict[str, float]:
    """The peak learning rate of each group that `labels` names.

    A group `low_rank` takes `config.train.low_rank_learning_rate` where that key exists, and
    `config.train.learning_rate` otherwise.

    Args:
        config: The configuration, with `train.learning_rate`.
        labels: Tree of group names, one per parameter; `'frozen'` names parameters that stay.

    Returns:
        Group name → peak learning rate, without `'frozen'`.
    """
    groups = sorted(set(jax.tree.leaves(labels)) - {FROZEN})
    default = config.train.learning_rate
    return {group: config.train.get(f'{group}_learning_rate', default) for group in groups}


def adamw(
    labels: Any,
    rates: Mapping[str, float],
    *,
    steps: int,
    warmup_steps: int = 0,
    weight_decay: float = 0.0,
    clip_norm: float = 1.0,
    b2: float = 0.98,
    end: float = 0.0,
) -> optax.GradientTransformation:
    """AdamW per group (Loshchilov and Hutter 2019), after clipping by the global norm.

    Args:
        labels: Tree of group names, one per parameter. `'frozen'` parameters get no update, hold
            no moments and do not count in the norm.
        rates: Group name → peak learning rate, > 0.
        steps: Length of the training, for the schedule.
        warmup_steps: See `warmup_cosine`.
        weight_decay: Decoupled weight decay of the matrices that `decay_mask` selects, >= 0.
        clip_norm: Largest global norm of the gradient over all groups; 0 turns clipping off.
        b2: Decay of the second moment; 0.98 is CLIP's choice for transformers.
        end: Last learning rate as a fraction of the peak.

    Returns:
        An optax transformation for trees with the structure of `labels`.

    Raises:
        UserError: A label has no learning rate.
    """
    used = set(jax.tree.leaves(labels)) - {FROZEN}
    if missing := used - set(rates):
        raise UserError(f'no learning rate for the parameter groups {sorted(missing)}')
    # Each group's moments know only its own parameters, so the mask is a function.
    groups = {
        group: optax.adamw(
            warmup_cosine(rates[group], steps, warmup_steps, end),
            b1=0.9,
            b2=b2,
            eps=1e-8,
            weight_decay=weight_decay,
            mask=decay_mask,
        )
        for group in sorted(used)
    }
    frozen = {FROZEN: optax.set_to_zero()}
    still = optax.partition({**dict.fromkeys(used, optax.identity()), **frozen}, labels)
    clip = optax.clip_by_global_norm(clip_norm) if clip_norm else optax.identity()
    return optax.chain(still, clip, optax.partition({**groups, **frozen}, labels))
