import numpy as np
import pytest

from cpad_jax.ranking.bootstrap import (
    PersonBootstrap,
    Run,
    over_runs,
    paired_difference,
    ratio,
    ratio_over_runs,
)


def people_of(counts):
    return np.repeat([f'p{i}' for i in range(len(counts))], counts)


def test_bounds_of_a_proportion_equal_the_binomial():
    # One query per person, half of 400 right: the bootstrap mean is binomial(400, 1/2) / 400.
    hits = np.repeat([0.0, 1.0], 200)
    low, high = PersonBootstrap(people_of([1] * 400), 20_000, seed=0).bounds('hit@1', hits)
    half_width = 1.959964 * np.sqrt(0.25 / 400)
    assert low == pytest.approx(0.5 - half_width, abs=0.003)
    assert high == pytest.approx(0.5 + half_width, abs=0.003)


def test_the_bootstrap_is_over_people_not_queries():
    # 40 people with 10 queries each that share one fate: as uncertain as 40 queries, not 400.
    fate = np.repeat(np.tile([0.0, 1.0], 20), 10)
    low, high = PersonBootstrap(people_of([10] * 40), 20_000, seed=0).bounds('hit@1', fate)
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 40), abs=0.02)


def test_the_median_of_every_sample_is_the_true_median():
    rng = np.random.default_rng(0)
    people = np.sort(rng.integers(0, 6, 25))
    ranks = rng.integers(1, 40, 25).astype(float)
    drawn = PersonBootstrap(people, 50, seed=3)
    slow = [np.median(np.repeat(ranks, row[people])) for row in drawn._weights]
    assert drawn.bounds('median_rank', ranks) == pytest.approx(np.percentile(slow, [2.5, 97.5]))


def test_queries_without_an_answer_are_left_out():
    people = people_of([2] * 50)
    values = np.tile([1.0, np.nan], 50)
    drawn = PersonBootstrap(people, 100, seed=0)
    assert drawn.bounds('hit@1', values) == (1, 1)
    assert drawn.bounds('median_rank', values) == (1, 1)


def test_a_paired_difference_has_narrower_bounds_than_two_means():
    difficulty = np.random.default_rng(1).uniform(size=300)
    a, b = (difficulty < 0.55).astype(float), (difficulty < 0.50).astype(float)
    people = people_of([3] * 100)
    result = paired_difference(a, b, people, 1000, seed=0)
    assert result['difference'] == pytest.approx(np.mean(a - b))
    assert 0 < result['low'] < result['difference'] < result['high']
    low, high = PersonBootstrap(people, 1000, seed=0).bounds('hit@1', a)
    assert result['high'] - result['low'] < 0.6 * (high - low)
    assert paired_difference(a, a, people, 100, 0) == {'difference': 0, 'low': 0, 'high': 0}


def test_paired_bounds_equal_the_closed_form():
    difference = np.random.default_rng(2).normal(0.1, 1.0, 500)
    result = paired_difference(difference, np.zeros(500), people_of([1] * 500), 20_000, seed=0)
    error = 1.96 * difference.std() / np.sqrt(500)
    assert result['low'] == pytest.approx(difference.mean() - error, abs=0.004)
    assert result['high'] == pytest.approx(difference.mean() + error, abs=0.004)


@pytest.mark.parametrize('metric', ['hit@1', 'median_rank'])
def test_one_person_gives_no_bounds(metric):
    one = PersonBootstrap(people_of([5]), 100, seed=0)
    assert np.isnan(one.bounds(metric, np.ones(5))).all()


def test_the_seed_decides():
    rng = np.random.default_rng(3)
    people, values = rng.integers(0, 300, 3000), rng.uniform(size=3000)
    first = PersonBootstrap(people, 1000, seed=1).bounds('mrr', values)
    assert first == PersonBootstrap(people, 1000, seed=1).bounds('mrr', values)
    assert first != PersonBootstrap(people, 1000, seed=2).bounds('mrr', values)


def test_ratio_of_two_groups_equals_the_closed_form():
    rng = np.random.default_rng(4)
    a, b = rng.normal(3.0, 1.0, 400), rng.normal(4.0, 1.0, 900)
    result = ratio(
        (a, people_of([1] * 400)), (b, np.char.add('q', people_of([1] * 900))), 20_000, seed=0
    )
    assert result['ratio'] == pytest.approx(a.mean() / b.mean())
    spread = result['ratio'] * np.hypot(a.std() / a.mean() / 20, b.std() / b.mean() / 30)
    assert result['high'] - result['low'] == pytest.approx(2 * 1.96 * spread, rel=0.05)


def test_ratio_on_the_same_queries_is_drawn_together():
    people, values = people_of([2] * 50), np.random.default_rng(5).uniform(size=100)
    half = ratio((values / 2, people), (values, people), 200, seed=0)
    assert (half['low'], half['high']) == (pytest.approx(0.5), pytest.approx(0.5))
    assert np.isnan(ratio((values, people), (0 * values, people), 50, seed=0)['ratio'])
    alone = ratio((values[:2], people[:2]), (values, people), 50, seed=0)
    assert alone['ratio'] > 0 and np.isnan(alone['low'])


def runs_of(values, seeds=(0,), people=None):
    """One run per seed, each of the same people with the values of its row."""
    people = people_of([1] * len(values[0])) if people is None else people
    return [
        Run(seed, people, np.array(own, float)) for seed, own in zip(seeds, values, strict=True)
    ]


def test_one_seed_and_one_world_are_drawn_as_people_are():
    rng = np.random.default_rng(6)
    people, values = rng.integers(0, 40, 200).astype(str), rng.uniform(size=200)
    result = over_runs([Run(0, people, values)], 500, seed=3)
    bounds = PersonBootstrap(people, 500, seed=3).mean_bounds(values)
    assert (result['low'], result['high']) == pytest.approx(bounds)
    assert result['mean'] == pytest.approx(values.mean())


def test_bounds_over_seeds_equal_values_worked_out_by_hand():
    # All people alike, so that only the seeds count: the mean of three draws of 0, 0.3 and 0.6.
    result = over_runs(runs_of([[0.0] * 9, [0.3] * 9, [0.6] * 9], (5, 6, 7)), 20_000, seed=0)
    assert result['mean'] == pytest.approx(0.3)
    # Of 27 draws one is all 0 and one all 0.6 (3.7 % each): more than 2.5 %.
    assert (result['low'], result['high']) == (pytest.approx(0), pytest.approx(0.6))
    # Two people who differ, and one seed: of four draws one is twice the first.
    result = over_runs(runs_of([[0.0, 1.0]]), 20_000, seed=0)
    assert (result['mean'], result['low'], result['high']) == (0.5, 0, 1)


def test_seeds_widen_the_bounds_of_people_alone():
    rng = np.random.default_rng(7)
    values = rng.normal(0.5, 0.1, 400)
    moved = [values - 0.1, values, values + 0.1]
    result = over_runs(runs_of(moved, (0, 1, 2)), 20_000, seed=0)
    # Variances add: of people's mean 0.1² / 400, of three drawn seeds' mean 0.02 / 3 / 3.
    error = 1.96 * np.sqrt(values.var() / 400 + (0.02 / 3) / 3)
    assert result['high'] - result['mean'] == pytest.approx(error, rel=0.12)


def test_worlds_count_the_same_and_are_not_drawn():
    # 90 queries of one world and 10 of another, about other people: neither varies within itself.
    one, two = people_of([1] * 90), np.char.add('w', people_of([1] * 10))
    result = over_runs([Run(0, one, np.full(90, 0.2)), Run(0, two, np.full(10, 0.6))], 300, seed=0)
    # A hundred people drawn anew miss all ten of the second world in 3 of 100,000 draws.
    assert result == {'mean': pytest.approx(0.4), 'low': pytest.approx(0.4),
                     'high': pytest.approx(0.4)}  # fmt: skip


def test_a_ratio_over_runs_draws_shared_seeds_and_people_together():
    rng = np.random.default_rng(8)
    whole = rng.uniform(0.5, 1, (3, 60))
    half = ratio_over_runs(runs_of(whole / 2, (0, 1, 2)), runs_of(whole, (0, 1, 2)), 300, seed=0)
    assert [half[key] for key in ('ratio', 'low', 'high')] == pytest.approx([0.5] * 3)
    # Seeds that differ in all by a factor leave the ratio of two groups of people alone.
    scaled = [np.full(30, 0.2), np.full(30, 0.4), np.full(30, 0.8)]
    others = np.char.add('q', people_of([1] * 30))
    result = ratio_over_runs(
        runs_of(scaled, (0, 1, 2)), runs_of([2 * own for own in scaled], (0, 1, 2), others), 300, 0
    )
    assert [result[key] for key in ('ratio', 'low', 'high')] == pytest.approx([0.5] * 3)
    assert np.isnan(ratio_over_runs(runs_of(whole[:1]), runs_of(0 * whole[:1]), 20, 0)['ratio'])


def test_runs_of_one_person_give_no_bounds():
    result = over_runs(runs_of([[0.5, 1]], people=people_of([2])), 50, seed=0)
    assert result['mean'] == 0.75 and np.isnan(result['low'])
