import types

import numpy as np

from cpad_jax.protocols.open_set import scores
from cpad_jax.ranking.query import Query

EAT, RUN = ('Eat', None), ('Run', None)
OPTIONS = {'words': 0.5, 'faces': 2.0}
# What faces of three clips say of the one who is asked for, and of two cohort.
SEEN = np.array([[5.0, np.nan, 1]])
STRANGE = np.array([[1.0, np.nan, 3], [0, np.nan, 4]])


class Model:
    """Says of a text without [TOK] how many words it has, else what stands behind [TOK]."""

    def encode_queries(self, texts, tokens):
        said = [[len(text.split()), 0] for text in texts]
        return np.array(
            [[0, token[0, 0]] if '[TOK]' in text else own
             for text, token, own in zip(texts, tokens, said, strict=True)], np.float32,
        )  # fmt: skip


class Encoder:
    """Asks for somebody behind whose [TOK] a 3 stands."""

    def encode(self, method, asked):
        return np.array([[0, 3] for _ in asked])


class Bank:
    """Knows how likely texts are."""

    known = {'Eat': [-1.0, -2, -3], 'Run': [-4.0, -5, -6]}

    def log_posterior(self, words):
        return np.array([self.known[action] for action, _ in words])

    def __call__(self, asked):
        return np.array([self.known[query.action] for query in asked])


class Match:
    """Knows of nobody but those above."""

    faces = types.SimpleNamespace(
        encode_tokens=lambda tokens: None, similarity=lambda people: STRANGE
    )

    def __call__(self, asked):
        return np.repeat(SEEN, len(asked), axis=0)


def made(gallery, match):
    text = scores.TextScorer(Model(), Encoder(), np.array(gallery, np.float32))
    cohort = np.array([[[1.0]], [[2.0]]], np.float32)
    made = scores.fused_scorer(text, Bank(), match, cohort, [EAT, RUN], OPTIONS)
    return cohort, made


def query(action='Eat'):
    return Query('', 'action', 'a', 'Ada', True, action, None, (0,), ('p',))


def test_parts_are_added_in_spreads_that_all_queries_share():
    cohort, scorer = made([[1, 0], [0, 1], [1, 2]], Match())
    # Strangers' texts say 0 1 2 and 0 2 4 of the clips, faces 1 (2) 3 and 0 (2) 4.
    text = np.mean([np.std([0, 1, 2]), np.std([0, 2, 4])])
    faces = np.mean([np.std([1, 2, 3]), np.std([0, 2, 4])])
    np.testing.assert_allclose(scorer.spreads, [text, faces], rtol=1e-6)
    expected = (
        np.array([0, 3, 6]) / text + 0.5 * np.array([-1, -2, -3]) + 2 * np.array([5, 3, 1]) / faces
    )
    np.testing.assert_allclose(scorer.queries([query()]), [expected], rtol=1e-6)
    second = (
        np.array([0, 2, 4]) / text + 0.5 * np.array([-4, -5, -6]) + 2 * np.array([0, 2, 4]) / faces
    )
    found = scorer.people(cohort, [EAT, RUN])
    np.testing.assert_allclose(found[1][1], second, rtol=1e-6)


class Nobody(Match):
    """Sees no face."""

    faces = types.SimpleNamespace(
        encode_tokens=lambda tokens: None, similarity=lambda people: np.full((2, 3), np.nan)
    )

    def __call__(self, asked):
        return np.full((len(asked), 3), np.nan)


def test_what_is_the_same_of_every_clip_says_nothing():
    _, scorer = made([[1, 1], [2, 1], [3, 1]], Nobody())
    assert scorer.spreads == (0, 0)
    np.testing.assert_allclose(scorer.queries([query()]), [[-0.5, -1, -1.5]])


def test_names_on_faces_have_one_scale_for_all_who_are_asked_for():
    class Names:
        def __call__(self, asked):
            return np.repeat(SEEN, len(asked), axis=0)

        def similarity(self, names):
            assert list(names) == ['Ann', 'Bo']
            return STRANGE

    scorer = scores.name_fused_scorer(Names(), Bank(), ['Ann', 'Bo'], faces=2.0)
    # Spreads of 1 2 3 (the mean where nobody is seen) and of 0 2 4: √(2/3) and √(8/3).
    spread = (np.sqrt(2 / 3) + np.sqrt(8 / 3)) / 2
    (found,) = scorer.queries([Query('', 'action', 'a', 'Ada', True, 'Eat', None, (0,), ())])
    np.testing.assert_allclose(found, [-1 + 10 / spread, -2 + 6 / spread, -3 + 2 / spread])
    eat, run = scorer.people(np.zeros((2, 1, 1)), [EAT, RUN])
    np.testing.assert_allclose(eat[1], [-1, -2 + 4 / spread, -3 + 8 / spread])
    np.testing.assert_allclose(run[0], [-4 + 2 / spread, -5 + 4 / spread, -6 + 6 / spread])
    flat = scores.NameFusedScorer(Names(), Bank(), ['Ann', 'Bo'], 2.0, 0.0)
    np.testing.assert_allclose(flat.people(np.zeros(2), [EAT])[0], [[-1, -2, -3]] * 2)
