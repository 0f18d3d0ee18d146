"""What it takes to rank the right clips of many queries in a large gallery, and whether exactly."""

from __future__ import annotations

import time

import numpy as np

from cpad_jax import progress
from cpad_jax.ranking import exact_scores, metrics
from tools.benchmarks.measuring import peak

QUERIES, WIDTH, MOST_RELEVANT = 10_000, 512, 5
CHECKED = 20  # Queries whose ranks are also worked out from whole rows of scores.
PIECE = 2000  # Queries between two moves of the progress bar.


def directions(rng: np.random.Generator, count: int) -> np.ndarray:
    """Random float32 [count, 512] L2-normalised, made in place."""
    made = rng.standard_normal((count, WIDTH), np.float32)
    for start in range(0, count, exact_scores.CLIPS):
        part = made[start : start + exact_scores.CLIPS]
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return made


def rank_gallery(clips: int) -> None:
    """Prints time and peak memory of ranking, gallery included, and how many ranks differ.

    Args:
        clips: Size of the gallery.
    """
    rng = np.random.default_rng(0)
    start, before = time.perf_counter(), peak()
    gallery, queries = directions(rng, clips), directions(rng, QUERIES)
    # A tenth of the gallery is there twice, so that there are ties.
    gallery[: clips // 10] = gallery[clips // 10 : clips // 10 * 2]
    counts = rng.integers(1, MOST_RELEVANT, QUERIES, endpoint=True)
    relevant = [np.unique(rng.integers(0, clips, count)) for count in counts]
    print(
        f'{clips} clips and {QUERIES} queries of {WIDTH} float32 numbers: '
        f'{(gallery.nbytes + queries.nbytes) / 1e9:.2f} GB, drawn in '
        f'{time.perf_counter() - start:.0f} s; the process had {before / 1e9:.2f} GB before',
        flush=True,
    )
    start, found = time.perf_counter(), []
    with progress.bar(total=QUERIES, stage='ranking', unit='query') as bar:
        for at in range(0, QUERIES, PIECE):
            piece = slice(at, at + PIECE)
            found += exact_scores.ranks(queries[piece], gallery, relevant[piece])
            bar.update(len(queries[piece]))
    seconds = time.perf_counter() - start
    print(f'ranked in {seconds:.0f} s; peak memory of the process {peak() / 1e9:.2f} GB')
    checked = np.linspace(0, QUERIES - 1, CHECKED).astype(int)
    differ = 0
    for number in checked:
        row = np.empty(clips)
        for at in range(0, clips, 100_000):
            part = exact_scores.quantise(gallery[at : at + 100_000])
            row[at : at + len(part)] = part @ exact_scores.quantise(queries[number])
        (whole,) = metrics.relevant_ranks(row[None], [relevant[number]])
        differ += int((whole != found[number]).sum())
    print(f'ranks from whole rows of scores, {CHECKED} queries: {differ} differ')
