import numpy as np

from cpad_jax.media.labelling.whitening import fit_whitening


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
