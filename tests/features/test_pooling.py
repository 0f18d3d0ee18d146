import numpy as np

from cpad_jax.features import pooling


def test_spread_evenly_by_hand():
    assert pooling.spread_evenly(8, 4).tolist() == [1, 3, 5, 7]
    assert pooling.spread_evenly(20, 1).tolist() == [10]
    assert pooling.spread_evenly(2, 4).tolist() == [0, 1]


def test_mean_direction_by_hand():
    frames = np.array([[[3, 4], [0, 0]], [[1, 0], [0, 1]]], np.float16)
    np.testing.assert_allclose(
        pooling.mean_direction(frames), [[0.6, 0.8], [0.5**0.5, 0.5**0.5]], rtol=1e-6
    )
    assert pooling.mean_direction(np.zeros((1, 2, 3))).tolist() == [[0, 0, 0]]
    np.testing.assert_allclose(pooling.normalize([[3, 4], [0, 0]]), [[0.6, 0.8], [0, 0]], rtol=1e-6)
