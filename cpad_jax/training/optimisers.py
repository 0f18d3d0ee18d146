"""AdamW or Muon with warm-up and cosine decay, one learning rate per group of parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import optax
from optax.contrib import MuonDimensionNumbers, muon

from cpad_jax.errors import UserError
from cpad_jax.models import sharding
from cpad_jax.training.configs import OPTIMISERS

FROZEN = 'frozen'
B2 = 0.98  # Decay of Adam's second moment: CLIP's choice for transformers.

# Weight decay pulls towards zero, which means nothing for these: an offset, a gain, a word's or a
# person's vector, a position, a temperature.
NO_DECAY = r'(bias|scale|embedding|token|prompts)[^/]*$'

# Kernels [inputs, heads, outputs per head]; all others end with their one axis of outputs.
SPLIT_OUTPUTS = r'(query|key|value)/kernel$'


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


def matrix_axes(params: Any) -> Any:
    """Which axes of each matrix are multiplied away, and which are its outputs.

    Args:
        params: Tree of arrays.

    Returns:
        A tree of `MuonDimensionNumbers`, and of None for what `decay_mask` leaves out.
    """

    def axes(name: str, leaf: Any, is_matrix: bool) -> MuonDimensionNumbers | None:
        if not is_matrix:
            return None
        dims = tuple(range(np.ndim(leaf)))
        inputs = 1 if re.search(SPLIT_OUTPUTS, name) else len(dims) - 1
        return MuonDimensionNumbers(dims[:inputs], dims[inputs:])

    return jax.tree.map(axes, sharding.names(params), params, decay_mask(params))


def warmup_cosine(peak: float, steps: int, warmup_steps: int) -> optax.Schedule:
    """A learning rate that rises linearly to `peak` and falls along a half cosine.

    Args:
        peak: Highest learning rate, reached at step `warmup_steps`.
        steps: Length of the training, in steps; the rate is 0 there and after.
        warmup_steps: Length of the rise, 0 <= warmup_steps < steps. Step 0 already moves by
            `peak / (warmup_steps + 1)`, so that no step is wasted.

    Returns:
        A function from step to learning rate.
    """

    def schedule(step: Any) -> Any:
        step = jax.numpy.asarray(step, jax.numpy.float32)
        rise = (step + 1) / (warmup_steps + 1)
        progress = jax.numpy.clip((step - warmup_steps) / max(steps - warmup_steps, 1), 0, 1)
        fall = 0.5 * (1 + jax.numpy.cos(jax.numpy.pi * progress))
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


def make(
    labels: Any,
    rates: Mapping[str, float],
    *,
    steps: int,
    method: str = 'adamw',
    warmup_steps: int = 0,
    weight_decay: float = 0.0,
    clip_norm: float = 1.0,
) -> optax.GradientTransformation:
    """AdamW or Muon per group, after clipping by the global norm.

    Muon (Jordan et al. 2024) moves a matrix by its momentum with all singular values made equal.
    From fresh weights it learns several times faster per step than AdamW. Its moves are scaled to
    a root mean square of 1, Adam's largest, so that rates and decay mean the same for both.

    Args:
        labels: Tree of group names, one per parameter. `'frozen'` parameters get no update, hold
            no moments and do not count in the norm.
        rates: Group name → peak learning rate, > 0.
        steps: Length of the training, for the schedule.
        method: 'adamw' (Loshchilov and Hutter 2019), or 'muon' for the matrices that `decay_mask`
            selects and AdamW for all others.
        warmup_steps: See `warmup_cosine`.
        weight_decay: Decoupled weight decay of the matrices that `decay_mask` selects, >= 0.
        clip_norm: Largest global norm of the gradient over all groups; 0 turns clipping off.

    Returns:
        An optax transformation for trees with the structure of `labels`.

    Raises:
        UserError: A label has no learning rate, or the method is unknown.
    """
    if method not in OPTIMISERS:
        raise UserError(f'config.train.optimiser is {method!r}, expected one of {OPTIMISERS}')
    used = set(jax.tree.leaves(labels)) - {FROZEN}
    if missing := used - set(rates):
        raise UserError(f'no learning rate for the parameter groups {sorted(missing)}')

    # Each group's moments know only its own parameters, so mask and axes are functions.
    def moves(rate: float) -> optax.GradientTransformation:
        schedule = warmup_cosine(rate, steps, warmup_steps)
        if method == 'muon':
            return muon(
                schedule,
                weight_decay=weight_decay,
                consistent_rms=1.0,
                muon_weight_dimension_numbers=matrix_axes,
                adam_learning_rate=schedule,
                adam_b2=B2,
            )
        return optax.adamw(schedule, b2=B2, weight_decay=weight_decay, mask=decay_mask)

    groups = {group: moves(rates[group]) for group in sorted(used)}
    frozen = {FROZEN: optax.set_to_zero()}
    still = optax.partition({**dict.fromkeys(used, optax.identity()), **frozen}, labels)
    clip = optax.clip_by_global_norm(clip_norm) if clip_norm else optax.identity()
    return optax.chain(still, clip, optax.partition({**groups, **frozen}, labels))
