import numpy as np
import pytest

from cpad_jax.methods import fusion
from cpad_jax.ranking import scorers
from cpad_jax.ranking.method import IMAGE, NO_PERSON, Method
from cpad_jax.ranking.query import Query

NAN = np.nan
ROW = Method('a row', IMAGE)


def queries(*relevant):
    return [
        Query(str(n), 'action', 'ada', 'Ada', True, 'Eat', None, own, ())
        for n, own in enumerate(relevant)
    ]


class Encoder:
    """Embeds query n as row n of what is drawn for a method."""

    def __init__(self, **drawn):
        self.drawn = drawn

    def encode(self, method, some):
        return np.array([self.drawn[method.name][int(query.query_id)] for query in some])


def faces(rows):
    return lambda some: np.array([rows[int(query.query_id)] for query in some], np.float64)


# Clips 0 and 1 show what is done, 1 and 2 who does it.
GALLERY = np.array([[1, 0], [0.8, 0.6], [0, 1]], np.float32)
DONE = {'CLIP': [[1, 0]] * 2}
SEEN = [[0.0, 0.9, 1.0]] * 2


def fused(weight, seen=SEEN, gallery=GALLERY, drawn=DONE):
    text = fusion.Text(Encoder(**drawn), NO_PERSON, gallery)
    return fusion.FusedScorer(ROW, (text, fusion.Faces(faces(seen))), (1.0, weight))


def test_the_sum_ranks_what_neither_part_ranks_alone():
    query = queries((1,))
    assert [ranks.tolist() for ranks in fused(0.0).ranks(query)] == [[2]]
    assert [ranks.tolist() for ranks in fused(1.0).ranks(query)] == [[1]]
    assert [ranks.tolist() for ranks in fused(100.0).ranks(query)] == [[2]]


def test_the_sum_equals_values_worked_out_by_hand():
    encoder = Encoder(**DONE, **{'a row': [[0, 1]]})
    texts = [fusion.Text(encoder, method, GALLERY) for method in (NO_PERSON, ROW)]
    parts = (*texts, fusion.Faces(faces([[1, 2, 3]])))
    row = fusion.FusedScorer(ROW, parts, (2.0, 0.5, 3.0))
    ((_, result),) = row.batches(queries((0,)))
    half = np.sqrt(1.5)
    np.testing.assert_allclose(result[2], [[-half, 0, half]], atol=1e-12)
    # Texts say 1, 0.8, 0 and 0, 0.6, 1, of means 0.6 and 8/15.
    done, spread = np.array([0.4, 0.2, -0.6]), np.sqrt(0.56 / 3)
    who = np.array([-8, 1, 7]) / 15
    expected = 2 * done / spread + 0.5 * who / np.sqrt((who**2).mean()) + 3 * result[2][0]
    np.testing.assert_allclose(fusion.weighted(result, row.weights)[0], expected, atol=1e-6)


def test_zero_weight_and_no_faces_leave_the_text_score():
    query = queries((0,), (1, 2))
    alone = scorers.Cosine(NO_PERSON, Encoder(**DONE), GALLERY).ranks(query)
    for row in (fused(0.0), fused(1.0, seen=[[NAN] * 3] * 2)):
        for ours, theirs in zip(row.ranks(query), alone, strict=True):
            assert ours.tolist() == theirs.tolist()


def test_a_clip_without_a_face_has_the_mean_score():
    # Only faces count: like the person, unlike, not seen.
    rows = fused(1e6, seen=[[0.9, 0.1, NAN]])
    assert [rows.ranks(queries((n,)))[0].tolist() for n in range(3)] == [[1], [3], [2]]


def test_ties_count_against_the_query():
    twice = fused(1.5, [[0.3, 0.3, 0.1]], GALLERY[[1, 1, 2]])
    assert twice.ranks(queries((0,)))[0].tolist() == [2]
    assert twice.ranks(queries((0, 1)))[0].tolist() == [1, 2]


@pytest.mark.parametrize('at_once', [1, 2, 7])
def test_ranks_do_not_depend_on_the_batch(monkeypatch, at_once):
    rng = np.random.default_rng(0)
    drawn, gallery = (rng.normal(size=(n, 8)) for n in (9, 50))
    drawn, gallery = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (drawn, gallery))
    row = fused(1.0, rng.normal(size=(9, 50)), gallery, {'CLIP': drawn})
    query = queries(*[tuple(rng.permutation(50)[:3]) for _ in range(9)])
    whole = row.ranks(query)
    monkeypatch.setattr(fusion, '_BATCH', at_once)
    assert [r.tolist() for r in row.ranks(query)] == [r.tolist() for r in whole]
    assert [row.ranks([one])[0].tolist() for one in query] == [r.tolist() for r in whole]
