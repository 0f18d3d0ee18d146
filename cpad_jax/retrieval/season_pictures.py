"""The pictures of a season's report: who is asked for, and the clips that stand first."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence

import numpy as np

from cpad_jax.media import images, video
from cpad_jax.retrieval.report.season_page import Searched, Shown, choose
from cpad_jax.retrieval.report.strips import Picture
from cpad_jax.retrieval.report.timeline import clock

_BEST = 5


def draw(searched: Searched, photos: Mapping[str, bytes], seed: int) -> list[Shown]:
    """The queries that the report shows, with their pictures.

    Args:
        searched: What came out.
        photos: person_id → a photo that says who it is, as JPEG.
        seed: Seed of the draw of queries.
    """
    numbers, pieces = choose(searched, seed), searched.pieces(0)
    best = {n: [int(c) for c in searched.first(0, searched.best, n)[:_BEST]] for n in numbers}
    frames = _middles(searched, sorted({clip for clips in best.values() for clip in clips}))
    shown = []
    for number, clips in best.items():
        query = searched.asked[number]
        photo = images.decode_jpeg(photos[query.person_id])
        pictures = [Picture(photo, 'the photo that asks')]
        for clip in clips:
            piece = pieces[clip]
            where = f'{searched.episodes[piece.episode]} {clock(piece.start)}–{clock(piece.end)}'
            pictures.append(Picture(frames[clip], where, clip in query.relevant[0]))
        shown.append(Shown(number, pictures))
    return shown


def _middles(searched: Searched, clips: Sequence[int]) -> dict[int, np.ndarray]:
    """The frame in the middle of each clip of the first cutting; every video is read once."""
    pieces, times = searched.pieces(0), collections.defaultdict(dict)
    for clip in clips:
        times[pieces[clip].episode][clip] = (pieces[clip].start + pieces[clip].end) / 2
    found = {}
    for episode, own in times.items():
        frames, _ = video.sample_frames(searched.videos[episode], times=list(own.values()))
        found |= dict(zip(own, frames, strict=True))
    return found
