import numpy as np
import pytest

from cpad_jax.labelling.whitening import common_mean, fit_whitening
from tests.support import made_up_faces

ONE, TWO, THREE, COMMON = made_up_faces.directions(4)
NOBODY = np.zeros((0, made_up_faces.WIDTH))


def test_what_varies_within_people_is_of_one_size_in_every_direction():
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(30), 4)
    spread = np.array([1, 2, 0.5, 3, 1, 0.2, 1, 1, 2])
    features = rng.normal(size=(30, 9))[people] * 2 + rng.normal(size=(120, 9)) * spread
    # Somebody with one photo says nothing of how photos of one person differ.
    found = fit_whitening(np.vstack([features, [[99.0] * 9]]), np.append(people, 77))
    centres = np.stack([features[people == person].mean(axis=0) for person in range(30)])
    rest = features - centres[people]
    within = rest.T @ rest / len(rest)
    # A tenth of the mean variance is added in each direction; a third of the directions stay.
    within += 0.1 * np.trace(within) / 9 * np.eye(9)
    assert found.directions.shape == (9, 3)
    np.testing.assert_allclose(found.directions.T @ within @ found.directions, np.eye(3), atol=1e-4)
    np.testing.assert_allclose(found.mean, features.mean(axis=0), rtol=1e-5)
    moved = found(features[:5])
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 1, atol=1e-6)
    expected = (features[:5] - found.mean) @ found.directions
    np.testing.assert_allclose(
        moved, expected / np.linalg.norm(expected, axis=1)[:, None], atol=1e-5
    )
    # The directions in which people differ most come first.
    apart = ((centres - found.mean) @ found.directions).var(axis=0)
    assert (np.diff(apart) < 0).all() and apart.min() > 1


def pairs(count, *seen_together):
    apart = np.zeros((count, count), bool)
    for a, b in seen_together:
        apart[a, b] = apart[b, a] = True
    return apart


@pytest.mark.parametrize(
    'features,apart,people',
    [
        ([ONE, ONE, ONE], [], []),
        ([ONE], [], [ONE]),
        ([ONE, ONE, TWO], [(0, 2)], []),
        ([ONE, TWO], [(0, 1)], [ONE, TWO]),
        ([ONE] * 9 + [TWO, THREE], [], [ONE, TWO]),
        ([ONE, TWO, THREE], [], []),
    ],
)
def test_the_mean_of_faces_is_not_taken_off_where_it_is_a_persons(features, apart, people):
    shared = common_mean(
        np.stack(features), pairs(len(features), *apart), np.stack(people) if people else NOBODY
    )
    np.testing.assert_array_equal(shared, np.zeros(made_up_faces.WIDTH))


@pytest.mark.parametrize('apart,people', [([(0, 1)], []), ([], [ONE, TWO]), ([(1, 3)], [TWO])])
def test_what_people_known_to_be_two_have_in_common_is_taken_off(apart, people):
    features = made_up_faces.unit(np.stack([ONE, TWO, ONE, THREE]) + 2 * COMMON)
    known = made_up_faces.unit(np.stack(people) + 2 * COMMON) if people else NOBODY
    shared = common_mean(features, pairs(4, *apart), known)
    np.testing.assert_allclose(shared @ np.stack([ONE, TWO, THREE, COMMON]).T,
                               np.array([2, 1, 1, 8]) / 4 / 5**0.5, atol=1e-6)  # fmt: skip


def test_nineteen_people_say_too_little():
    rng = np.random.default_rng(1)
    people = np.repeat(np.arange(20), 3)
    features = rng.normal(size=(60, 9))
    assert fit_whitening(features[:57], people[:57]) is None
    assert fit_whitening(features, people).is_full
