"""Whitening of face features by the variation within people, so that cosines separate people.

Linear discriminant analysis on photos of many people. In a domain other than that of its training
(another camera, drawn faces), a feature varies much with light, pose and style; photos of a hundred
people suffice to estimate those directions.
"""

from __future__ import annotations

import dataclasses

import numpy as np

# Fewer people do not determine the variation between people.
LEAST_PEOPLE = 20
# Least mean cosine of two people, relative to the squared norm of the mean face, for a common mean.
_SHARED = 0.5
_SHRINKAGE = 0.1  # Shrinkage of the within-person covariance towards a multiple of the identity.


@dataclasses.dataclass(frozen=True, eq=False)
class Whitening:
    """A linear map of features, after which cosines separate people.

    Attributes:
        mean: float32 [F], subtracted first.
        directions: float32 [F, E], or None to subtract the mean only.
    """

    mean: np.ndarray
    directions: np.ndarray | None = None

    @property
    def is_full(self) -> bool:
        """Whether it was fitted on enough people, and does more than subtract the mean."""
        return self.directions is not None

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Float [N, F] -> float32 [N, E], L2-normalised."""
        centred = np.asarray(features, np.float32) - self.mean
        if self.directions is not None:
            centred = centred @ self.directions
        return centred / np.maximum(np.linalg.norm(centred, axis=-1, keepdims=True), 1e-12)


def common_mean(features: np.ndarray, cannot_link: np.ndarray, people: np.ndarray) -> np.ndarray:
    """The mean of a title's faces if it is common to different people, else 0.

    In a domain other than that of its training, a feature has a large common part, and then pairs
    of different people are about as similar as any two faces. If they are less similar, or no such
    pair is known, the mean belongs to the most frequent person and must not be subtracted.

    Args:
        features: float [N, F], L2-normalised: the faces, N >= 1.
        cannot_link: bool [N, N]: faces of two people.
        people: float [P, F], L2-normalised: features of different people; P may be 0.

    Returns:
        float32 [F]: the mean of the faces, or 0.
    """
    mean = features.mean(0)
    pairs = np.concatenate(
        [
            (features @ features.T)[cannot_link],
            (people @ people.T)[~np.eye(len(people), dtype=bool)],
        ]
    )
    shared = pairs.size > 0 and pairs.mean() >= _SHARED * float(mean @ mean)
    return (mean if shared else np.zeros_like(mean)).astype(np.float32)


def fit_whitening(features: np.ndarray, people: np.ndarray) -> Whitening | None:
    """Fits a whitening to photos of people.

    Args:
        features: float [N, F], L2-normalised.
        people: int [N], the person of each. Only people with two or more features count.

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
