"""Names for faces nobody has photos of: who is named, or speaks, when a face is on screen.

The shots of a title are a table of yes and no: is the face in this shot, is the name said near it?
A name that is said more often in the shots with a face than in the others speaks for that face; by
how much is a Bayes factor, and what it is worth depends on how well every other face would do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cpad_jax.labelling.identify import Name

# Probability, before anything is said, that a name of the cast is one of the unnamed faces at all.
# High, as cast lists name who is in a title; names that are said by chance alone pay for it.
_PRESENT = 0.8
# A name must be said in so many shots with the face, and so many times as often as in the others.
_LEAST_SHOTS, _LEAST_RATIO = 3, 2.0


def bayes_factors(on_screen: np.ndarray, said: np.ndarray) -> np.ndarray:
    """How much likelier what is said becomes if a face bears a name.

    If it does, the name is said at one rate in the shots with the face and at another, lower one in
    the rest; if not, at one rate everywhere. Rates are unknown, and uniform beforehand.

    Args:
        on_screen: bool [G, U]: face g is in shot u.
        said: bool [P, U]: name p is said in or near shot u.

    Returns:
        float [G, P]: 0 where the name is not said more often with the face than without.
    """
    units = on_screen.shape[1]
    factors = np.zeros((len(on_screen), len(said)))
    for g, seen in enumerate(on_screen):
        for p, named in enumerate(said):
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
    said: np.ndarray,
    people: Sequence[str],
    denied: np.ndarray,
    least: float,
) -> dict[int, Name]:
    """Gives each name to at most one face, and each face at most one name.

    Args:
        on_screen: bool [G, U]: unnamed face g is in shot u.
        said: bool [P, U]: name p is said in or near shot u.
        people: P person_ids that no face has been given yet.
        denied: bool [G, P]: faces that are not this person.
        least: Names with less confidence are not given.

    Returns:
        Face -> name. Confidence is the smaller of two shares: of the face among all faces for its
        name, and of the name among all names for its face.
    """
    named: dict[int, Name] = {}
    if not len(people) or not len(on_screen):
        return named
    factors = np.where(denied, 0.0, bayes_factors(on_screen, said))
    with_face, without = _rates(on_screen, said)
    counts = on_screen.astype(int) @ said.T.astype(int)  # [G, P]
    enough = (counts >= _LEAST_SHOTS) & (with_face >= _LEAST_RATIO * without)
    # A name is likelier that of a face which is seen much.
    shots = on_screen.sum(1, keepdims=True)
    odds = factors * _PRESENT / (1 - _PRESENT) * shots / max(int(shots.sum()), 1)
    while True:
        sure = np.minimum(
            odds / (odds.sum(0, keepdims=True) + 1), odds / (odds.sum(1, keepdims=True) + 1)
        )
        sure[~enough] = -1
        face, person = (int(i) for i in np.unravel_index(int(sure.argmax()), sure.shape))
        if sure[face, person] < max(least, 0):
            return named
        seen, near = int(on_screen[face].sum()), int(counts[face, person])
        others = int(said[person].sum()) - near
        named[face] = Name(
            people[person],
            float(sure[face, person]),
            f'subtitles: named or speaking in {near} of {seen} shots with this face, in {others} '
            f'of {on_screen.shape[1] - seen} without',
        )
        odds[face], odds[:, person] = 0, 0
        enough[face], enough[:, person] = False, False


def _rates(on_screen: np.ndarray, said: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of the shots with a face, and of those without, in which a name is said, [G, P]."""
    seen, named = on_screen.astype(float), said.astype(float).T
    gone = 1 - seen
    return (
        seen @ named / np.maximum(seen.sum(1, keepdims=True), 1),
        gone @ named / np.maximum(gone.sum(1, keepdims=True), 1),
    )


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
