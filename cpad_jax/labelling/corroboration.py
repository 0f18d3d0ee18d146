"""Names for faces without photos, from the subtitles: who is named or speaks in a face's shots.

Over the shots of a title, the presence of a face and a mention of a name nearby are two binary
variables. A name that is mentioned more often in the shots with a face than in the others is
evidence for that face, measured by a Bayes factor, whose weight depends on those of all other
faces.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cpad_jax.labelling.identify import Name

# Prior probability that a name of the cast belongs to one of the unnamed faces at all. High, as
# cast lists name the people of a title, at the cost of names that are mentioned only by chance.
_PRIOR = 0.8
# Least number of shots with the face and a mention, and least ratio of the rates with and without
# it.
_LEAST_SHOTS, _LEAST_RATIO = 3, 2.0


def bayes_factors(on_screen: np.ndarray, mentioned: np.ndarray) -> np.ndarray:
    """Bayes factors of the mentions for each pair of a face and a name.

    If the face has the name, it is mentioned at one rate in the shots with the face and at a lower
    one in the rest; otherwise at one rate everywhere. Rates are unknown, with uniform priors.

    Args:
        on_screen: bool [G, U]: face g is in shot u.
        mentioned: bool [P, U]: name p is mentioned in or near shot u.

    Returns:
        float [G, P]: 0 where the name is not mentioned more often with the face than without.
    """
    units = on_screen.shape[1]
    factors = np.zeros((len(on_screen), len(mentioned)))
    for g, seen in enumerate(on_screen):
        for p, named in enumerate(mentioned):
            k, n, m = int((seen & named).sum()), int(named.sum()), int(seen.sum())
            rest, misses = units - m, n - k
            if not k or not rest or k / m <= misses / rest:
                continue
            two = _log_beta(k + 1, m - k + 1) + _log_beta(misses + 1, rest - misses + 1)
            one = _log_beta(n + 1, units - n + 1)
            # Half of the pairs of rates have the one with the face above the other.
            factors[g, p] = 2 * math.exp(min(two - one, 600.0))
    return factors


def corroborate(
    on_screen: np.ndarray,
    mentioned: np.ndarray,
    people: Sequence[str],
    denied: np.ndarray,
    least: float,
) -> dict[int, Name]:
    """Assigns each name to at most one face, and each face at most one name.

    Args:
        on_screen: bool [G, U]: unnamed face g is in shot u.
        mentioned: bool [P, U]: name p is mentioned in or near shot u.
        people: P person_ids without a face so far.
        denied: bool [G, P]: faces that are not this person.
        least: Least confidence of a name.

    Returns:
        Face -> name. Confidence is the smaller of two shares: of the face among all faces for its
        name, and of the name among all names for its face.
    """
    named: dict[int, Name] = {}
    if not len(people) or not len(on_screen):
        return named
    factors = np.where(denied, 0.0, bayes_factors(on_screen, mentioned))
    with_face, without = _rates(on_screen, mentioned)
    counts = on_screen.astype(int) @ mentioned.T.astype(int)  # [G, P]
    enough = (counts >= _LEAST_SHOTS) & (with_face >= _LEAST_RATIO * without)
    # The prior of a face is proportional to the number of its shots.
    shots = on_screen.sum(1, keepdims=True)
    odds = factors * _PRIOR / (1 - _PRIOR) * shots / max(int(shots.sum()), 1)
    while True:
        confidence = np.minimum(
            odds / (odds.sum(0, keepdims=True) + 1), odds / (odds.sum(1, keepdims=True) + 1)
        )
        confidence[~enough] = -1
        face, person = (
            int(i) for i in np.unravel_index(int(confidence.argmax()), confidence.shape)
        )
        if confidence[face, person] < max(least, 0):
            return named
        seen, near = int(on_screen[face].sum()), int(counts[face, person])
        others = int(mentioned[person].sum()) - near
        named[face] = Name(
            people[person],
            float(confidence[face, person]),
            f'subtitles: named or speaking in {near} of {seen} shots with this face, in {others} '
            f'of {on_screen.shape[1] - seen} without',
        )
        odds[face], odds[:, person] = 0, 0
        enough[face], enough[:, person] = False, False


def _rates(on_screen: np.ndarray, mentioned: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of the shots with a face, and of those without, that mention a name, [G, P]."""
    present, named = on_screen.astype(float), mentioned.astype(float).T
    absent = 1 - present
    return (
        present @ named / np.maximum(present.sum(1, keepdims=True), 1),
        absent @ named / np.maximum(absent.sum(1, keepdims=True), 1),
    )


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
