import numpy as np
import pytest

from cpad_jax.methods import reference_photos
from cpad_jax.ranking.query import Query

PICTURES = {f'{n}': np.array([3.0 * (n + 1), 4.0 * n], np.float32) for n in range(6)}


def query(*references):
    return Query('', 'action', '', '', True, 'Eat', None, (0,), references)


@pytest.fixture
def learned(monkeypatch):
    """PerPerson that says the mean of the photos, and what it was given on the way."""
    monkeypatch.setattr(reference_photos, 'PEOPLE', 2)
    given = []

    def learn(pictures, there):
        given.append((pictures, there))
        return {'mean': reference_photos.mean(pictures, there)}

    return reference_photos.PerPerson(PICTURES, 3, learn, 'stage'), given


def test_each_person_is_learned_once_from_valid_photos(learned):
    per_person, given = learned
    queries = [query('0', '1'), query('2'), query('0', '1'), query('3', '4', '5')]
    result = per_person(queries)['mean']
    unit = {k: v / np.linalg.norm(v) for k, v in PICTURES.items()}
    expected = [np.mean([unit[r] for r in q.references], axis=0) for q in queries]
    np.testing.assert_allclose(result, expected, atol=1e-6)
    # Three people in batches of two, the second filled up with its last person.
    assert [pictures.shape for pictures, _ in given] == [(2, 3, 2)] * 2
    assert given[1][1].tolist() == [[True, True, True]] * 2
    np.testing.assert_array_equal(given[1][0][0], given[1][0][1])
    np.testing.assert_array_equal(per_person(queries[::-1])['mean'], result[::-1])
    assert len(given) == 2
    per_person([query('0')])  # Other photos of the same person.
    assert len(given) == 3
