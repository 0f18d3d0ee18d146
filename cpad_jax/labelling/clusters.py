"""Clusters the face tracks of a title by person, with cannot-link constraints.

Two faces in one frame are two people, so they must not be in the same cluster.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence

import numpy as np

from cpad_jax.media.tracks import FaceTrack


def co_occurring(tracks: Sequence[FaceTrack], videos: Sequence[str]) -> np.ndarray:
    """Pairs of tracks that share a frame, and therefore are two people.

    Args:
        tracks: N tracks.
        videos: The video of each; tracks of two videos share no frame.

    Returns:
        bool [N, N], symmetric, False on the diagonal.
    """
    cannot_link = np.zeros((len(tracks), len(tracks)), bool)
    by_video = collections.defaultdict(list)
    for number, video in enumerate(videos):
        by_video[video].append(number)
    for members in by_video.values():
        members.sort(key=lambda number: tracks[number].start)
        for position, first in enumerate(members):
            for second in members[position + 1 :]:
                if tracks[second].start > tracks[first].end:
                    break
                if tracks[first].together(tracks[second]):
                    cannot_link[first, second] = cannot_link[second, first] = True
    return cannot_link


def cluster(features: np.ndarray, cannot_link: np.ndarray, threshold: float) -> np.ndarray:
    """Agglomerative clustering by average linkage with cannot-link constraints.

    Repeatedly merges the two groups with the highest mean cosine between their members, except
    pairs of groups that a cannot-link constraint separates, until no pair reaches `threshold`.

    Args:
        features: float [N, F], L2-normalised rows.
        cannot_link: bool [N, N], symmetric: pairs that are two people.
        threshold: Least mean cosine of two groups that are merged.

    Returns:
        int [N]: the group of each, numbered from 0 by decreasing size, then by first member. Needs
        4 N² bytes: 100 MB for the 5,000 tracks of a film.
    """
    count = len(features)
    similarity = np.asarray(features, np.float32) @ np.asarray(features, np.float32).T
    # Minus infinity survives every average, so constraints hold as groups grow.
    similarity[np.asarray(cannot_link, bool)] = -np.inf
    np.fill_diagonal(similarity, -np.inf)
    sizes = np.ones(count)
    owner = np.arange(count)
    best = similarity.argmax(1) if count else np.zeros(0, int)
    height = similarity[np.arange(count), best]
    while count and (top := int(height.argmax())) >= 0 and height[top] >= threshold:
        keep, gone = sorted((top, int(best[top])))
        total = sizes[keep] + sizes[gone]
        row = (sizes[keep] * similarity[keep] + sizes[gone] * similarity[gone]) / total
        row[[keep, gone]] = -np.inf
        similarity[keep], similarity[:, keep] = row, row
        similarity[gone], similarity[:, gone] = -np.inf, -np.inf
        sizes[keep] = total
        owner[owner == gone] = keep
        # An average exceeds neither part, so only rows that pointed at either have a new best.
        for stale in {keep, gone, *np.flatnonzero((best == keep) | (best == gone)).tolist()}:
            best[stale] = similarity[stale].argmax()
            height[stale] = similarity[stale, best[stale]]
    return number_by_size(owner)


def group_means(features: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """float32 [K, F], L2-normalised: the mean direction of each group 0..K-1."""
    means = np.stack([features[groups == group].mean(0) for group in range(groups.max() + 1)])
    return (means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)).astype(
        np.float32
    )


def group_cannot_links(cannot_link: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Bool [K, K]: pairs of groups with a cannot-link constraint between their members."""
    member = np.eye(groups.max() + 1, dtype=np.float32)[groups]  # [N, K]
    return member.T @ cannot_link.astype(np.float32) @ member > 0


def number_by_size(owner: np.ndarray) -> np.ndarray:
    """Renumbers groups from 0 by decreasing size, then by first member."""
    _, first, groups, sizes = np.unique(
        owner, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.lexsort((first, -sizes))
    number = np.empty(len(order), int)
    number[order] = np.arange(len(order))
    return number[groups]
