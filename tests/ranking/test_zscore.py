import numpy as np

from cpad_jax.ranking.zscore import zscore

NAN = np.nan


def test_zscores_equal_values_worked_out_by_hand():
    result = zscore(
        np.array([[1, 2, 3, NAN], [5, 5, 5, NAN], [NAN] * 4, [0.1, 0.1, 0.1, NAN], [0, 4, 0, 4]])
    )
    half = np.sqrt(1.5)
    np.testing.assert_allclose(
        result, [[-half, 0, half, 0], [0] * 4, [0] * 4, [0] * 4, [-1, 1, -1, 1]], atol=1e-12
    )


def test_zscores_may_be_over_some_clips():
    scores = np.array([[1.0, 3, 100, NAN]])
    some = np.array([[True, True, False, True]])
    np.testing.assert_allclose(zscore(scores, some), [[-1, 1, 98, 0]])
    assert abs(zscore(scores).mean()) < 1e-12
