import numpy as np
import pytest

from cpad_jax.ranking import metrics

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


# Our names → those of ranx and of trec_eval, which has no hit@k: it calls it success.
RANX = {'map': 'map', 'mrr': 'mrr'}
RANX |= {f'hit@{k}': f'hit_rate@{k}' for k in metrics.CUTOFFS}
RANX |= {f'recall@{k}': f'recall@{k}' for k in metrics.CUTOFFS}
TREC = {'map': 'map', 'mrr': 'recip_rank'}
TREC |= {f'hit@{k}': f'success_{k}' for k in metrics.CUTOFFS}
TREC |= {f'recall@{k}': f'recall_{k}' for k in metrics.CUTOFFS}


def random_runs(seed, levels, unanswered):
    """Scores [25, 60] of so many levels, and relevant clips, of some queries none."""
    rng = np.random.default_rng(seed)
    scores = rng.permutation(25 * 60).reshape(25, 60) % levels
    relevant = [rng.choice(60, rng.integers(1, 8), replace=False) for _ in range(25)]
    for query in range(unanswered):
        relevant[query * 2] = np.array([], int)
    return scores.astype(float), relevant


def pessimistic(scores, relevant):
    """The same scores without ties: of clips that tie, the relevant ones stand last.

    Both peers order ties by something of their own (ranx as its sort leaves them, trec_eval by
    name); our rule is applied to the scores, and they rank those.
    """
    untied = scores.copy()
    for row, own in zip(untied, relevant, strict=True):
        wrong = np.ones(len(row), bool)
        wrong[own] = False
        order = np.lexsort((wrong, row))
        row[order] = np.arange(len(row))
    return untied


RUNS = [(2, 1500, 0), (3, 1500, 6), (4, 5, 0), (5, 5, 6), (6, 1, 3)]


@pytest.mark.parametrize(('seed', 'levels', 'unanswered'), RUNS)
def test_metrics_equal_ranx(seed, levels, unanswered):
    ranx = pytest.importorskip('ranx')
    scores, relevant = random_runs(seed, levels, unanswered)
    untied = pessimistic(scores, relevant)
    # ranx has no word for a query without answers: it is left out there, as our means do.
    queries = [q for q in range(len(relevant)) if len(relevant[q])]
    qrels = ranx.Qrels({f'q{q:02d}': {f'c{c}': 1 for c in relevant[q]} for q in queries})
    run = ranx.Run({f'q{q:02d}': {f'c{c}': untied[q, c] for c in range(60)} for q in queries})
    ours = metrics.query_metrics(metrics.relevant_ranks(scores, relevant))
    theirs = ranx.evaluate(qrels, run, list(RANX.values()), return_mean=False)
    for name, their_name in RANX.items():
        np.testing.assert_allclose(ours[name][queries], theirs[their_name], err_msg=name)
        assert metrics.summary(name, ours[name]) == pytest.approx(theirs[their_name].mean()), name
    assert np.isnan(np.delete(ours['map'], queries)).all()


@pytest.mark.parametrize(('seed', 'levels', 'unanswered'), RUNS)
def test_metrics_equal_trec_eval(seed, levels, unanswered):
    pytrec_eval = pytest.importorskip('pytrec_eval')
    scores, relevant = random_runs(seed, levels, unanswered)
    untied = pessimistic(scores, relevant)
    qrels = {f'q{q}': {f'c{c}': 1 for c in own} for q, own in enumerate(relevant)}
    run = {f'q{q}': {f'c{c}': float(untied[q, c]) for c in range(60)} for q in range(25)}
    measures = {'map', 'recip_rank', 'success.1,5,10', 'recall.1,5,10'}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run)
    ours = metrics.query_metrics(metrics.relevant_ranks(scores, relevant))
    for q, own in enumerate(relevant):
        for name, their_name in TREC.items():
            if len(own):
                assert ours[name][q] == pytest.approx(theirs[f'q{q}'][their_name]), name
            else:  # trec_eval leaves such a query out.
                assert np.isnan(ours[name][q]) and f'q{q}' not in theirs


def test_trec_eval_orders_ties_by_name_and_we_against_the_query():
    pytrec_eval = pytest.importorskip('pytrec_eval')
    evaluator = pytrec_eval.RelevanceEvaluator({'q': {'c9': 1}}, {'recip_rank'})
    theirs = evaluator.evaluate({'q': {'c1': 1.0, 'c5': 1.0, 'c9': 1.0}})
    assert theirs['q']['recip_rank'] == 1  # The last name comes first.
    assert first_ranks([1, 1, 1], 2) == [3]


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match='not finite'):
        first_ranks([np.nan, np.nan, np.nan], 0)


def test_the_summary_is_the_median_of_ranks_and_the_mean_of_others():
    values = np.array([1, 2, np.nan, 9.0])
    assert metrics.summary('median_rank', values) == 2
    assert metrics.summary('map', values) == metrics.summary('hit@1', values) == 4
    assert np.isnan(metrics.summary('median_rank', values[2:3]))


def test_mean_retrieval_equals_values_worked_out_by_hand():
    true = np.array([[True, False, True, False], [False, True, False, False]])
    scores = np.array([[0.9, 0.8, 0.7, 0.1], [0.5, 0.4, 0.3, 0.2]])
    # Relevant at 1 and 3 of the first query, at 2 of the second.
    means = metrics.mean_retrieval(scores, true)
    assert means['hit@1'] == 0.5
    assert means['map'] == pytest.approx(((1 + 2 / 3) / 2 + 1 / 2) / 2)


def test_a_tie_counts_against_relevant_clips_whatever_their_order():
    # The same score for every clip has no hits, in every order of the clips.
    true = np.eye(5, dtype=bool)
    means = metrics.mean_retrieval(np.zeros((5, 5)), true)
    assert means == {'map': pytest.approx(1 / 5), 'hit@1': 0}
    # Two of four share the best score; the relevant one is first or second.
    for first in (0, 1):
        true = np.zeros((1, 4), bool)
        true[0, first] = True
        means = metrics.mean_retrieval(np.array([[0.5, 0.5, 0.1, 0.2]]), true)
        assert means == {'map': 0.5, 'hit@1': 0}


RANKS = [np.array([1, 25, 26, 51]), np.array([3]), np.array([2, 3])]


def test_recall_r_precision_and_last_rank_equal_values_worked_out_by_hand():
    assert metrics.recall_at_k(RANKS, 25).tolist() == [0.5, 1, 1]
    assert metrics.recall_at_k(RANKS, 2).tolist() == [0.25, 0, 0.5]
    assert metrics.r_precision(RANKS).tolist() == [0.25, 0, 0.5]
    assert metrics.last_rank(RANKS).tolist() == [51, 3, 3]
    assert np.isnan(metrics.recall_at_k([np.array([], int)], 5)).all()


def test_accuracy_is_the_share_of_queries_whose_best_clip_is_relevant():
    scores = np.array([[0.1, 0.9], [0.8, 0.2], [0.5, 0.5], [0.3, 0.4]])
    relevant = np.array([[False, True], [False, True], [True, False], [True, True]])
    assert metrics.accuracy(scores, relevant) == 0.75


@pytest.mark.parametrize(
    ('positive', 'negative', 'area'),
    [([3, 4], [1, 2], 1), ([1, 2], [3, 4], 0), ([1, 1], [1], 0.5), ([4, 2], [2, 1], 0.875)],
)
def test_the_area_under_roc_counts_pairs_in_order(positive, negative, area):
    assert metrics.area_under_roc(np.array(positive), np.array(negative)) == area


def test_members_rank_first_in_a_tie_of_the_top():
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    assert metrics.share_in_top_k(scores, (1, 3), 2) == 0.5
    assert metrics.share_in_top_k(np.zeros(4), (1, 3), 2) == 1
    assert metrics.share_in_top_k(scores, (), 2) == 0
