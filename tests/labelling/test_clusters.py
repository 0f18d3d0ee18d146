import itertools

import numpy as np
import pytest

from cpad_jax.labelling import clusters
from tests.support import made_up_faces


def at(*degrees):
    """Features in a plane."""
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def nobody(count):
    return np.zeros((count, count), bool)


def test_people_are_found_whatever_the_order():
    looks = made_up_faces.directions(6)
    who = np.repeat(np.arange(6), [9, 7, 6, 4, 2, 1])
    features = np.concatenate(
        [made_up_faces.faces(looks[i], n, seed=i) for i, n in enumerate([9, 7, 6, 4, 2, 1])]
    )
    order = np.random.default_rng(1).permutation(len(who))
    # Groups are numbered by falling size, as these people are.
    assert (clusters.cluster(features[order], nobody(len(who)), 0.5) == who[order]).all()


@pytest.mark.parametrize(('threshold', 'groups'), [
    # cos 20° = 0.940; of 50° to both others the mean of cos 50° and cos 30° is 0.754.
    (0.95, [0, 1, 2]), (0.93, [0, 0, 1]), (0.76, [0, 0, 1]), (0.75, [0, 0, 0]),
])  # fmt: skip
def test_linkage_is_the_average(threshold, groups):
    assert clusters.cluster(at(0, 20, 50), nobody(3), threshold).tolist() == groups


def test_what_is_apart_is_never_joined_not_even_by_a_third():
    apart = nobody(3)
    apart[0, 2] = apart[2, 0] = True
    # 1 lies between: it goes with the nearer one, and the other stays alone.
    assert clusters.cluster(at(0, 10, 15), apart, -1).tolist() == [1, 0, 0]
    assert clusters.cluster(at(0, 0, 0), apart, 0.5).tolist() == [0, 0, 1]


def naive(features, apart, threshold):
    groups = [[i] for i in range(len(features))]
    while True:
        best = max(
            (
                (float(np.mean([features[i] @ features[j] for i in a for j in b])), x, y)
                for (x, a), (y, b) in itertools.combinations(enumerate(groups), 2)
                if not apart[np.ix_(a, b)].any()
            ),
            default=(-np.inf, 0, 0),
        )
        if best[0] < threshold:
            return {frozenset(group) for group in groups}
        groups[best[1]] += groups.pop(best[2])


@pytest.mark.parametrize('seed', range(5))
def test_equals_the_definition(seed):
    rng = np.random.default_rng(seed)
    features = made_up_faces.unit(rng.normal(size=(30, 4)))
    apart = np.triu(rng.random((30, 30)) < 0.2, 1)
    apart |= apart.T
    groups = clusters.cluster(features, apart, 0.2)
    found = {frozenset(np.flatnonzero(groups == g).tolist()) for g in range(groups.max() + 1)}
    assert found == naive(features, apart, 0.2)
    assert 3 < len(found) < 20


def test_no_faces():
    assert clusters.cluster(np.zeros((0, 4), np.float32), nobody(0), 0.5).shape == (0,)


def test_who_is_seen_together():
    one = made_up_faces.directions(1)[0]
    times = [(0.1, 0.3), (0.3, 0.5), (0.2, 0.4), (0.1, 0.3), (5.0, 5.2)]
    tracks = [made_up_faces.track(one, t) for t in times]
    apart = clusters.co_occurring(tracks, ['a', 'a', 'a', 'b', 'a'])
    # 2 is seen between the frames of 0 and 1, and 3 in another video.
    assert np.argwhere(apart).tolist() == [[0, 1], [1, 0]]


def test_of_groups():
    groups = clusters.number_by_size(np.array([7, 3, 3, 9, 7, 3]))
    assert groups.tolist() == [1, 0, 0, 2, 1, 0]
    assert clusters.number_by_size(np.array([5, 2])).tolist() == [0, 1]
    means = clusters.group_means(at(0, 90, 10), np.array([0, 1, 0]))
    np.testing.assert_allclose(means, at(5, 90), atol=1e-6)
    apart = nobody(3)
    apart[1, 2] = apart[2, 1] = True
    assert clusters.group_cannot_links(apart, np.array([0, 1, 0])).tolist() == [
        [False, True], [True, False],
    ]  # fmt: skip
