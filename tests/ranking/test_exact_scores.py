import numpy as np
import pytest

from cpad_jax.ranking import exact_scores, metrics


def directions(rng, count, width=16):
    vectors = rng.normal(size=(count, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def world():
    """53 queries and 200 clips, a third of which are one and the same clip."""
    rng = np.random.default_rng(0)
    queries, gallery = directions(rng, 53), directions(rng, 200)
    gallery[::3] = gallery[0]
    relevant = [tuple(rng.choice(200, rng.integers(0, 4), replace=False)) for _ in range(53)]
    return queries, gallery, relevant


def full(queries, gallery, relevant):
    """Ranks from the whole matrix of scores at once."""
    matrix = exact_scores.quantise(queries) @ exact_scores.quantise(gallery).T
    result = metrics.relevant_ranks(matrix, [np.array(r, int) for r in relevant])
    return [own.tolist() for own in result]


@pytest.mark.parametrize('chunk', [1, 7, 53, 1000])
@pytest.mark.parametrize('clips', [1, 13, 200, 1000])
def test_chunks_equal_the_whole(world, chunk, clips):
    result = exact_scores.ranks(*world, chunk, clips)
    assert [own.tolist() for own in result] == full(*world)


def test_scores_are_exact_so_that_no_shape_of_matrices_changes_them():
    rng = np.random.default_rng(1)
    queries, gallery = directions(rng, 40, 512), directions(rng, 501, 512)
    gallery[::5] = gallery[0]
    whole = exact_scores.quantise(queries) @ exact_scores.quantise(gallery).T
    assert (whole[:, ::5] == whole[:, :1]).all()
    # Python's whole numbers know no rounding.
    numbers = exact_scores.quantise(queries[0]), exact_scores.quantise(gallery[1])
    exact = sum(int(a) * int(b) for a, b in zip(*numbers, strict=True))
    assert int(whole[0, 1]) == exact
    np.testing.assert_allclose(whole / 2**52, queries @ gallery.T, atol=2e-7)


def test_equal_clips_count_against_the_query_at_any_position():
    rng = np.random.default_rng(2)
    queries, gallery = directions(rng, 30, 512), directions(rng, 997, 512)
    gallery[[5, 400, 996]] = queries[0]
    (own, *_) = exact_scores.ranks(queries, gallery, [(400,)] * 30)
    assert own.tolist() == [3]
    (own, *_) = exact_scores.ranks(queries[:1], gallery, [(5, 996)])
    assert own.tolist() == [2, 3]


@pytest.mark.parametrize('bad', [np.nan, np.inf, 3.0])
def test_embeddings_that_are_not_normalised_are_refused(world, bad):
    queries, gallery, relevant = world
    gallery[150, 3] = bad
    with pytest.raises(ValueError, match='an embedding has norm'):
        exact_scores.ranks(queries, gallery, relevant)


def test_the_best_clips_come_first_and_ties_in_the_order_of_the_gallery():
    gallery = np.array([[0, 1], [1, 0], [0.6, 0.8], [1, 0]], np.float32)
    assert exact_scores.best(np.array([1, 0], np.float32), gallery, 3).tolist() == [1, 3, 2]
