"""Exact scores of queries against a gallery, independent of the chunks they are computed in.

Products of float32 matrices differ in their last bit with the shape of the matrices and the
position of a clip in them, so that two equal clips would tie in one gallery and not in another.
Here embeddings are rounded to whole multiples of 2⁻²⁶, which is as fine as float32 itself;
products of such numbers and their sums are exact in float64, in whatever order they are added.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

_GRID = 2.0**26
# |q · g| of vectors of these lengths stays below 2⁵³ steps of the grid's square.
_LONGEST = 1.4
# Queries and clips at once: 134 MB of scores, and 34 MB of the gallery in float64 at D = 512.
CHUNK = 2048
CLIPS = 8192


def quantise(embeddings: np.ndarray) -> np.ndarray:
    """Embeddings as float64 whole numbers, of which products are exact.

    Args:
        embeddings: float [..., D], L2-normalised.

    Raises:
        ValueError: They are not finite, or their norm is above 1.4.
    """
    numbers = np.rint(np.asarray(embeddings, np.float64) * _GRID)
    squares = np.einsum('...d,...d->...', numbers, numbers)
    longest = np.sqrt(squares.max(initial=0.0)) / _GRID
    if not longest <= _LONGEST:
        raise ValueError(
            f'an embedding has norm {longest}, expected 1: check those of queries and gallery'
        )
    return numbers


def _chunks(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def ranks(
    queries: np.ndarray,
    gallery: np.ndarray,
    relevant: Sequence[Sequence[int]],
    chunk: int = CHUNK,
    clips: int = CLIPS,
) -> list[np.ndarray]:
    """Ranks of the relevant clips of each query, as of `metrics.relevant_ranks`.

    Args:
        queries: float32 [Q, D], L2-normalised.
        gallery: float32 [N, D], L2-normalised.
        relevant: For each query the numbers (below N) of its relevant clips.
        chunk: Queries at once, >= 1; the result does not depend on it.
        clips: Clips of the gallery at once, >= 1; the result does not depend on it.

    Returns:
        For each query int64 [number of relevant clips], ascending; the best rank is 1.

    Raises:
        ValueError: An embedding is not finite or not L2-normalised.
    """
    ranks: list[np.ndarray] = []
    for piece in _chunks(len(queries), chunk):
        quantised = quantise(queries[piece])
        # [number of relevant clips] each, best first.
        scores = [
            np.sort(quantise(gallery[np.asarray(numbers, np.int64)]) @ query)[::-1]
            for query, numbers in zip(quantised, relevant[piece], strict=True)
        ]
        at_least = [np.zeros(len(own), np.int64) for own in scores]
        for part in _chunks(len(gallery), clips):
            products = quantised @ quantise(gallery[part]).T
            for row, own, count in zip(products, scores, at_least, strict=True):
                if len(own):
                    rivals = np.sort(row[row >= own[-1]])
                    count += len(rivals) - np.searchsorted(rivals, own, side='left')
        for own, count in zip(scores, at_least, strict=True):
            # The relevant clips themselves were counted as well; they rank behind the others.
            relevant_too = len(own) - np.searchsorted(own[::-1], own, side='left')
            ranks.append(count - relevant_too + np.arange(1, len(own) + 1))
    return ranks


def best(query: np.ndarray, gallery: np.ndarray, count: int) -> np.ndarray:
    """Numbers of the `count` best clips for one query [D], best first; ties in gallery order."""
    quantised = quantise(query)
    scores = np.concatenate(
        [quantise(gallery[part]) @ quantised for part in _chunks(len(gallery), CLIPS)]
    )
    return np.argsort(-scores, kind='stable')[:count]
