"""Makes any face feature tell people apart: what varies within a person is toned down.

Linear discriminant analysis on photos of many people. A feature that was learned on other pictures
than these (another camera, drawn faces) spends much of its length on light, pose and style; photos
of a hundred people are enough to see which directions those are.
"""

from __future__ import annotations

import dataclasses

import numpy as np

# Fewer people say too little about what differs between people.
LEAST_PEOPLE = 20
# Of the squared length of a mean of faces: as alike must two people be for it to be of no person.
_SHARED = 0.5
_SHRINKAGE = 0.1  # Of the variation within a person towards a ball.


@dataclasses.dataclass(frozen=True, eq=False)
class Whitening:
    """A linear map of features, after which the cosine tells people apart.

    Attributes:
        mean: float32 [F], taken off first.
        directions: float32 [F, E], or None to leave it at that.
    """

    mean: np.ndarray
    directions: np.ndarray | None = None

    @property
    def whole(self) -> bool:
        """Whether it was learned on enough people, and does more than take off the mean."""
        return self.directions is not None

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Float [N, F] -> float32 [N, E] of length 1."""
        moved = np.asarray(features, np.float32) - self.mean
        if self.directions is not None:
            moved = moved @ self.directions
        return moved / np.maximum(np.linalg.norm(moved, axis=-1, keepdims=True), 1e-12)


def shared_by_people(features: np.ndarray, apart: np.ndarray, people: np.ndarray) -> np.ndarray:
    """What all faces of a title have in common, whoever they show.

    A feature that was learned on other pictures has much of it, and then people who are known to be
    two are about as alike as any two faces. Where they are less alike, or nobody is known to be
    two, the mean is the look of whoever is seen most, which must not be taken off.

    Args:
        features: float [N, F] of length 1: the faces, N >= 1.
        apart: bool [N, N]: faces that show two people.
        people: float [P, F] of length 1: what different people look like; P may be 0.

    Returns:
        float32 [F]: the mean of the faces, or 0.
    """
    mean = features.mean(0)
    pairs = np.concatenate(
        [(features @ features.T)[apart], (people @ people.T)[~np.eye(len(people), dtype=bool)]]
    )
    shared = pairs.size > 0 and pairs.mean() >= _SHARED * float(mean @ mean)
    return (mean if shared else np.zeros_like(mean)).astype(np.float32)


def fit_whitening(features: np.ndarray, people: np.ndarray) -> Whitening | None:
    """Learns a whitening from photos of people.

    Args:
        features: float [N, F] of length 1.
        people: int [N], who each shows. Only people with two or more features count.

    Returns:
        The map onto the directions in which people differ most, relative to how one person's
        features vary: as many as a third of the features and less than there are people. None
        with fewer than 20 people.
    """
    features = np.asarray(features, np.float64)
    _, people, counts = np.unique(people, return_inverse=True, return_counts=True)
    several = counts[people] > 1
    if np.unique(people[several]).size < LEAST_PEOPLE:
        return None
    features, people = features[several], np.unique(people[several], return_inverse=True)[1]
    mean = features.mean(0)
    member = np.eye(people.max() + 1)[people]  # [N, P]
    centres = (member.T @ (features - mean)) / member.sum(0)[:, None]
    rest = features - mean - centres[people]
    within = rest.T @ rest / len(rest)
    width = len(within)
    within += _SHRINKAGE * np.trace(within) / width * np.eye(width)
    values, vectors = np.linalg.eigh(within)
    scale = vectors / np.sqrt(values)
    between = np.cov((centres @ scale).T, bias=True)
    kept = max(1, min(len(centres) - 1, width // 3))
    order = np.linalg.eigh(between)[1][:, ::-1][:, :kept]
    return Whitening(mean.astype(np.float32), (scale @ order).astype(np.float32))
