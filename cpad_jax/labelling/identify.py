"""Groups faces by person, and gives groups the names of those whose photos they look like.

Photos take part in the clustering: each person's model is one more face, and two models are two
people. So of two who look alike, each draws their own faces, before those draw each other.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from cpad_jax.labelling import clusters

# Groups of more faces than this are people, though nobody knows whom; smaller ones are likelier a
# few odd faces of somebody who has a group already.
FEW = 3
# How like somebody else a person can look in the mean of ever so many faces, how much likeness is
# worth in confidence, and how much single faces vary: calibrated on drawn worlds, whitened.
_STRANGER, _STEP, _SPREAD = 0.6, 0.1, 3.0


@dataclasses.dataclass(frozen=True)
class Name:
    """Who somebody is taken for.

    Attributes:
        person_id: Of the cast.
        confidence: 0 to 1.
        evidence: What says so, in words.
    """

    person_id: str
    confidence: float
    evidence: str


@dataclasses.dataclass(frozen=True, eq=False)
class Grouping:
    """Faces grouped by person.

    Attributes:
        groups: int [N], numbered from 0 by falling size.
        model: int [N]: the model that each face's group goes by, or -1.
        alike: float [N]: cosine that speaks for it, 0 where there is none.
        confidence: float [N], 0 to 1, that the face is this person; 0 where there is none.
    """

    groups: np.ndarray
    model: np.ndarray
    alike: np.ndarray
    confidence: np.ndarray


def group_by_person(
    features: np.ndarray,
    apart: np.ndarray,
    models: np.ndarray,
    barred: np.ndarray,
    join: float,
    kinds: np.ndarray,
    least: np.ndarray,
) -> Grouping:
    """Clusters faces and models, then gives small groups to the one they most resemble.

    A group of n faces is somebody with the probability e^(s/STEP) / (Σ e^(s'/STEP) + e^(t/STEP)): s
    is the cosine of its mean and theirs, the sum goes over everybody it may be, and t stands for
    people nobody knows: STRANGER · √(n / (n + SPREAD)), as the mean of many faces varies less.

    Args:
        features: float [N, E] of length 1.
        apart: bool [N, N]: faces that are two people.
        models: float [P, E] of length 1: what people look like; P may be 0.
        barred: bool [N, P]: faces that are not this person.
        join: Least mean cosine of two groups that are joined in the first place.
        least: float [N, P]: least cosine at which a group with each face may go to each model where
            it did not at first, however probable it is: some models say little of others' faces,
            and of some faces the likeliest name is known to be wrong.
        kinds: int [N]: 0, or a number for what somebody said of a face. At first faces are grouped
            with their kind alone, so that what is said of a face bars no group that it falls into.
    """
    count, people = len(features), len(models)
    nodes = np.concatenate([features, models]).astype(np.float32)
    walls = np.block([[apart, barred], [barred.T, ~np.eye(people, dtype=bool)]])
    kind = np.concatenate([kinds, np.zeros(people, int)])
    first = clusters.cluster(nodes, walls | (kind[:, None] != kind), join)
    means, between = clusters.group_features(nodes, first), clusters.groups_apart(walls, first)
    sizes = np.bincount(first[:count], minlength=len(means))
    owner = np.full(len(means), -1)
    owner[first[count:]] = np.arange(people)
    sure, alike = np.zeros(len(means)), np.zeros(len(means))
    for group in np.flatnonzero((owner >= 0) & (sizes > 0)):
        own = features[first[:count] == group].mean(0)
        cosines = models @ own / max(float(np.linalg.norm(own)), 1e-12)
        shares = _shares(np.where(between[group][first[count:]], -np.inf, cosines), sizes[group])
        sure[group], alike[group] = shares[owner[group]], cosines[owner[group]]
    known = (owner >= 0) | (sizes > FEW)
    final = first.copy()
    offers = []
    for group in np.flatnonzero((owner < 0) & (sizes > 0)):
        # A large group may turn out to be somebody with a model, a small one anybody.
        others = np.flatnonzero((owner >= 0) if known[group] else known)
        if not others.size:
            continue
        cosines = np.where(between[group][others], -np.inf, means[others] @ means[group])
        shares = _shares(cosines, sizes[group])
        best = int(shares.argmax())
        other = int(others[best])
        bar = -1.0 if owner[other] < 0 else least[first[:count] == group, owner[other]].max()
        if shares[best] > 0.5 and cosines[best] >= bar:
            offers.append((float(shares[best]), float(cosines[best]), int(group), other))
    for share, cosine, group, other in sorted(offers, key=lambda offer: (-offer[0], offer[2])):
        mine, theirs = np.flatnonzero(first == group), np.flatnonzero(final == other)
        if walls[np.ix_(mine, theirs)].any():
            continue  # Somebody surer came first, and is seen beside this one.
        final[mine], alike[group] = other, cosine
        # A model without faces of its own vouches by the likeness alone.
        sure[group] = share * (sure[other] if sizes[other] else 1.0)
    model = owner[final[:count]]
    named = model >= 0
    return Grouping(
        clusters.by_size(final[:count]), model,
        np.where(named, alike[first[:count]], 0.0), np.where(named, sure[first[:count]], 0.0),
    )  # fmt: skip


def _shares(cosines: np.ndarray, size: int) -> np.ndarray:
    """Probability of each candidate for a group of `size` faces, with room for a stranger."""
    stranger = _STRANGER * np.sqrt(size / (size + _SPREAD))
    weights = np.exp((cosines - stranger) / _STEP)
    return weights / (weights.sum() + 1)
