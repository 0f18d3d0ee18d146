import numpy as np
import pytest

from cpad_jax.ranking import metrics, rejection


def rate(matching, nothing):
    return metrics.equal_error_rate(np.array(matching, float), np.array(nothing, float))


@pytest.mark.parametrize(
    ('matching', 'nothing', 'expected'),
    [
        ([3, 4, 5], [0, 1, 2], 0),
        ([0, 1, 2], [3, 4, 5], 1),
        # Accepting from 2 up misses the 1 and takes the 3: a quarter each.
        ([1, 4, 5, 6], [0, 0.5, 0.7, 3], 0.25),
        # From 3 up: the 2 is missed, the 3 is taken.
        ([2, 5, 6], [1, 3, 0], 1 / 3),
        # From 2 up no miss and half false alarms, from 5 up half missed and none: half way.
        ([2, 5], [1, 2], 0.25),
        # The same scores with and without an answer: from none missed to all missed.
        ([7, 7, 7], [7, 7, 7], 0.5),
    ],
)
def test_equal_error_rate_equals_values_worked_out_by_hand(matching, nothing, expected):
    assert rate(matching, nothing) == pytest.approx(expected)


def test_det_curve_equals_values_worked_out_by_hand():
    result = metrics.det_curve(np.array([1.0, 4, 5, 6]), np.array([0, 0.5, 0.7, 3]))
    np.testing.assert_array_equal(result.thresholds, [0, 0.5, 0.7, 1, 3, 4, 5, 6, np.inf])
    np.testing.assert_array_equal(result.misses, np.array([0, 0, 0, 0, 1, 1, 2, 3, 4]) / 4)
    np.testing.assert_array_equal(result.false_alarms, np.array([4, 3, 2, 1, 1, 0, 0, 0, 0]) / 4)
    assert result.equal_error_rate == (0.25, 3)
    assert [result.miss_rate_at(share) for share in (1, 0.25, 0.1, 0)] == [0, 0, 0.25, 0.25]
    # A query that counts three times is as if it stood there three times.
    weights = np.array([3, 1, 0, 1])
    result = metrics.det_curve(np.array([1.0, 4, 5, 6]), np.array([2.0, 3, 0, 5]), weights)
    again = metrics.det_curve(np.array([1.0, 1, 1, 4, 6]), np.array([2.0, 2, 2, 3, 5]))
    assert result.equal_error_rate[0] == again.equal_error_rate[0]


def test_scores_are_normalised_by_clip():
    background = np.array([[0.0, 1], [2, 1.5]])  # Means 1 and 1.25, spreads 1 and 0.25.
    np.testing.assert_allclose(rejection.by_clip(np.array([[2.0, 2]]), background), [[1, 3]])


SCORES = np.array([[5.0, 4, 1], [1, 2, 3], [2, 9, 2]])
RELEVANT = [(0,), (0, 1), (2,)]


def test_trials_have_the_best_score_with_and_without_relevant_clips():
    result = rejection.trials(SCORES, SCORES, RELEVANT)
    assert result.target.tolist() == [5, 3, 9] and result.nontarget.tolist() == [4, 3, 9]
    assert result.best.tolist() == [1, 2, 1] and result.hits.tolist() == [True, False, False]
    assert result.floor == pytest.approx(1 / 3)
    # Calibrated anew on what is left.
    assert rejection.trials(SCORES, SCORES - 1, RELEVANT).nontarget.tolist() == [3, 2, 8]
    tied = rejection.trials(np.ones((1, 3)), np.ones((1, 3)), [(0,)])
    assert not tied.hits.any() and tied.floor == 0.5


def test_the_floor_bounds_the_equal_error_rate():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(300, 30))
    answers = [(int(n),) for n in rng.integers(30, size=300)]
    for row, (answer,) in zip(scores, answers, strict=True):
        row[answer] += 2 if rng.random() < 0.5 else 50
    result = rejection.trials(scores, scores, answers)
    reached = metrics.equal_error_rate(result.target, result.nontarget)
    assert 0.1 < result.floor <= reached < 0.5


def test_bounds_of_the_equal_error_rate_are_over_people():
    result = rejection.trials(np.tile(SCORES, (20, 1)), np.tile(SCORES, (20, 1)), RELEVANT * 20)
    people = np.repeat(np.arange(20), 3)
    low, high = rejection.bounds(result, people, 100, 0)
    middle = metrics.equal_error_rate(result.target, result.nontarget)
    assert low == high == pytest.approx(middle)  # All people are alike.
    low, high = rejection.bounds(result, np.tile(np.arange(3), 20), 100, 0)
    assert low < middle < high
    assert np.isnan(rejection.bounds(result, np.zeros(60), 10, 0)).all()
