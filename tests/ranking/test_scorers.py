import dataclasses

import jax
import numpy as np

from cpad_jax.methods.ce import export, model
from cpad_jax.methods.ce import scorer as ce_scorer
from cpad_jax.methods.ce.features import ClipExperts
from cpad_jax.ranking import metrics, scorers
from cpad_jax.ranking.method import CLIP
from cpad_jax.ranking.query import Query

QUERIES = [
    Query(f'q{i}', 'action', 'ada', 'Ada', True, action, None, relevant, ('ada/1', 'ada/2'))
    for i, (action, relevant) in enumerate([('Eat', (0,)), ('Run', (1, 3)), ('Eat', (2,))])
]


class Encoder:
    def encode(self, method, queries):
        assert method == CLIP
        angles = np.array([int(q.query_id[1:]) for q in queries])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_ranks_do_not_depend_on_the_chunk():
    turns = np.random.default_rng(0).uniform(0, 6, 5)
    gallery = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    scorer = scorers.Cosine(CLIP, Encoder(), gallery)
    expected = np.cos(np.arange(3)[:, None] - turns)
    result = {}
    for chunk in (1, 2, 3):
        scorers.rank_all(
            [scorer], QUERIES, lambda m, ranks, c=chunk: result.update({c: ranks}), chunk
        )
    for query, own in enumerate(result[1]):
        np.testing.assert_array_equal(own, result[2][query])
        np.testing.assert_array_equal(own, result[3][query])
        best = np.argsort(-expected[query])
        assert scorer.best(QUERIES[query], 4) == best[:4].tolist()
        rank = [int(np.flatnonzero(best == r)[0]) + 1 for r in QUERIES[query].relevant]
        assert sorted(rank) == own.tolist()


def test_experts_score_words_and_photos(monkeypatch):
    config = model.CEConfig(clip_width=4, face_width=3, word_width=2, width=4, clusters=2)
    read = []

    class Words:
        def __init__(self, clip):
            pass

        def __call__(self, texts):
            read.append(texts)
            return np.ones((len(texts), 2, 2), np.float32) * len(texts), np.ones(
                (len(texts), 2), bool
            )

    monkeypatch.setattr(ce_scorer, 'WordReader', Words)
    saved = export.SavedCE(config, model.init(config, jax.random.key(0)), 'tiny', '', 4, 2)
    rng = np.random.default_rng(0)
    features = {n: rng.normal(size=(5, w)) for n, w in zip(model.EXPERTS, (4, 3, 4), strict=True)}
    experts = ClipExperts(features, np.array([[1, 1, 1]] * 4 + [[1, 0, 1]], bool))
    photos = {'ada/1': np.array([1.0, 0, 0]), 'ada/2': np.array([0, 1.0, 0])}

    def score(count, queries=QUERIES):
        scorer = ce_scorer.ExpertsScorer(saved, None, experts, photos, count)
        return scorer.score(queries)

    both, one = score(2), score(1)
    scorer = ce_scorer.ExpertsScorer(saved, None, experts, photos, 2)
    expected = metrics.relevant_ranks(both, [query.relevant for query in QUERIES])
    for own, ranks in zip(scorer.ranks(QUERIES), expected, strict=True):
        np.testing.assert_array_equal(own, ranks)
    assert both.shape == (3, 5) and read[0] == ['a person eating a meal', 'a person running away']
    # Another photo matters where there are faces to compare, and only there.
    assert np.abs(both - one)[:, :4].max() > 1e-4
    np.testing.assert_allclose(both[:, 4], one[:, 4], atol=1e-6)
    no_person = score(2, [dataclasses.replace(q, references=()) for q in QUERIES])
    changed = {**photos, 'ada/1': np.array([0.0, 0, 9])}
    photos.update(changed)
    again = score(2, [dataclasses.replace(q, references=()) for q in QUERIES])
    np.testing.assert_array_equal(no_person, again)
