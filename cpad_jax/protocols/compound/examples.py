"""A picture of results: what was asked, the photo that says of whom, and the five best clips."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from cpad_jax import atomic
from cpad_jax.media import images

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
    """One query with its answer.

    Attributes:
        text: The query as it was asked.
        note: What is to be said about it, e.g. the rank of the first right clip.
        photo: One reference photo, uint8 [H, W, 3].
        frames: The middle frames of the best clips, best first.
        right: For each of them whether it answers the query.
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


def draw(path: str | Path, examples: Sequence[Example]) -> None:
    """Writes the picture as JPEG.

    Args:
        path: Where.
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
    atomic.write_bytes(path, images.encode_jpeg(np.asarray(sheet), quality=90))
