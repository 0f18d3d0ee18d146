"""Queries that fail, with the frames that the report shows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpad_jax.data import readers
from cpad_jax.media import images
from cpad_jax.methods import clip_pad
from cpad_jax.methods.context import EvalContext
from cpad_jax.ranking.query import Query, is_relevant
from cpad_jax.ranking.scorers import Cosine
from cpad_jax.report import strips


def choose(
    context: EvalContext, queries: Sequence[Query], best: Cosine, first: np.ndarray
) -> list[strips.Failure]:
    """The failing queries that the report shows: photo, five best clips, one that is right.

    Args:
        context: Of the evaluation.
        queries: Q queries.
        best: The method that failed.
        first: [Q] rank of the first relevant clip by it.
    """
    clips, photos = context.clips, context.reference_photos
    numbers = {photos[n]['image_id']: n for n in range(len(photos))}
    failures = []
    for number in strips.choose(queries, first, context.config.seed):
        query = queries[number]
        photo = photos[numbers[query.references[0]]]['image']
        pictures = [strips.Picture(images.decode_jpeg(photo), 'the reference photo')]
        for clip in best.best(query, 5):
            words = _content(query, context.labels[clip], clips)
            pictures.append(
                strips.Picture(middle_frame(clips, clip), words, right=clip in query.relevant)
            )
        pictures.append(
            strips.Picture(middle_frame(clips, query.relevant[0]), 'a clip that should stand here')
        )
        text = clip_pad.query_text(query.name, query.action, query.place, person_token=True)
        failures.append(strips.Failure(query, text, int(first[number]), pictures))
    return failures


def middle_frame(clips: readers.ClipReader, number: int) -> np.ndarray:
    """The middle frame of a clip: uint8 [H, W, 3]."""
    data = clips[number]['frames']
    return images.decode_jpeg(data[len(data) // 2])


def _content(query: Query, clip: Mapping[str, Any], clips: readers.ClipReader) -> str:
    """What of a query a clip shows, e.g. 'the person, not doing it; the place'."""
    person_id = query.person_id if is_relevant(clip, query.person_id) else None
    words = 'another person' if person_id is None else 'the person'
    if query.action is not None:
        action = clips.actions.index(query.action)
        doing = is_relevant(clip, person_id, action, relevance=clips.relevance)
        words += ', doing it' if doing else ', not doing it'
    if query.place is not None:
        here = clip['place'] == clips.places.index(query.place)
        words += '; the place' if here else '; another place'
    return words
