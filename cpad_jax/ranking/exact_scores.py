"""Scores of queries against a gallery, exact whatever pieces they are computed in.

Products of float32 matrices differ in their last bit with the shape of the matrices and with a
clip's place in them, so that two clips that are the same would tie in one gallery and not in the
next. Here embeddings are rounded to whole multiples of 2⁻²⁶, which is as fine as float32 itself;
products of such numbers and their sums are exact in float64, in whatever order they are added.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

_GRID = 2.0**26
# |q · g| of vectors of these lengths stays below 2⁵³ steps of the grid's square.
_LONGEST = 1.4
# What is scored at once: 134 MB of scores, and of the gallery 34 MB in float64 at D = 512.
CHUNK = 2048
CLIPS = 8192


def quantise(embeddings: np.ndarray) -> np.ndarray:
    """Embeddings as float64 whole numbers, of which products are exact.

    Args:
        embeddings: float [..., D] of length 1.

    Raises:
        ValueError: They are not finite, or longer than 1.4.
    """
    numbers = np.rint(np.asarray(embeddings, np.float64) * _GRID)
    squares = np.einsum('...d,...d->...', numbers, numbers)
    longest = np.sqrt(squares.max(initial=0.0)) / _GRID
    if not longest <= _LONGEST:
        raise ValueError(
            f'an embedding has length {longest}, expected 1: look at those of queries and gallery'
        )
    return numbers


def _pieces(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def ranks(
    queries: np.ndarray,
    gallery: np.ndarray,
    relevant: Sequence[Sequence[int]],
    chunk: int = CHUNK,
    clips: int = CLIPS,
) -> list[np.ndarray]:
    """Ranks of the relevant clips of each query, as `metrics.relevant_ranks` tells them.

    Args:
        queries: float32 [Q, D] of length 1.
        gallery: float32 [N, D] of length 1.
        relevant: For each query the numbers (below N) of its relevant clips.
        chunk: Queries at once, >= 1.
        clips: Clips of the gallery at once, >= 1. Neither changes the result.

    Returns:
        For each query int64 [number of relevant clips], ascending; the best rank is 1.

    Raises:
        ValueError: An embedding is not finite, or not of length 1.
    """
    found: list[np.ndarray] = []
    for piece in _pieces(len(queries), chunk):
        asked = quantise(queries[piece])
        # [number of relevant clips] each, best first.
        own = [
            np.sort(quantise(gallery[np.asarray(numbers, np.int64)]) @ query)[::-1]
            for query, numbers in zip(asked, relevant[piece], strict=True)
        ]
        at_least = [np.zeros(len(scores), np.int64) for scores in own]
        for part in _pieces(len(gallery), clips):
            for row, mine, count in zip(
                asked @ quantise(gallery[part]).T, own, at_least, strict=True
            ):
                if len(mine):
                    rivals = np.sort(row[row >= mine[-1]])
                    count += len(rivals) - np.searchsorted(rivals, mine, side='left')
        for mine, count in zip(own, at_least, strict=True):
            # The relevant ones were counted, too; they stand in a row behind the others.
            relevant_too = len(mine) - np.searchsorted(mine[::-1], mine, side='left')
            found.append(count - relevant_too + np.arange(1, len(mine) + 1))
    return found


def best(query: np.ndarray, gallery: np.ndarray, count: int) -> np.ndarray:
    """Numbers of the `count` best clips for one query [D], best first; ties in gallery order."""
    asked = quantise(query)
    scores = np.concatenate(
        [quantise(gallery[part]) @ asked for part in _pieces(len(gallery), CLIPS)]
    )
    return np.argsort(-scores, kind='stable')[:count]
