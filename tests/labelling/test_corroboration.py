import math

import numpy as np
import pytest

from cpad_jax.labelling import corroboration


def table(*rows):
    return np.array([[c == 'x' for c in row] for row in rows])


def nobody(on_screen, said):
    return np.zeros((len(on_screen), len(said)), bool)


def names(on_screen, said, people='ab', denied=None, least=0.5):
    denied = nobody(on_screen, said) if denied is None else denied
    found = corroboration.corroborate(on_screen, said, list(people), denied, least)
    return {face: name.person_id for face, name in found.items()}


def test_a_factor_worked_out_by_hand():
    # Two shots with the face, two without; said in the two with it. With two rates:
    # B(3,1) B(1,3) = 1/3 · 1/3; with one: B(3,3) = 1/30. Twice their ratio is 20/3.
    factors = corroboration.bayes_factors(table('xx..'), table('xx..', '..xx', '....', 'xxxx'))
    np.testing.assert_allclose(factors, [[20 / 3, 0, 0, 0]])


def test_a_face_that_is_always_or_never_seen_says_nothing():
    said = table('xx..')
    assert corroboration.bayes_factors(table('xxxx', '....'), said).tolist() == [[0], [0]]


SEEN = table('xxxxx...............', '.....xxxxx..........', '..........xxxxx.....')
SAID = table('xxxx................', '.....xxxxx......x...')


def test_who_is_named_when_a_face_is_seen():
    assert names(SEEN, SAID) == {0: 'a', 1: 'b'}
    assert names(SEEN[[2, 1, 0]], SAID) == {2: 'a', 1: 'b'}
    found = corroboration.corroborate(SEEN, SAID, ['a', 'b'], nobody(SEEN, SAID), 0.5)
    assert found[1].evidence == (
        'subtitles: named or speaking in 5 of 5 shots with this face, in 1 of 15 without'
    )
    assert all(0.5 <= name.confidence <= 1 for name in found.values())


def test_confidence_is_a_share_of_all_there_is():
    seen, said = table('xxx...'), table('xxx...')
    # B(4,1) B(1,4) / B(4,4) · 2 = 17.5, times prior odds of 4.
    (name,) = corroboration.corroborate(seen, said, ['a'], nobody(seen, said), 0.5).values()
    factor = 2 * (1 / 16) / (math.factorial(3) ** 2 / math.factorial(7))
    assert factor == pytest.approx(17.5)
    assert name.confidence == pytest.approx(70 / 71)


def test_two_faces_that_fit_alike_get_no_name():
    together = table('xxxx............', 'xxxx............')
    assert names(together, table('xxxx............'), 'a') == {}
    # Nor does a face whom two names fit alike.
    assert names(together[:1], table(*['xxxx............'] * 2)) == {}


def test_said_too_seldom_or_everywhere():
    seen = table('xxxx............')
    assert names(seen, table('xx..............'), 'a') == {}
    assert names(seen, table('xxx.............'), 'a') == {0: 'a'}
    # Sure to be said more often than elsewhere, in 20 of 20 shots against 24 of 40, but not twice.
    seen, said = table('x' * 20 + '.' * 40), table('x' * 44 + '.' * 16)
    assert corroboration.bayes_factors(seen, said)[0, 0] > 100
    assert names(seen, said, 'a') == {}
    assert names(seen, table('x' * 39 + '.' * 21), 'a') == {0: 'a'}


def test_a_denied_face_is_not_named_and_leaves_the_name_to_others():
    seen = table('xxxxx...............', 'xxxx................')
    said = table('xxxxx...............')
    denied = nobody(seen, said)
    denied[0, 0] = True
    assert names(seen, said, 'a', denied) == {1: 'a'}


def test_names_need_the_confidence_that_is_asked_for():
    (name,) = corroboration.corroborate(SEEN, SAID[:1], ['a'], nobody(SEEN, SAID[:1]), 0).values()
    assert names(SEEN, SAID[:1], 'a', least=name.confidence - 1e-6) == {0: 'a'}
    assert names(SEEN, SAID[:1], 'a', least=name.confidence + 1e-6) == {}


def test_each_face_and_each_name_once():
    seen = table('xxxxx...............', '.....xxxx...........')
    said = table('xxxxx...............', 'xxxx................')
    assert names(seen, said) == {0: 'a'}
    assert names(SEEN[:1], table('xxxxx....xxxx.......', 'xxxxx...............')) == {0: 'b'}


@pytest.mark.parametrize(('least', 'most'), [(0.5, 80), (0.8, 8), (0.95, 0)])
def test_chance_names_the_fewer_the_surer_names_must_be(least, most):
    rng = np.random.default_rng(0)
    given = 0
    for _ in range(50):
        seen, said = rng.random((8, 60)) < 0.15, rng.random((8, 60)) < 0.15
        given += len(names(seen, said, 'abcdefgh', least=least))
    assert given <= most  # Of 400 names.


@pytest.mark.parametrize('shape', [(0, 3), (3, 0)])
def test_nothing_to_name(shape):
    faces, people = shape
    seen, said = np.zeros((faces, 5), bool), np.zeros((people, 5), bool)
    assert names(seen, said, 'abc'[:people]) == {}
