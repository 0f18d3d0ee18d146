"""Contact sheets of moments: for each its time and the frame with the best view of the face."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cpad_jax.errors import UserError
from cpad_jax.labelling.find_person import Moment
from cpad_jax.media import lettering, video

_COLUMNS, _ROWS = 4, 6
_WIDTH, _HEIGHT, _LINE, _GAP = 320, 180, 22, 8
_TAIL = 8  # Letters at the end of a file's name, which distinguish the episodes of a series.
_PAPER, _INK, _FRAME = (250, 249, 246), (34, 34, 38), (230, 40, 40)


def format_time(seconds: float) -> str:
    """Formats a time as hours (if any), minutes, seconds and tenths: '1:02.5', '1:00:07.0'."""
    minutes, tenths = divmod(round(seconds * 10), 600)
    hours, minutes = divmod(minutes, 60)
    before = f'{hours}:{minutes:02d}' if hours else f'{minutes}'
    return f'{before}:{tenths // 10:02d}.{tenths % 10}'


def draw(moments: Sequence[Moment]) -> np.ndarray:
    """Draws the first 24 moments, as they are ordered.

    Args:
        moments: At least one.

    Returns:
        uint8 [H, W, 3] RGB.
    """
    moments = moments[: _COLUMNS * _ROWS]
    columns = min(_COLUMNS, len(moments))
    rows = -(-len(moments) // columns)
    size = columns * (_WIDTH + _GAP) + _GAP, rows * (_HEIGHT + _LINE + _GAP) + _GAP
    sheet = Image.new('RGB', size, _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for number, picture in enumerate(_pictures(moments)):
        row, column = divmod(number, columns)
        x, y = _GAP + column * (_WIDTH + _GAP), _GAP + row * (_HEIGHT + _LINE + _GAP)
        sheet.paste(picture, (x + (_WIDTH - picture.width) // 2, y))
        pen.text((x, y + _HEIGHT + 2), caption(moments[number], font), font=font, fill=_INK)
    return np.asarray(sheet)


def caption(moment: Moment, font: ImageFont.FreeTypeFont) -> str:
    """The caption of a moment: its score, start, end and video."""
    text = f'{moment.score:.2f}  {format_time(moment.start)}-{format_time(moment.end)}  '
    room = _WIDTH - font.getlength(text)
    return text + lettering.fitted(moment.video.name, font, room, _TAIL)


def _pictures(moments: Sequence[Moment]) -> list[Image.Image]:
    """The frames of moments, with a box around the face; each video is decoded once."""
    pictures: dict[int, Image.Image] = {}
    for path in dict.fromkeys(moment.video for moment in moments):
        indices = [n for n, moment in enumerate(moments) if moment.video == path]
        indices.sort(key=lambda n: moments[n].best_time)
        frames = video.iterate_frames(path, [moments[n].best_time for n in indices])
        try:
            for number, (image, _) in zip(indices, frames, strict=True):
                pictures[number] = _picture(image, moments[number].box)
        except UserError:
            # The video was readable before; moments that are now missing stay blank.
            for number in indices:
                pictures.setdefault(number, Image.new('RGB', (_WIDTH, _HEIGHT), _INK))
    return [pictures[number] for number in range(len(moments))]


def _picture(image: np.ndarray, box: np.ndarray) -> Image.Image:
    picture = Image.fromarray(image)
    picture.thumbnail((_WIDTH, _HEIGHT))
    ymin, xmin, ymax, xmax = (
        box.astype(float) * [picture.height, picture.width, picture.height, picture.width]
    ).round()
    ImageDraw.Draw(picture).rectangle((xmin, ymin, xmax, ymax), outline=_FRAME, width=2)
    return picture
