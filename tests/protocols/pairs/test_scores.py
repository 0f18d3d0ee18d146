import dataclasses

import numpy as np
import pytest

from cpad_jax.protocols.pairs import results
from cpad_jax.protocols.pairs import scores as pairs_scores
from cpad_jax.protocols.pairs.queries import ACTION, TOGETHER, WITHOUT, Doing, PairQuery
from cpad_jax.protocols.pairs.scores import PairScorer, Way
from cpad_jax.ranking import method
from cpad_jax.ranking.zscore import zscore
from tests.support import tiny_cpad

IMAGE, BOTH = method.IMAGE, method.TEXT_IMAGE
NAMES = {'a': 'Anna', 'b': 'Orla Brandt'}


class Model:
    """Embeds a query as the number of its words, and the people behind it in their order."""

    default_token = np.zeros((1, 1), np.float32)

    def __init__(self):
        self.asked = []

    def knows(self, name):
        return name == 'Orla Brandt'

    def encode_queries(self, texts, tokens):
        self.asked += texts
        said = [len(text.split()) for text in texts]
        first, last = tokens[:, 0, 0, 0], tokens[:, -1, 0, 0]
        return np.stack([said, first, last], axis=1).astype(np.float32)


def asker(model):
    own = {'a': np.full((1, 1), 1.0), 'b': np.full((1, 1), 2.0)}
    clips = np.eye(3, dtype=np.float32)
    return PairScorer(model, NAMES, {IMAGE: own, BOTH: own}, clips, clips)


def query(scenario, action=None, **kw):
    return PairQuery(scenario, 'a', 'b', action, **{'relevant': (0,), 'title': 't', **kw})


@pytest.mark.parametrize(
    ('scenario', 'action', 'name', 'form', 'text', 'people'),
    [
        (ACTION, 'HugPerson', 'one sentence', IMAGE, '[TOK] hugging [TOK]', (1, 2)),
        # A learned name is said by its token.
        (ACTION, 'Kiss', 'one sentence', BOTH, 'Anna [TOK] kissing [TOK]', (1, 2)),
        (ACTION, 'Kiss', 'A alone', IMAGE, '[TOK] kissing someone', (1, 1)),
        (ACTION, 'Kiss', 'B alone', IMAGE, 'a person kissing [TOK]', (2, 2)),
        (ACTION, 'Kiss', 'one sentence', method.TEXT, 'Anna kissing Orla Brandt', (0, 0)),
        (TOGETHER, None, 'one sentence', IMAGE, '[TOK] and [TOK]', (1, 2)),
        (TOGETHER, None, 'A alone', IMAGE, '[TOK]', (1, 1)),
        (TOGETHER, None, 'B alone', BOTH, '[TOK]', (2, 2)),
        (WITHOUT, None, 'one sentence', IMAGE, '[TOK] without [TOK]', (1, 2)),
        (WITHOUT, None, 'A alone', BOTH, 'Anna [TOK]', (1, 1)),
    ],
)
def test_what_is_asked_in_each_way(scenario, action, name, form, text, people):
    model = Model()
    (scores,) = asker(model).scores(Way(name, form), [query(scenario, action)])
    assert model.asked == [text]
    assert scores.tolist() == [len(text.split()), *people]


def test_names_are_searched_in_the_clips_as_plain_clip_sees_them():
    own = {'a': np.full((1, 1), 1.0), 'b': np.full((1, 1), 2.0)}
    clips = np.eye(3, dtype=np.float32)
    ask = PairScorer(Model(), NAMES, {IMAGE: own, BOTH: own}, clips, -clips)
    named, shown = (
        ask.scores(Way('one sentence', form), [query(TOGETHER)])[0] for form in (method.TEXT, IMAGE)
    )
    assert named.tolist() == [-4, 0, 0] and shown.tolist() == [3, 1, 2]


def test_scores_of_both_are_put_together_by_hand():
    # A's scores 0, 1, 2 and B's 0, 3, 0: standardised −1.22 0 1.22 and −.71 1.41 −.71.
    first, second = np.array([[0.0, 1, 2]]), np.array([[0.0, 3, 0]])
    np.testing.assert_allclose(zscore(first), [[-1.2247, 0, 1.2247]], atol=1e-4)
    least = pairs_scores.least(first, second)
    np.testing.assert_allclose(least, [[-1.2247, 0, -0.7071]], atol=1e-4)
    np.testing.assert_allclose(
        pairs_scores.parts(2 - first, first, second), [[1.2247, 0, -3.1566]], atol=1e-4
    )
    # Only what speaks for B more than is usual takes away: a spread above the mean is.
    np.testing.assert_allclose(
        pairs_scores.difference(first, second), [[-1.2247, -0.4142, 1.2247]], atol=1e-4
    )


def test_what_was_asked_is_not_embedded_again():
    model = Model()
    ask = asker(model)
    pairs = [query(ACTION, 'Kiss'), query(ACTION, 'Kiss', relevant=(1,))]
    total = ask.scores(Way('sum of both', IMAGE), pairs)
    np.testing.assert_array_equal(total, [[7, 3, 3]] * 2)
    assert sorted(model.asked) == ['[TOK] kissing someone', 'a person kissing [TOK]']
    ask.scores(Way('A alone', IMAGE), pairs)
    ask.scores(Way('least of both', IMAGE), pairs)
    assert len(model.asked) == 2
    ask.scores(Way('A alone', BOTH), pairs)
    assert len(model.asked) == 3


def test_a_real_model_tells_who_does_it():
    model = tiny_cpad.make()
    rng = np.random.default_rng(0)
    own = {name: rng.normal(size=(2, 64)).astype(np.float32) for name in 'ab'}
    gallery = rng.normal(size=(4, 32)).astype(np.float32)
    gallery /= np.linalg.norm(gallery, axis=1, keepdims=True)
    ask = PairScorer(model, NAMES, {IMAGE: own, BOTH: own}, gallery, gallery)
    way = Way('one sentence', IMAGE)
    turned = PairQuery(ACTION, 'b', 'a', 'Kiss', (0,), 't')
    one, other = ask.scores(way, [query(ACTION, 'Kiss'), turned])
    assert np.abs(one - other).max() > 1e-3
    alone = model.encode_queries(
        ['[TOK] kissing [TOK]'], np.stack([own['a'], own['b']])[None]
    ) @ gallery.T  # fmt: skip
    np.testing.assert_allclose(one[None], alone, atol=1e-5)


class Fixed:
    """Scores by way: a table of queries' scores."""

    forms = pairs_scores.FORMS

    def __init__(self, scores):
        self._scores = scores

    def scores(self, way, asked):
        return np.stack([self._scores(way, one) for one in asked])


PAIRS = [
    PairQuery(TOGETHER, f'a{n}', f'b{n}', None, (n % 4,), f't{n % 3}') for n in range(12)
]  # fmt: skip


def right_for(names):
    def scores(way, one):
        row = np.zeros(4)
        row[list(one.relevant)] = 1 if way.name in names(one) else -1
        return row

    return Fixed(scores)


def test_rows_and_what_both_bring_over_the_better_one():
    # Two tokens find all, the first a third, the second a quarter.
    def finds(one):
        number = int(one.first[1:])
        return ['one sentence', *['A alone'] * (number % 3 == 0),
                *['B alone'] * (number % 4 == 0)]  # fmt: skip

    ask = right_for(finds)
    found = results.search(ask, PAIRS)
    rows = {(r['way'], r['person_query']): r for r in results.result_rows(found, PAIRS, 50, 0)}
    assert len(rows) == 12
    assert rows['one sentence', 'image']['hit@1'] == 1
    assert rows['A alone', 'image']['hit@1'] == pytest.approx(1 / 3)
    assert rows['least of both', 'text']['hit@1'] == 0
    first = rows['A alone', 'image']
    assert (first['num_queries'], first['num_titles'], first['num_relevant']) == (12, 3, 1)
    # All of a title's queries are drawn together: title t0 has all that the first token finds.
    assert first['hit@1_low'] == 0 and first['hit@1_high'] == pytest.approx(2 / 3)
    compared = results.compare(found, PAIRS, 50, 0)
    (gain,) = [
        row for row in compared
        if row['a'] == 'one sentence, image' and row['metric'] == 'hit@1'
    ]  # fmt: skip
    assert gain['b'] == 'A alone, image' and gain['difference'] == pytest.approx(2 / 3)


def test_without_is_measured_on_the_clips_of_the_person():
    one = PairQuery(WITHOUT, 'a', 'b', None, (0, 1), 't', against=(2, 3))
    assert results.apart(np.array([4.0, 2, 3, 1, 9]), one) == 0.75
    assert results.apart(np.array([4.0, 2, 2, 1, 9]), one) == 0.875
    assert results.apart(np.ones(5), one) == 0.5
    some = PairQuery(WITHOUT, 'a', 'b', None, (0,), 't', against=(1, 2, 11))
    assert results.both(np.arange(12.0, 0, -1), some) == 0.2
    # Of clips that tie, those that show both come first, wherever they stand.
    assert results.both(np.zeros(40), dataclasses.replace(some, against=(38, 39))) == 0.2


def test_parts_ask_for_both_and_for_who_does_it():
    model = Model()
    ask = asker(model)
    asked = [query(ACTION, 'Kiss')]
    scores = ask.scores(Way('both there, A doing it', IMAGE), asked)
    assert sorted(model.asked) == ['[TOK]', '[TOK]', '[TOK] kissing someone']
    doing, a, b = (np.array([row]) for row in ([3.0, 1, 1], [1.0, 1, 1], [1.0, 2, 2]))
    np.testing.assert_allclose(scores, pairs_scores.parts(doing, a, b), atol=1e-6)


def test_faces_say_who_is_there_beside_the_text():
    model = Model()
    own = {'a': np.full((1, 1), 1.0), 'b': np.full((1, 1), 2.0)}
    alike = {'a': np.array([0.0, 9, 3]), 'b': np.array([7.0, np.nan, 1])}
    said = []

    class Bank:
        def log_posterior(self, words):
            said.extend(words)
            return np.tile([-1.0, -2, -3], (len(words), 1))

    by_name = {'a': np.array([4.0, 0, 0]), 'b': np.array([0.0, 0, 3])}
    faces = pairs_scores.PairFaces(alike, Bank(), faces=2.0, words=0.5, by_name=by_name, name=3.0)
    gallery = np.array([[1, 0, 0], [0, 1, 0], [0, 2, 1]], np.float32)
    ask = PairScorer(model, NAMES, {IMAGE: own, BOTH: own}, gallery, gallery, faces)
    assert ask.forms == (IMAGE, BOTH, pairs_scores.FACES, pairs_scores.NAMES_ON_FACES)

    def scores(name, scenario=ACTION, action='Kiss'):
        (found,) = ask.scores(Way(name, pairs_scores.FACES), [query(scenario, action)])
        return found

    a, b = zscore(alike['a']), zscore(alike['b'])
    assert b[1] == 0  # Nobody is seen there, which is neither for it nor against it.
    # '[TOK] kissing someone' has three words and a = 1 behind it, first and last.
    first, words = zscore(np.array([3.0, 1, 3])), np.array([-1, -2, -3])
    np.testing.assert_allclose(scores('A alone'), first + 2 * a + 0.5 * words, atol=1e-5)
    assert said == [('Kiss', None)]
    sentence = zscore(np.array([3.0, 1, 4])) + 2 * np.minimum(a, b) + 0.5 * words
    np.testing.assert_allclose(scores('one sentence'), sentence, atol=1e-5)
    both = scores('both there, A doing it')
    np.testing.assert_allclose(both, sentence + 2 * first, atol=1e-5)
    # Where nothing is done no words speak of it.
    alone = zscore(np.array([1.0, 2, 6])) + 2 * b
    np.testing.assert_allclose(scores('B alone', TOGETHER, None), alone, atol=1e-5)
    np.testing.assert_allclose(
        scores('A less B', WITHOUT, None),
        pairs_scores.difference(scores('A alone', WITHOUT, None), alone), atol=1e-5,
    )  # fmt: skip
    # Plain CLIP by names: the one counts who is less alike, and what is done, whoever does it.
    way = Way('one sentence', pairs_scores.NAMES_ON_FACES)
    a, b = zscore(by_name['a']), zscore(by_name['b'])
    (found,) = ask.scores(way, [query(ACTION, 'Kiss')])
    np.testing.assert_allclose(found, 3 * np.minimum(a, b) + words, atol=1e-5)
    (found,) = ask.scores(dataclasses.replace(way, name='B alone'), [query(TOGETHER, None)])
    np.testing.assert_allclose(found, 3 * b, atol=1e-5)


def test_order_is_told_where_the_clip_is_nearer_to_who_does_it():
    doings = [
        Doing(n % 4, f'a{n}', f'b{n}', ('Kiss', 'HugPerson')[n % 2], f't{n % 3}')
        for n in range(8)
    ]  # fmt: skip

    def scores(way, one):
        # Hugs are told by all; kisses only by two tokens, and a tie is not told.
        told = one.action == 'HugPerson' or way.name == 'one sentence'
        return np.full(4, float(told and one.first.startswith('a')))

    rows = results.order_rows(Fixed(scores), doings, 50, 0)
    told = {(r['way'], r['person_query'], r['action']): r for r in rows}
    assert told['one sentence', 'image', None]['told'] == 1
    assert told['sum of both', 'image', None]['told'] == 0.5
    assert told['sum of both', 'image', 'Kiss']['told'] == 0
    assert told['sum of both', 'image', 'HugPerson']['num_pairs'] == 4
    assert told['sum of both', 'image', None]['told_low'] < 0.5


def test_what_bounds_it_is_what_is_left_where_a_half_is_known():
    kiss, run = 7, 8
    clips = [
        {'people': [{'person_id': 'a', 'actions': [run]}]},
        {'people': [{'person_id': 'a', 'actions': []}, {'person_id': 'b', 'actions': []}]},
        {'people': [{'person_id': 'c', 'actions': [kiss]}]},
        {'people': [{'person_id': 'a', 'actions': [kiss]}, {'person_id': 'b', 'actions': []}]},
    ]
    names = ('',) * kiss + ('Kiss', 'Run')
    one = query(ACTION, 'Kiss', relevant=(3,))

    def hits(row):
        found = results.bound_rows(Fixed(lambda way, asked: np.array(row)), [one], clips, names)
        assert [r['person_query'] for r in found] == ['image'] * 3 + ['text+image'] * 3
        return [r['hit@1'] for r in found[:3]]

    assert hits([4.0, 1, 1, 3]) == [0, 1, 1]
    assert hits([4.0, 1, 5, 3]) == [0, 1, 0]
    assert hits([4.0, 4, 1, 3]) == [0, 0, 1]
    assert results.bound_rows(Fixed(None), [], clips, names) == []
