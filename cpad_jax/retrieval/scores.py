"""Scores of queries against a gallery, in pieces, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from cpad_jax.retrieval import metrics

# Queries that are scored at once: 256 × a million clips are a gigabyte.
CHUNK = 256


def score_chunks(
    queries: np.ndarray, gallery: np.ndarray, chunk: int = CHUNK
) -> Iterator[tuple[slice, np.ndarray]]:
    """Cosine similarities, some queries at a time.

    Args:
        queries: float32 [Q, D] of length 1.
        gallery: float32 [N, D] of length 1.
        chunk: Queries per piece, >= 1.

    Yields:
        (which queries, their scores float32 [at most chunk, N]).
    """
    for start in range(0, len(queries), chunk):
        piece = slice(start, min(start + chunk, len(queries)))
        yield piece, queries[piece] @ gallery.T


def ranks(
    queries: np.ndarray,
    gallery: np.ndarray,
    relevant: Sequence[Sequence[int]],
    chunk: int = CHUNK,
) -> list[np.ndarray]:
    """Ranks of the relevant clips of each query; see `metrics.relevant_ranks`."""
    found: list[np.ndarray] = []
    for piece, scores in score_chunks(queries, gallery, chunk):
        found += metrics.relevant_ranks(scores, [np.asarray(r) for r in relevant[piece]])
    return found
