import numpy as np
import pytest

from cpad_jax.retrieval import metrics, scores


@pytest.fixture
def world():
    rng = np.random.default_rng(0)
    unit = [rng.normal(size=(n, 16)).astype(np.float32) for n in (53, 200)]
    queries, gallery = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in unit)
    relevant = [tuple(rng.choice(200, rng.integers(0, 4), replace=False)) for _ in range(53)]
    return queries, gallery, relevant


@pytest.mark.parametrize('chunk', [1, 7, 53, 1000])
def test_chunks_equal_the_whole(world, chunk):
    queries, gallery, relevant = world
    whole = metrics.relevant_ranks(queries @ gallery.T, [np.array(r, int) for r in relevant])
    found = scores.ranks(queries, gallery, relevant, chunk)
    assert [own.tolist() for own in found] == [own.tolist() for own in whole]


def test_a_chunk_is_all_that_is_held(world):
    queries, gallery, _ = world
    pieces = [(piece, part.shape) for piece, part in scores.score_chunks(queries, gallery, 20)]
    assert pieces == [
        (slice(0, 20), (20, 200)), (slice(20, 40), (20, 200)), (slice(40, 53), (13, 200)),
    ]  # fmt: skip
