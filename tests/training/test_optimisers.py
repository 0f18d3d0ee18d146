import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
import pytest

from cpad_jax.errors import UserError
from cpad_jax.training import optimisers


def test_warmup_cosine_by_hand():
    schedule = optimisers.warmup_cosine(2.0, steps=14, warmup_steps=4)
    # Rise 1/5, 2/5 … of the peak, the peak at 4, half of it half-way at 9, nothing from 14 on.
    expected = {0: 0.4, 1: 0.8, 3: 1.6, 4: 2.0, 9: 1.0, 14: 0.0, 99: 0.0}
    for step, rate in expected.items():
        assert float(jax.jit(schedule)(step)) == pytest.approx(rate, rel=1e-6, abs=1e-9)


def test_decay_mask_leaves_out_what_zero_means_nothing_for():
    matrix, vector = np.ones((2, 2)), np.ones(2)
    params = {
        'dense': {'kernel': matrix, 'bias': vector},
        'heads': {'bias': matrix},
        'ln': {'scale': vector},
        'quality': {'gain': vector},
        'token_embedding': {'embedding': matrix},
        'positional_embedding': matrix,
        'default_token': matrix,
        'logit_scale': np.ones(()),
        'low_rank': {'query': {'a': matrix, 'b': matrix}},
        'text_projection': {'kernel': matrix},
    }
    mask = optimisers.decay_mask(params)
    decayed = {
        jax.tree_util.keystr(path, simple=True, separator='/')
        for path, value in jax.tree_util.tree_flatten_with_path(mask)[0]
        if value
    }
    assert decayed == {
        'dense/kernel', 'low_rank/query/a', 'low_rank/query/b', 'text_projection/kernel'
    }  # fmt: skip


def first_update(params, labels, grads, **options):
    optimiser = optimisers.make(labels, {'fast': 0.1, 'slow': 0.01}, steps=10, **options)
    state = optimiser.init(params)
    updates, state = jax.jit(optimiser.update)(grads, state, params)
    return optax.apply_updates(params, updates), state


def test_moments_of_adam_by_hand():
    # Gradients 1 and 3; 0.9 and 0.98 of the moments stay from step to step.
    params = {'bias': jnp.zeros(1)}
    optimiser = optimisers.make({'bias': 'fast'}, {'fast': 0.1}, steps=10, clip_norm=0.0)
    state = optimiser.init(params)
    for gradient in (1.0, 3.0):
        updates, state = optimiser.update({'bias': jnp.full(1, gradient)}, state, params)
    mean = (0.9 * 0.1 + 0.1 * 3) / (1 - 0.9**2)
    square = (0.98 * 0.02 + 0.02 * 9) / (1 - 0.98**2)
    rate = 0.05 * (1 + np.cos(np.pi / 10))
    assert float(updates['bias'][0]) == pytest.approx(-rate * mean / np.sqrt(square), rel=1e-4)


def test_groups_have_their_own_rate_decay_and_stillness():
    params = {
        'a': jnp.full((2, 2), 3.0), 'bias': jnp.full(2, 3.0), 'b': jnp.full((2, 2), 3.0),
        'c': jnp.full((2, 2), 3.0),
    }  # fmt: skip
    labels = {'a': 'fast', 'bias': 'fast', 'b': 'slow', 'c': 'frozen'}
    grads = jax.tree.map(jnp.ones_like, params)
    moved, state = first_update(params, labels, grads, weight_decay=0.5, clip_norm=0.0)
    # Adam's first step is the rate times the gradient's sign; decay adds rate × 0.5 × 3.
    np.testing.assert_allclose(moved['a'], 3 - 0.1 - 0.1 * 1.5, rtol=1e-5)
    np.testing.assert_allclose(moved['bias'], 3 - 0.1, rtol=1e-5)
    np.testing.assert_allclose(moved['b'], 3 - 0.01 - 0.01 * 1.5, rtol=1e-5)
    np.testing.assert_array_equal(moved['c'], 3)
    shapes = [leaf.shape for leaf in jax.tree.leaves(state) if leaf.ndim]
    assert sorted(shapes) == [(2,), (2,), (2, 2), (2, 2), (2, 2), (2, 2)]  # None for `c`.


def test_clipping_counts_all_groups_but_the_frozen_ones():
    params = {'a': jnp.zeros(()), 'b': jnp.zeros(()), 'c': jnp.zeros(())}
    labels = {'a': 'fast', 'b': 'slow', 'c': 'frozen'}
    grads = {'a': jnp.float32(3.0), 'b': jnp.float32(4.0), 'c': jnp.float32(100.0)}
    _, state = first_update(params, labels, grads, clip_norm=1.0)
    # The norm is 5, so the first moments are (1 − b1) × 3/5 and (1 − b1) × 4/5.
    values = {round(float(x), 4) for x in jax.tree.leaves(state) if x.dtype == jnp.float32}
    assert {0.06, 0.08} <= values


def test_a_row_without_gradient_stays_exactly_as_drawn():
    embedding = jax.random.normal(jax.random.key(0), (4, 3))
    params = {'token_embedding': {'embedding': embedding}}
    labels = {'token_embedding': {'embedding': 'fast'}}
    grads = {'token_embedding': {'embedding': jnp.zeros((4, 3)).at[1].set(1.0)}}
    moved, _ = first_update(params, labels, grads, weight_decay=0.5)
    moved = moved['token_embedding']['embedding']
    np.testing.assert_array_equal(moved[jnp.array([0, 2, 3])], embedding[jnp.array([0, 2, 3])])
    assert np.abs(moved[1] - embedding[1]).min() > 0.09


def test_rates_come_from_the_configuration_by_group_name():
    config = ml_collections.ConfigDict(
        {'train': {'learning_rate': 0.5, 'low_rank_learning_rate': 0.25}}
    )
    labels = {'x': 'adapter', 'y': 'low_rank', 'z': 'frozen'}
    assert optimisers.learning_rates(config, labels) == {'adapter': 0.5, 'low_rank': 0.25}


def test_group_without_rate_is_refused():
    with pytest.raises(UserError, match="'c'"):
        optimisers.make({'x': 'c'}, {'a': 1.0}, steps=1)


def test_unknown_method_is_refused():
    with pytest.raises(UserError, match="'sgd', expected one of"):
        optimisers.make({'x': 'a'}, {'a': 1.0}, steps=1, method='sgd')


def test_muon_moves_matrices_with_equal_singular_values_and_the_rest_by_adam():
    params = {
        'query': {'kernel': jnp.zeros((6, 2, 4)), 'bias': jnp.zeros((2, 4))},  # 6 in, 2 × 4 out
        'out': {'kernel': jnp.zeros((2, 4, 6))},  # 2 × 4 in, 6 out
        'embedding': jnp.zeros((3, 2)),
    }
    keys = iter(jax.random.split(jax.random.key(0), 9))
    grads = jax.tree.map(lambda x: jax.random.normal(next(keys), x.shape), params)
    labels = jax.tree.map(lambda _: 'fast', params)
    moved, _ = first_update(params, labels, grads, clip_norm=0.0, method='muon')
    for matrix in (moved['query']['kernel'].reshape(6, 8), moved['out']['kernel'].reshape(8, 6)):
        # Newton and Schulz's few steps leave them between 0.7 and 1.2 of √8 × the rate.
        singular = np.linalg.svd(np.asarray(matrix), compute_uv=False)
        assert np.abs(singular / (8**0.5 * 0.1) - 0.95).max() < 0.3
    for name, matrix in (('bias', moved['query']['bias']), ('embedding', moved['embedding'])):
        grad = grads['query']['bias'] if name == 'bias' else grads['embedding']
        np.testing.assert_array_equal(np.sign(matrix), -np.sign(grad), name)
        np.testing.assert_allclose(np.abs(matrix), np.abs(matrix).mean(), rtol=1e-4)


def test_muon_decays_matrices_only_and_leaves_the_frozen_alone():
    params = {'kernel': jnp.ones((2, 2)), 'token': jnp.ones((2, 2)), 'still': jnp.ones((2, 2))}
    labels = {'kernel': 'fast', 'token': 'slow', 'still': 'frozen'}
    grads = jax.tree.map(jnp.zeros_like, params)
    moved, _ = first_update(params, labels, grads, weight_decay=0.5, method='muon')
    np.testing.assert_allclose(moved['kernel'], 1 - 0.1 * 0.5, rtol=1e-5)
    np.testing.assert_array_equal(moved['token'], 1)
    np.testing.assert_array_equal(moved['still'], 1)
