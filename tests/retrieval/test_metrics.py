import numpy as np
import pytest

from cpad_jax.retrieval import metrics

# Clips a … f; by score c b f a d e for the first query.
SCORES = np.array(
    [
        [0.3, 0.8, 0.9, 0.2, 0.1, 0.5],
        [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
        [0.6, 0.5, 0.4, 0.3, 0.2, 0.1],
    ]
)
RELEVANT = [[0, 1], [], [5]]


def test_ranks_and_metrics_equal_values_worked_out_by_hand():
    ranks = metrics.rank_relevant(SCORES, RELEVANT)
    np.testing.assert_array_equal(ranks.of(0), [2, 4])
    np.testing.assert_array_equal(ranks.of(1), [])
    np.testing.assert_array_equal(ranks.of(2), [6])
    np.testing.assert_array_equal(ranks.answered, [True, False, True])
    values = metrics.per_query(ranks)
    expected = {
        'hit@1': [0, 0],
        'hit@5': [1, 0],
        'hit@10': [1, 1],
        'recall@1': [0, 0],
        'recall@5': [1, 0],
        'recall@10': [1, 1],
        'map': [(1 / 2 + 2 / 4) / 2, 1 / 6],
        'mrr': [1 / 2, 1 / 6],
        'median_rank': [2, 6],
    }
    assert tuple(values) == tuple(expected) == metrics.METRICS
    for name, value in expected.items():
        np.testing.assert_allclose(values[name], value, err_msg=name)
    summary = metrics.summarise(values)
    assert summary['hit@5'] == 0.5
    assert summary['median_rank'] == 4
    assert summary['map'] == pytest.approx((0.5 + 1 / 6) / 2)


def test_recall_is_the_share_of_all_relevant_clips():
    scores = -np.arange(20.0)[None]
    values = metrics.per_query(metrics.rank_relevant(scores, [[0, 3, 7, 15]]))
    assert [values[f'recall@{k}'][0] for k in (1, 5, 10)] == [0.25, 0.5, 0.75]
    assert [values[f'hit@{k}'][0] for k in (1, 5, 10)] == [1, 1, 1]


def test_a_tie_counts_against_the_query():
    ranks = metrics.rank_relevant(np.zeros((1, 7)), [[0, 3]])
    np.testing.assert_array_equal(ranks.of(0), [6, 7])
    # One irrelevant clip ties with the better relevant one, two with the worse.
    scores = np.array([[5.0, 5.0, 4.0, 4.0, 4.0, 1.0]])
    np.testing.assert_array_equal(metrics.rank_relevant(scores, [[0, 2]]).of(0), [2, 5])
    # Relevant clips that tie with each other do not hinder each other.
    np.testing.assert_array_equal(metrics.rank_relevant(scores, [[0, 1]]).of(0), [1, 2])


def test_ranks_do_not_depend_on_the_order_of_the_gallery():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, (20, 40)).astype(float)  # Many ties.
    relevant = [rng.choice(40, rng.integers(1, 6), replace=False) for _ in range(20)]
    order = rng.permutation(40)
    moved = [np.argsort(order)[clips] for clips in relevant]
    a = metrics.rank_relevant(scores, relevant)
    b = metrics.rank_relevant(scores[:, order], moved)
    np.testing.assert_array_equal(a.ranks, b.ranks)


def test_chunks_equal_the_whole(monkeypatch):
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(31, 50)).round(1)
    relevant = [rng.choice(50, rng.integers(0, 5), replace=False) for _ in range(31)]
    whole = metrics.rank_relevant(scores, relevant)
    monkeypatch.setattr(metrics, '_BLOCK', 120)
    parts = metrics.concatenate(
        metrics.rank_relevant(scores[i : i + 7], relevant[i : i + 7]) for i in range(0, 31, 7)
    )
    np.testing.assert_array_equal(parts.ranks, whole.ranks)
    np.testing.assert_array_equal(parts.offsets, whole.offsets)


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
        {
            f'q{q:02d}': {f'c{c}': float(scores[q, c]) for c in range(clips)}
            for q in range(queries)
        }
    )
    names = {'map': 'map', 'mrr': 'mrr'}
    names |= {f'hit@{k}': f'hit_rate@{k}' for k in metrics.KS}
    names |= {f'recall@{k}': f'recall@{k}' for k in metrics.KS}
    theirs = ranx.evaluate(qrels, run, list(names.values()))
    ours = metrics.summarise(metrics.per_query(metrics.rank_relevant(scores, relevant)))
    for name, their_name in names.items():
        assert ours[name] == pytest.approx(theirs[their_name], abs=1e-9), name


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match='not finite'):
        metrics.rank_relevant(np.array([[0.0, np.nan]]), [[0]])


def test_no_query_at_all_gives_nan():
    values = metrics.per_query(metrics.rank_relevant(np.zeros((0, 3)), []))
    assert all(np.isnan(v) for v in metrics.summarise(values).values())
