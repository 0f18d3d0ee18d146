"""An image of results: queries, a reference photo of each, and the five best clips."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from cpad_jax.media import images
from cpad_jax.methods import clip_pad
from cpad_jax.methods.context import EvalContext
from cpad_jax.protocols.compound.failures import middle_frame
from cpad_jax.ranking import rows
from cpad_jax.ranking.query import Query
from cpad_jax.ranking.scorers import Cosine

_TILE = (224, 168)
_PHOTO = 168
_GAP = 14
_HEAD = 44
_FRAME = 6
_BADGE = 28
_BACKGROUND = (250, 249, 246)
_INK = (34, 34, 38)
_FAINT = (120, 120, 126)
_RIGHT = (38, 140, 72)
_WRONG = (190, 60, 54)


@dataclasses.dataclass(frozen=True)
class Example:
    """One query with its best clips.

    Attributes:
        text: The text of the query.
        note: A remark, e.g. the rank of the first relevant clip.
        photo: One reference photo, uint8 [H, W, 3].
        frames: The middle frames of the best clips, best first.
        right: For each of them whether it is relevant.
    """

    text: str
    note: str
    photo: np.ndarray
    frames: Sequence[np.ndarray]
    right: Sequence[bool]


def _tile(image: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """The middle of a picture at that size, its shapes kept."""
    return ImageOps.fit(Image.fromarray(image), size, Image.Resampling.LANCZOS)


def _judged(image: np.ndarray, right: bool) -> Image.Image:
    """A frame in green with a tick, or in red with a cross for eyes that cannot tell the two."""
    tile = _tile(image, _TILE)
    pen = ImageDraw.Draw(tile)
    colour = _RIGHT if right else _WRONG
    width, height = _TILE
    pen.rectangle((0, 0, width - 1, height - 1), outline=colour, width=_FRAME)
    pen.rectangle((width - _BADGE, 0, width - 1, _BADGE - 1), fill=colour)
    x, y, r = width - _BADGE / 2, _BADGE / 2, _BADGE / 4.5
    if right:
        pen.line((x - r, y, x - r / 3, y + r * 0.8, x + r, y - r * 0.8), fill='white', width=3)
    else:
        pen.line((x - r, y - r, x + r, y + r), fill='white', width=3)
        pen.line((x - r, y + r, x + r, y - r), fill='white', width=3)
    return tile


def draw(context: EvalContext, queries: Sequence[Query], best: Cosine, first: np.ndarray) -> bytes:
    """The image of some queries, as JPEG.

    Args:
        context: Of the evaluation.
        queries: Q queries.
        best: The method whose best clips are drawn.
        first: [Q] rank of the first relevant clip by it.
    """
    clips, photos = context.clips, context.reference_photos
    numbers = {photos[n]['image_id']: n for n in range(len(photos))}
    drawn = []
    for number in choose(queries, first, context.config.seed):
        query = queries[number]
        hits = best.best(query, 5)
        drawn.append(
            Example(
                text=clip_pad.query_text(query.name, query.action, query.place, person_token=True),
                note=f'first right clip at rank {int(first[number])} of {len(clips)}',
                photo=images.decode_jpeg(photos[numbers[query.references[0]]]['image']),
                frames=[middle_frame(clips, clip) for clip in hits],
                right=[clip in query.relevant for clip in hits],
            )
        )
    return render(drawn)


def choose(queries: Sequence[Query], first: np.ndarray, seed: int) -> list[int]:
    """Which queries the picture shows: one of a seen person per scenario, and both outcomes.

    Args:
        queries: Q queries.
        first: [Q] rank of the first relevant clip.
        seed: Seed of the draw, which does not look at `first`. Only where all that it drew have a
            right clip among the first five, or none has, one of the other kind is drawn too.

    Returns:
        Numbers of queries.
    """
    rng = np.random.default_rng((seed, 7))
    chosen = []
    for scenario in dict.fromkeys(query.scenario for query in queries):
        which = rows.group(queries, scenario, 'seen')
        if len(which):
            chosen.append(int(rng.choice(which)))
    hits = first <= 5
    for wanted in (True, False):
        if (hits[chosen] != wanted).all() and (hits == wanted).any():
            chosen.append(int(rng.choice(np.flatnonzero(hits == wanted))))
    return chosen


def render(examples: Sequence[Example]) -> bytes:
    """The image as JPEG.

    Args:
        examples: From top to bottom, one or more; right clips get a green frame with a tick,
            wrong ones a red frame with a cross.
    """
    columns = max(len(example.frames) for example in examples)
    width = _GAP + _PHOTO + _GAP * 2 + columns * (_TILE[0] + _GAP)
    height = _GAP + len(examples) * (_HEAD + _TILE[1] + _GAP)
    sheet = Image.new('RGB', (width, height), _BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(21), ImageFont.load_default(16)
    y = _GAP
    for example in examples:
        pen.text((_GAP, y + 8), example.text, font=large, fill=_INK)
        end = _GAP + pen.textlength(example.text, font=large)
        pen.text((end + 18, y + 12), example.note, font=small, fill=_FAINT)
        y += _HEAD
        sheet.paste(_tile(example.photo, (_PHOTO, _PHOTO)), (_GAP, y))
        x = _GAP + _PHOTO + _GAP * 2
        for frame, right in zip(example.frames, example.right, strict=True):
            sheet.paste(_judged(frame, right), (x, y))
            x += _TILE[0] + _GAP
        y += _TILE[1] + _GAP
    return images.encode_jpeg(np.asarray(sheet), quality=90)
