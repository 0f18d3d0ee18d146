import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cpad_jax.models.person_adapter import FACE_MARGIN, PersonAdapter, padded, pool


@pytest.fixture(scope='module')
def adapter():
    model = PersonAdapter(num_tokens=2, text_width=8, hidden_width=16, token_norm=3.0)
    features = jax.random.normal(jax.random.key(1), (4, 3, 6))
    params = model.init(jax.random.key(0), features, jnp.ones((4, 3)))
    return jax.jit(lambda f, w: model.apply(params, f, w)), features, params


def test_pool_by_hand():
    features = jnp.array([[[3.0, 4.0], [0.0, 2.0], [7.0, 7.0]]])
    np.testing.assert_allclose(
        pool(features, jnp.array([[1.0, 1.0, 0.0]])), [[0.3, 0.9]], rtol=1e-6
    )
    np.testing.assert_allclose(
        pool(features, jnp.array([[3.0, 1.0, 0.0]])), [[0.45, 0.85]], rtol=1e-6
    )
    np.testing.assert_array_equal(pool(features, jnp.zeros((1, 3))), [[0.0, 0.0]])


def test_tokens_have_the_length_of_words(adapter):
    apply, features, params = adapter
    tokens = apply(features, jnp.ones((4, 3)))
    assert tokens.shape == (4, 2, 8)
    np.testing.assert_allclose(np.linalg.norm(tokens, axis=-1), 3.0, rtol=1e-5)
    assert float(np.exp(params['params']['log_scale'])) == pytest.approx(3.0)


def test_tokens_differ_between_people_and_between_tokens(adapter):
    apply, features, _ = adapter
    tokens = np.asarray(apply(features, jnp.ones((4, 3)))).reshape(8, 8) / 3.0
    assert (tokens @ tokens.T - np.eye(8)).max() < 0.999


def test_order_padding_and_length_of_features_do_not_matter(adapter):
    apply, features, _ = adapter
    weights = jnp.array([[1.0, 0.5, 0.0]] * 4)
    tokens = apply(features, weights)
    order = jnp.array([2, 0, 1])
    np.testing.assert_allclose(apply(features[:, order], weights[:, order]), tokens, atol=1e-5)
    np.testing.assert_allclose(apply(features[:, :2], weights[:, :2]), tokens, atol=1e-5)
    garbage = features.at[:, 2].set(1e6)
    np.testing.assert_array_equal(apply(garbage, weights), tokens)
    broken = features.at[:, 2].set(jnp.nan)
    np.testing.assert_array_equal(apply(broken, weights), tokens)
    np.testing.assert_allclose(apply(features * 5, weights), tokens, atol=1e-5)
    assert np.abs(apply(features, jnp.ones((4, 3))) - tokens).max() > 1e-2


def test_no_photo_has_no_bad_gradient(adapter):
    _, features, params = adapter
    model = PersonAdapter(num_tokens=2, text_width=8, hidden_width=16, token_norm=3.0)
    grads = jax.grad(lambda p: model.apply(p, 0 * features, jnp.zeros((4, 3))).sum())(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))


def test_people_with_different_numbers_of_photos_are_padded():
    photos = np.arange(1, 7, dtype=np.float32).reshape(3, 2)
    features, weights = padded([photos[:2], [], [photos[2]]], width=2)
    np.testing.assert_array_equal(features, [[[1, 2], [3, 4]], [[0, 0], [0, 0]], [[5, 6], [0, 0]]])
    np.testing.assert_array_equal(weights, [[1, 1], [0, 0], [1, 0]])
    assert padded([photos[:1]], width=2, most=3)[0].shape == (1, 3, 2)
    assert padded([], width=2)[0].shape == (0, 1, 2)


def test_features_are_centred_and_scaled_by_hand():
    assert FACE_MARGIN == 0.3  # As VGGFace2's authors cut faces.
    adapter = PersonAdapter(num_tokens=1, text_width=2, hidden_layers=0)
    params = {
        'centre': np.array([0, 0.5]), 'spread': np.array(2.0), 'log_scale': np.array(np.log(3)),
        'out': {'kernel': np.eye(2), 'bias': np.array([0, 1.0])},
    }  # fmt: skip
    found = adapter.apply({'params': params}, np.array([[[4.0, 0]]]), np.ones((1, 1)))
    # (1, 0) less (0, 0.5), halved, and (0, 1) more: (0.5, 0.75), brought to length 3.
    np.testing.assert_allclose(found[0, 0], 3 * np.array([2, 3]) / 13**0.5, rtol=1e-5)
