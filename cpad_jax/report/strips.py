"""Queries that fail, drawn by chance, with their best five clips as strips of small pictures."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps

from cpad_jax.media import images
from cpad_jax.ranking.query import Query
from cpad_jax.report.page import name, text

FOUND_BY = 5  # A query fails without a relevant clip among so many.
SHOWN = 12
MOST_BYTES = 3_000_000  # Of all strips' HTML; the page stays below 5 MB.
_SIZE = (192, 144)


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture with a caption.

    Attributes:
        image: uint8 [H, W, 3].
        words: Plain text below it.
        right: Whether the clip is relevant; None for a reference photo and for a relevant clip.
    """

    image: np.ndarray
    words: str
    right: bool | None = None


@dataclasses.dataclass(frozen=True)
class Failure:
    """A failing query: its wording, the rank of its first relevant clip, and pictures."""

    query: Query
    wording: str
    rank: int
    pictures: Sequence[Picture]


def choose(queries: Sequence[Query], first: np.ndarray, seed: int) -> list[int]:
    """Failing queries, the same number of each scenario and kind of people as far as there are any.

    Args:
        queries: Q queries.
        first: [Q], rank of the first relevant clip.
        seed: Seed of the draw.

    Returns:
        Numbers of at most `SHOWN` queries, in the order of the queries.
    """
    rng = np.random.default_rng((seed, 10))
    kinds: dict[tuple[str, bool], list[int]] = {}
    for number in np.flatnonzero(first > FOUND_BY):
        query = queries[int(number)]
        kinds.setdefault((query.scenario, query.seen), []).append(int(number))
    drawn = [rng.permutation(numbers).tolist() for numbers in kinds.values()]
    chosen: list[int] = []
    while any(drawn) and len(chosen) < SHOWN:
        for numbers in drawn:
            if numbers and len(chosen) < SHOWN:
                chosen.append(int(numbers.pop()))
    return sorted(chosen)


def _data_uri(image: np.ndarray) -> str:
    tile = ImageOps.fit(Image.fromarray(image), _SIZE, Image.Resampling.LANCZOS)
    data = images.encode_jpeg(np.asarray(tile), quality=80)
    return 'data:image/jpeg;base64,' + base64.b64encode(data).decode()


def _picture(picture: Picture) -> str:
    kind = {None: '', True: 'right', False: 'wrong'}[picture.right]
    verdict = f'<b>{"✓" if picture.right else "✗"} {kind}</b><br>' if kind else ''
    width, height = _SIZE
    return (
        f'<figure class="{kind}"><img src="{_data_uri(picture.image)}" width="{width}" '
        f'height="{height}" alt="{text(f"{kind} {picture.words}".strip(), 200)}"><figcaption>'
        f'{verdict}{text(picture.words, 200)}</figcaption></figure>'
    )


def strip(pictures: Sequence[Picture]) -> str:
    """Pictures side by side, as HTML."""
    return f'<div class="strip">{"".join(map(_picture, pictures))}</div>'


def _failing(failure: Failure) -> str:
    seen = 'seen' if failure.query.seen else 'never seen'
    return (
        f'<h3>{name(failure.wording)}</h3><p class="faint">{text(failure.query.scenario)}, person '
        f'{seen} in training; first relevant clip at rank {failure.rank}</p>'
        + strip(failure.pictures)
    )


def render(failures: Sequence[Failure]) -> str:
    """All strips, as many as fit into `MOST_BYTES`."""
    parts, size = [], 0
    for failure in failures:
        part = _failing(failure)
        size += len(part.encode('utf-8', 'replace'))
        if size > MOST_BYTES:
            break
        parts.append(part)
    return ''.join(parts)
