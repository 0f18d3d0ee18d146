import numpy as np
import pytest

from cpad_jax.retrieval import metrics

# By score: clips 2 1 5 0 3 4 for the first query.
SCORES = np.array(
    [
        [0.3, 0.8, 0.9, 0.2, 0.1, 0.5],
        [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
        [0.6, 0.5, 0.4, 0.3, 0.2, 0.1],
    ]
)
RELEVANT = [np.array([0, 1]), np.array([], int), np.array([5])]


def first_ranks(scores, *relevant):
    return metrics.relevant_ranks(np.asarray([scores], float), [np.array(relevant)])[0].tolist()


def test_ranks_and_metrics_equal_values_worked_out_by_hand():
    ranks = metrics.relevant_ranks(SCORES, RELEVANT)
    assert [own.tolist() for own in ranks] == [[2, 4], [], [6]]
    values = metrics.query_metrics(ranks)
    nan = np.nan
    expected = {
        'hit@1': [0, nan, 0],
        'hit@5': [1, nan, 0],
        'hit@10': [1, nan, 1],
        'recall@1': [0, nan, 0],
        'recall@5': [1, nan, 0],
        'recall@10': [1, nan, 1],
        'map': [(1 / 2 + 2 / 4) / 2, nan, 1 / 6],
        'mrr': [1 / 2, nan, 1 / 6],
        'median_rank': [2, nan, 6],
    }
    assert tuple(values) == tuple(expected) == metrics.NAMES
    for name, value in expected.items():
        np.testing.assert_allclose(values[name], value, err_msg=name)
    # A query without an answer is left out.
    assert metrics.summary('hit@5', values['hit@5']) == 0.5
    assert metrics.summary('median_rank', values['median_rank']) == 4
    assert metrics.summary('map', values['map']) == pytest.approx((0.5 + 1 / 6) / 2)
    assert np.isnan(metrics.summary('map', np.array([nan])))


def test_recall_is_the_share_of_all_relevant_clips():
    values = metrics.query_metrics([np.array([1, 4, 8, 16])])
    assert [values[f'recall@{k}'][0] for k in (1, 5, 10)] == [0.25, 0.5, 0.75]
    assert [values[f'hit@{k}'][0] for k in (1, 5, 10)] == [1, 1, 1]


def test_a_tie_counts_against_the_query():
    assert first_ranks([0] * 7, 0, 3) == [6, 7]
    # One irrelevant clip ties with the better relevant one, two with the worse.
    scores = [5, 5, 4, 4, 4, 1]
    assert first_ranks(scores, 0, 2) == [2, 5]
    # Relevant clips that tie with each other do not hinder each other.
    assert first_ranks(scores, 0, 1) == [1, 2]


def test_ranks_do_not_depend_on_the_order_of_the_gallery():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, (20, 40)).astype(float)  # Many ties.
    relevant = [rng.choice(40, rng.integers(1, 6), replace=False) for _ in range(20)]
    order = rng.permutation(40)
    moved = [np.argsort(order)[clips] for clips in relevant]
    before = metrics.relevant_ranks(scores, relevant)
    after = metrics.relevant_ranks(scores[:, order], moved)
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


def test_metrics_equal_ranx():
    ranx = pytest.importorskip('ranx')
    rng = np.random.default_rng(2)
    queries, clips = 25, 60
    scores = rng.permutation(queries * clips).reshape(queries, clips).astype(float)  # No ties.
    relevant = [rng.choice(clips, rng.integers(1, 8), replace=False) for _ in range(queries)]
    qrels = ranx.Qrels(
        {f'q{q:02d}': {f'c{c}': 1 for c in found} for q, found in enumerate(relevant)}
    )
    run = ranx.Run(
        {f'q{q:02d}': {f'c{c}': scores[q, c] for c in range(clips)} for q in range(queries)}
    )
    names = {'map': 'map', 'mrr': 'mrr'}
    names |= {f'hit@{k}': f'hit_rate@{k}' for k in metrics.CUTOFFS}
    names |= {f'recall@{k}': f'recall@{k}' for k in metrics.CUTOFFS}
    theirs = ranx.evaluate(qrels, run, list(names.values()))
    ours = metrics.query_metrics(metrics.relevant_ranks(scores, relevant))
    for name, their_name in names.items():
        assert metrics.summary(name, ours[name]) == pytest.approx(theirs[their_name]), name


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match='not finite'):
        first_ranks([np.nan, np.nan, np.nan], 0)
