import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cpad_jax.training import losses


def test_multi_positive_by_hand():
    logits = jnp.array([[2.0, 1.0], [0.0, 3.0]])
    e = np.exp
    rows = np.log(1 + e(-1)) + np.log(1 + e(-3))
    columns = np.log(1 + e(-2)) + np.log(1 + e(-2))
    single = losses.multi_positive(logits, jnp.eye(2, dtype=bool))
    assert float(single) == pytest.approx((rows + columns) / 4, rel=1e-6)
    # Both columns are right for the first row: its target is half and half.
    positive = jnp.array([[True, True], [False, True]])
    rows = (np.log(1 + e(-1)) + np.log(1 + e(1))) / 2 + np.log(1 + e(-3))
    columns = np.log(1 + e(-2)) + (np.log(1 + e(2)) + np.log(1 + e(-2))) / 2
    both = losses.multi_positive(logits, positive)
    assert float(both) == pytest.approx((rows + columns) / 4, rel=1e-6)
    # A row that has no answer counts nothing, and neither does a column.
    lonely = losses.multi_positive(logits, jnp.array([[True, False], [False, False]]))
    assert float(lonely) == pytest.approx((np.log(1 + e(-1)) + np.log(1 + e(-2))) / 2, rel=1e-6)


def test_contrastive_by_hand():
    queries = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    gallery = jnp.array([[0.6, 0.8], [0.8, -0.6], [0.0, 1.0]])
    labels = jnp.array([4, 7]), jnp.array([4, 4, 7])
    logits = 10 * np.array([[0.6, 0.8, 0.0], [0.8, -0.6, 1.0]])
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    q = np.exp(logits) / np.exp(logits).sum(0, keepdims=True)
    rows = -(np.log(p[0, 0] * p[0, 1]) / 2 + np.log(p[1, 2])) / 2
    columns = -np.log(q[0, 0] * q[0, 1] * q[1, 2]) / 3
    value = losses.contrastive(queries, gallery, *labels, 10.0)
    assert float(value) == pytest.approx((rows + columns) / 2, rel=1e-5)


def test_contrastive_of_different_people_is_plain_infonce():
    rng = np.random.default_rng(0)
    x, y = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in rng.normal(size=(2, 5, 8)))
    logits = 20 * x @ y.T
    rows = np.log(np.exp(logits).sum(1)) - np.diag(logits)
    columns = np.log(np.exp(logits).sum(0)) - np.diag(logits)
    labels = jnp.array([3, 1, 4, 9, 5])
    value = losses.contrastive(jnp.asarray(x), jnp.asarray(y), labels, labels, 20.0)
    assert float(value) == pytest.approx((rows.mean() + columns.mean()) / 2, rel=1e-5)


def test_contrastive_is_stable_and_takes_half_precision():
    x = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    labels = jnp.array([0, 1])
    value, grad = jax.value_and_grad(losses.contrastive)(x, x, labels, labels, 1e4)
    assert float(value) == 0.0 and np.isfinite(grad).all()
    swapped = losses.contrastive(x, x[::-1], labels, labels, 1e4)
    assert float(swapped) == pytest.approx(1e4)
    half = x.astype(jnp.bfloat16)
    assert losses.contrastive(half, half, labels, labels, 10.0).dtype == jnp.float32


def test_composition_by_hand():
    base = jnp.array([[1.0, 1.0], [0.0, 0.0]])
    moved = base + jnp.array([[2.0, 0.0], [3.0, 4.0]])
    reference = jnp.array([[1.0, 0.0], [0.0, 5.0]])
    direction, length = losses.composition(moved, base, reference)
    assert float(direction) == pytest.approx((0 + 0.2) / 2, abs=1e-6)
    assert float(length) == pytest.approx(np.log(2) ** 2 / 2, rel=1e-5)


def test_composition_of_no_step_has_a_gradient():
    x = jnp.array([[0.6, 0.8]])
    grad = jax.grad(lambda moved: sum(losses.composition(moved, x, x)))(x)
    assert np.isfinite(grad).all()


def test_cross_form_consistency_by_hand_moves_the_pupil_only():
    x, y = jnp.array([[1.0, 0.0], [0.0, 1.0]]), jnp.array([[0.6, 0.8], [0.0, 1.0]])
    assert float(losses.cross_form_consistency(x, y)) == pytest.approx((0.4 + 0) / 2)
    pupil, teacher = jax.grad(losses.cross_form_consistency, argnums=(0, 1))(x, y)
    np.testing.assert_allclose(pupil, -y / 2)
    assert not np.asarray(teacher).any()


def test_plain_clip_teaches_what_it_knows():
    taught = np.eye(3, 4, dtype=np.float32)
    plain = np.array([[0, 1, 0, 0], [0, 1, 0, 0], [0, 0, -1, 0]], np.float32)
    # 1 − cos is 1, 0 and 2.
    assert float(
        losses.name_distillation(taught, plain, np.array([1.0, 1.0, 0.0]))
    ) == pytest.approx(0.5)
    assert float(
        losses.name_distillation(taught, plain, np.array([0.0, 0.0, 1.0]))
    ) == pytest.approx(2)
    assert float(losses.name_distillation(taught, plain, np.zeros(3))) == 0
    gradients = jax.grad(losses.name_distillation, argnums=(0, 1))(
        taught, plain, np.array([1.0, 0.0, 0.0])
    )
    assert np.abs(gradients[0][0]).max() > 0 and not np.abs(gradients[0][1:]).any()
    assert not np.abs(gradients[1]).any()


def test_max_margin_by_hand():
    scores = np.array([[1.0, 0.95], [0.5, 0.2]])
    # Against the right clip 0.05 and 0.4, against the right query 0.85 and nothing; two pairs.
    found = losses.max_margin(scores, np.eye(2, dtype=bool), 0.1)
    assert float(found) == pytest.approx((0.05 + 0.85 + 0.4) / 4)
