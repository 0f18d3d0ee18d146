import time

import numpy as np
import pytest

from cpad_jax.retrieval import bootstrap, metrics


def people_of(counts):
    return [f'p{i}' for i, count in enumerate(counts) for _ in range(count)]


def test_bounds_of_a_proportion_equal_the_binomial():
    # One query per person, half of 400 right: the bootstrap mean is binomial(400, .5) / 400.
    hits = np.repeat([0.0, 1.0], 200)
    values = {name: hits for name in metrics.METRICS}
    estimate = bootstrap.bounds(values, people_of([1] * 400), samples=20_000)['hit@1']
    assert estimate.value == 0.5
    half_width = 1.959964 * np.sqrt(0.25 / 400)
    assert estimate.low == pytest.approx(0.5 - half_width, abs=0.003)
    assert estimate.high == pytest.approx(0.5 + half_width, abs=0.003)


def test_people_are_drawn_not_queries():
    # 40 people with 10 queries each that share one fate: as uncertain as 40 queries, not 400.
    fate = np.repeat(np.tile([0.0, 1.0], 20), 10)
    values = {name: fate for name in metrics.METRICS}
    estimate = bootstrap.bounds(values, people_of([10] * 40), samples=20_000)['hit@1']
    assert estimate.high - estimate.low == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 40), abs=0.02)


def test_the_median_of_every_sample_is_the_true_median():
    rng = np.random.default_rng(0)
    index = np.sort(rng.integers(0, 6, 25))
    people = [f'p{i}' for i in index]
    ranks = rng.integers(1, 40, 25).astype(float)
    _, numbered = np.unique(index, return_inverse=True)
    draws = bootstrap._draws(len(set(people)), 50, seed=3)
    slow = [np.median(np.repeat(ranks, row[numbered])) for row in draws]
    values = {name: ranks for name in metrics.METRICS}
    estimate = bootstrap.bounds(values, people, samples=50, seed=3)['median_rank']
    assert estimate == pytest.approx((np.median(ranks), *np.quantile(slow, [0.025, 0.975])))


def test_a_paired_difference_is_surer_than_two_bounds():
    rng = np.random.default_rng(1)
    difficulty = rng.uniform(size=300)
    a = (difficulty < 0.55).astype(float)
    b = (difficulty < 0.50).astype(float)
    people = people_of([3] * 100)
    difference = bootstrap.paired_difference(a, b, people)
    assert difference.value == pytest.approx(np.mean(a - b))
    assert 0 < difference.low < difference.value < difference.high
    alone = bootstrap.bounds({name: a for name in metrics.METRICS}, people)['hit@1']
    assert difference.high - difference.low < 0.6 * (alone.high - alone.low)


def test_paired_bounds_equal_the_closed_form():
    rng = np.random.default_rng(2)
    difference = rng.normal(0.1, 1.0, 500)
    estimate = bootstrap.paired_difference(
        difference, np.zeros(500), people_of([1] * 500), samples=20_000
    )
    error = 1.96 * difference.std() / np.sqrt(500)
    assert estimate.low == pytest.approx(difference.mean() - error, abs=0.004)
    assert estimate.high == pytest.approx(difference.mean() + error, abs=0.004)


def test_the_same_method_twice_has_ratio_one_and_difference_zero():
    a, people = np.array([1.0, 0, 1, 1, 0, 1]), list('aabbcc')
    assert bootstrap.ratio(a, people, a, people) == (1, 1, 1)
    assert bootstrap.paired_difference(a, a, people) == (0, 0, 0)


def test_a_ratio_of_strangers_draws_them_independently():
    a, people_a = np.tile([0.0, 1.0], 50), [f'a{i}' for i in range(100)]
    people_b = [f'b{i}' for i in range(100)]
    estimate = bootstrap.ratio(a, people_a, a, people_b)
    assert estimate.value == 1
    assert estimate.low < 0.85 and estimate.high > 1.15
    with pytest.raises(ValueError, match='same people'):
        bootstrap.ratio(a, people_a, a, [*people_b[:-1], 'a0'])


def test_too_little_to_draw_from_gives_no_bounds():
    values = {name: np.ones(2) for name in metrics.METRICS}
    low, high = bootstrap.bounds(values, ['x', 'x'])['hit@1'][1:]
    assert np.isnan(low) and np.isnan(high)
    assert np.isnan(bootstrap.ratio(np.ones(2), ['x', 'y'], np.zeros(2), ['x', 'y']).value)


def test_seeds_and_speed():
    rng = np.random.default_rng(3)
    people = [f'p{i}' for i in rng.integers(0, 300, 3000)]
    values = {name: rng.uniform(size=3000) for name in metrics.METRICS}
    start = time.perf_counter()
    first = bootstrap.bounds(values, people, seed=1)
    assert time.perf_counter() - start < 5
    assert first == bootstrap.bounds(values, people, seed=1)
    assert first != bootstrap.bounds(values, people, seed=2)
