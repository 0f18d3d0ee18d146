"""Words under pictures, in the letters that Pillow's own font has, and as wide as there is room."""

from __future__ import annotations

import unicodedata

from PIL import ImageFont

from cpad_jax.printable import printable

_DASHES = dict.fromkeys(map(ord, '‐‑‒–—−'), '-')
_ELLIPSIS = '...'


def plain(text: str) -> str:
    """ASCII: accents are left off, any dash is '-', and what no such letter stands for is '?'."""
    letters = unicodedata.normalize('NFKD', printable(text).translate(_DASHES))
    letters = ''.join(letter for letter in letters if not unicodedata.combining(letter))
    return letters.encode('ascii', 'replace').decode()


def fitted(text: str, font: ImageFont.FreeTypeFont, width: float, tail: int = 0) -> str:
    """Shortens a caption in its middle, so that it is no wider than there is room.

    Args:
        text: Any.
        font: What it is written with.
        width: Pixels that there are.
        tail: Letters at the end that stay, e.g. the number of a part and the ending of a file.

    Returns:
        As `plain`, with '...' for what was left out.
    """
    text = plain(text)
    head, end = text[: len(text) - tail], text[len(text) - tail :]
    while font.getlength(text) > width and head:
        head = head[:-1]
        text = head + _ELLIPSIS + end
    return text


def counted(number: int, thing: str) -> str:
    """'1 face', '2 faces'."""
    return f'{number} {thing}' if number == 1 else f'{number} {thing}s'
