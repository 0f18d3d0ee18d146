"""Groups the face tracks of a title by person: two faces in one frame are never one person."""

from __future__ import annotations

import collections
from collections.abc import Sequence

import numpy as np

from cpad_jax.media.tracks import FaceTrack


def seen_together(tracks: Sequence[FaceTrack], videos: Sequence[str]) -> np.ndarray:
    """Which tracks share a frame, and so show two people.

    Args:
        tracks: N tracks.
        videos: The video of each; tracks of two videos share no frame.

    Returns:
        bool [N, N], symmetric, False on the diagonal.
    """
    apart = np.zeros((len(tracks), len(tracks)), bool)
    by_video = collections.defaultdict(list)
    for number, video in enumerate(videos):
        by_video[video].append(number)
    for members in by_video.values():
        members.sort(key=lambda number: tracks[number].start)
        for place, first in enumerate(members):
            for second in members[place + 1 :]:
                if tracks[second].start > tracks[first].end:
                    break
                if tracks[first].together(tracks[second]):
                    apart[first, second] = apart[second, first] = True
    return apart


def cluster(features: np.ndarray, apart: np.ndarray, threshold: float) -> np.ndarray:
    """Agglomerative clustering by average linkage that never joins what must stay apart.

    The two groups whose members are most alike on average are joined, again and again, passing over
    pairs of groups that hold a pair kept apart, until no pair is as alike as `threshold`.

    Args:
        features: float [N, F], rows of length 1.
        apart: bool [N, N], symmetric: pairs that are two people.
        threshold: Least mean cosine of two groups that are joined.

    Returns:
        int [N]: the group of each, numbered from 0 by falling size, then by first member. Takes
        4 N² bytes: 100 MB for 5,000 tracks, which is a film.
    """
    count = len(features)
    alike = np.asarray(features, np.float32) @ np.asarray(features, np.float32).T
    # Minus infinity outlasts every average, so what is kept apart stays so as groups grow.
    alike[np.asarray(apart, bool)] = -np.inf
    np.fill_diagonal(alike, -np.inf)
    sizes = np.ones(count)
    owner = np.arange(count)
    best = alike.argmax(1) if count else np.zeros(0, int)
    height = alike[np.arange(count), best]
    while count and (top := int(height.argmax())) >= 0 and height[top] >= threshold:
        keep, gone = sorted((top, int(best[top])))
        total = sizes[keep] + sizes[gone]
        row = (sizes[keep] * alike[keep] + sizes[gone] * alike[gone]) / total
        row[[keep, gone]] = -np.inf
        alike[keep], alike[:, keep] = row, row
        alike[gone], alike[:, gone] = -np.inf, -np.inf
        sizes[keep] = total
        owner[owner == gone] = keep
        # An average exceeds neither part, so only rows that pointed at either have a new best.
        for stale in {keep, gone, *np.flatnonzero((best == keep) | (best == gone)).tolist()}:
            best[stale] = alike[stale].argmax()
            height[stale] = alike[stale, best[stale]]
    return by_size(owner)


def group_features(features: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """float32 [K, F] of length 1: the mean direction of each group 0..K-1."""
    means = np.stack([features[groups == group].mean(0) for group in range(groups.max() + 1)])
    return (means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)).astype(
        np.float32
    )


def groups_apart(apart: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Bool [K, K]: pairs of groups of which a pair of members is kept apart."""
    member = np.eye(groups.max() + 1, dtype=np.float32)[groups]  # [N, K]
    return member.T @ apart.astype(np.float32) @ member > 0


def by_size(owner: np.ndarray) -> np.ndarray:
    """Numbers groups, whatever they are called, from 0 by falling size, then by first member."""
    _, first, groups, sizes = np.unique(
        owner, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.lexsort((first, -sizes))
    number = np.empty(len(order), int)
    number[order] = np.arange(len(order))
    return number[groups]
