"""The pictures of a season's report: a reference photo, and the clips that rank first."""

from __future__ import annotations

import collections
from collections.abc import Mapping

import numpy as np

from cpad_jax.media import images, video
from cpad_jax.protocols.season.report import Searched, Shown, choose
from cpad_jax.protocols.season.timeline import clock
from cpad_jax.report.strips import Picture

_BEST = 5


def draw(searched: Searched, photos: Mapping[str, bytes], seed: int) -> list[Shown]:
    """The queries that the report shows, with their pictures.

    Args:
        searched: The results.
        photos: person_id → a reference photo, as JPEG.
        seed: Seed of the draw of queries.
    """
    numbers, segments = choose(searched, seed), searched.segments(0)
    best = {n: [int(c) for c in searched.first(0, searched.best, n)[:_BEST]] for n in numbers}
    when = {
        (n, clip): float(second)
        for n, clips in best.items()
        for clip, second in zip(clips, searched.when(0, searched.best, n)[:_BEST], strict=True)
    }
    frames = _frames(searched, when)
    shown = []
    for number, clips in best.items():
        query = searched.queries[number]
        photo = images.decode_jpeg(photos[query.person_id])
        pictures = [Picture(photo, 'the reference photo')]
        for clip in clips:
            segment = segments[clip]
            where = (
                f'{searched.episodes[segment.episode]} {clock(segment.start)}–{clock(segment.end)}'
            )
            pictures.append(Picture(frames[number, clip], where, clip in query.relevant[0]))
        shown.append(Shown(number, pictures))
    return shown


def _frames(
    searched: Searched, when: Mapping[tuple[int, int], float]
) -> dict[tuple[int, int], np.ndarray]:
    """Frames of clips of the first segmentation, by query and clip; every video is read once.

    Args:
        searched: The results.
        when: (number of a query, number of a clip) → the second of the clip's video.
    """
    segments, times = searched.segments(0), collections.defaultdict(dict)
    for (number, clip), second in when.items():
        times[segments[clip].episode][number, clip] = second
    frames = {}
    for episode, wanted in times.items():
        seconds = sorted(set(wanted.values()))
        sampled, _ = video.sample_frames(searched.videos[episode], times=seconds)
        by_second = dict(zip(seconds, sampled, strict=True))
        frames |= {key: by_second[second] for key, second in wanted.items()}
    return frames
