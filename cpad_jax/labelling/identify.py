"""Groups faces by person, and assigns identity models to the groups.

The models take part in the clustering: each is one more face, and two models are two people. So the
faces of two similar people merge with the model of each before they merge with each other.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from cpad_jax.labelling import clusters

# Groups of more faces than this are people of their own, if unknown; smaller ones are more likely
# outliers of another group.
SMALL_GROUP = 3
# Cosine of an impostor in the limit of many faces, temperature of the posterior, and the variation
# of single faces: calibrated on drawn worlds with whitened features.
_IMPOSTOR, _TEMPERATURE, _SPREAD = 0.6, 0.1, 3.0


@dataclasses.dataclass(frozen=True)
class Name:
    """An assigned name.

    Attributes:
        person_id: Person of the cast.
        confidence: 0 to 1.
        evidence: The evidence, in words.
    """

    person_id: str
    confidence: float
    evidence: str


@dataclasses.dataclass(frozen=True, eq=False)
class Grouping:
    """Faces grouped by person.

    Attributes:
        groups: int [N], numbered from 0 by decreasing size.
        model: int [N]: the model assigned to each face's group, or -1.
        similarity: float [N]: cosine with the model, 0 without one.
        confidence: float [N], 0 to 1, that the face is this person; 0 without a model.
    """

    groups: np.ndarray
    model: np.ndarray
    similarity: np.ndarray
    confidence: np.ndarray


def group_by_person(
    features: np.ndarray,
    cannot_link: np.ndarray,
    models: np.ndarray,
    excluded: np.ndarray,
    linkage_threshold: float,
    constraint_ids: np.ndarray,
    thresholds: np.ndarray,
) -> Grouping:
    """Clusters faces and models, then assigns small groups to the most similar one.

    The posterior of a candidate for a group of n faces is e^(s/T) / (Σ e^(s'/T) + e^(t/T)) with the
    temperature T: s is the cosine of the two means, the sum runs over all candidates, and the
    threshold t = IMPOSTOR · √(n / (n + SPREAD)) represents unknown people; the mean of many faces
    varies less.

    Args:
        features: float [N, E], L2-normalised.
        cannot_link: bool [N, N]: faces that are two people.
        models: float [P, E], L2-normalised: the people's mean features; P may be 0.
        excluded: bool [N, P]: faces that are not this person.
        linkage_threshold: Least mean cosine of two groups that clustering merges.
        constraint_ids: int [N]: 0, or a number for the correction of a face. Clustering merges only
            faces with equal ids, so that the correction of one face excludes no other.
        thresholds: float [N, P]: least cosine at which a group with a face may be assigned to a
            model after clustering, whatever the posterior: some models rest on few faces, and for
            some faces the most probable name is known to be wrong.
    """
    count, people = len(features), len(models)
    nodes = np.concatenate([features, models]).astype(np.float32)
    constraints = np.block([[cannot_link, excluded], [excluded.T, ~np.eye(people, dtype=bool)]])
    ids = np.concatenate([constraint_ids, np.zeros(people, int)])
    first = clusters.cluster(nodes, constraints | (ids[:, None] != ids), linkage_threshold)
    means = clusters.group_means(nodes, first)
    between = clusters.group_cannot_links(constraints, first)
    sizes = np.bincount(first[:count], minlength=len(means))
    owner = np.full(len(means), -1)
    owner[first[count:]] = np.arange(people)
    confidence, similarity = np.zeros(len(means)), np.zeros(len(means))
    for group in np.flatnonzero((owner >= 0) & (sizes > 0)):
        mean = features[first[:count] == group].mean(0)
        cosines = models @ mean / max(float(np.linalg.norm(mean)), 1e-12)
        posteriors = _posteriors(
            np.where(between[group][first[count:]], -np.inf, cosines), sizes[group]
        )
        confidence[group], similarity[group] = posteriors[owner[group]], cosines[owner[group]]
    known = (owner >= 0) | (sizes > SMALL_GROUP)
    final = first.copy()
    candidates = []
    for group in np.flatnonzero((owner < 0) & (sizes > 0)):
        # A large group can be assigned to a model only, a small one to any known group.
        others = np.flatnonzero((owner >= 0) if known[group] else known)
        if not others.size:
            continue
        cosines = np.where(between[group][others], -np.inf, means[others] @ means[group])
        posteriors = _posteriors(cosines, sizes[group])
        best = int(posteriors.argmax())
        other = int(others[best])
        threshold = -1.0
        if owner[other] >= 0:
            threshold = thresholds[first[:count] == group, owner[other]].max()
        if posteriors[best] > 0.5 and cosines[best] >= threshold:
            candidates.append((float(posteriors[best]), float(cosines[best]), int(group), other))
    candidates.sort(key=lambda candidate: (-candidate[0], candidate[2]))
    for posterior, cosine, group, other in candidates:
        members, target = np.flatnonzero(first == group), np.flatnonzero(final == other)
        if constraints[np.ix_(members, target)].any():
            continue  # A more probable group came first, and shares a frame with this one.
        final[members], similarity[group] = other, cosine
        # A model that clustering gave no faces counts by the posterior alone.
        confidence[group] = posterior * (confidence[other] if sizes[other] else 1.0)
    model = owner[final[:count]]
    named = model >= 0
    return Grouping(
        clusters.number_by_size(final[:count]), model,
        np.where(named, similarity[first[:count]], 0.0),
        np.where(named, confidence[first[:count]], 0.0),
    )  # fmt: skip


def _posteriors(cosines: np.ndarray, size: int) -> np.ndarray:
    """Posterior of each candidate for a group of `size` faces; the rest is that of an impostor."""
    impostor = _IMPOSTOR * np.sqrt(size / (size + _SPREAD))
    weights = np.exp((cosines - impostor) / _TEMPERATURE)
    return weights / (weights.sum() + 1)
