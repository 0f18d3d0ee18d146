"""Checks pictures by the thousand on all cores, in their order, and holds few of them at a time.

JPEG files are taken as they are; PNG files, whatever their names, become JPEG, as records hold it.

Threads, not processes: reading a file and decoding it both happen outside Python's lock, and to
hand pictures to a process and back takes a third more of the cores' time.
"""

from __future__ import annotations

import collections
import itertools
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

from cpad_jax.errors import UserError
from cpad_jax.media import image_files, images

# What a file of a single picture may weigh. Nothing is known to come near it.
LARGEST = 64 << 20
# Enough that handing them over costs nothing.
_AT_ONCE = 32
_PNG = b'\x89PNG\r\n\x1a\n'

Item = TypeVar('Item')


class Picture(NamedTuple):
    """The bytes of a whole JPEG file, and the size in pixels of the picture turned upright."""

    data: bytes
    height: int
    width: int


def check(source: bytes | Path) -> Picture | str:
    """One picture, or why it is none.

    Args:
        source: The bytes, or the file that has them.
    """
    try:
        if isinstance(source, Path):
            if source.stat().st_size > LARGEST:
                return 'too large a file'
            source = source.read_bytes()
        if source.startswith(_PNG):
            source = _from_png(source)
        return Picture(source, *image_files.jpeg_size(source))
    except OSError as error:
        return f'cannot be read ({error.strerror})'
    except UserError as error:
        return str(error)


def _from_png(data: bytes) -> bytes:
    try:
        return images.encode_jpeg(images.read_image(data), 95)
    except UserError as error:
        raise UserError(f'not a JPEG picture, and as PNG {error}') from error


def check_all(
    items: Iterable[tuple[Item, bytes | Path]], threads: int | None = None
) -> Iterator[tuple[Item, Picture | str]]:
    """Checks pictures while later ones are fetched.

    Args:
        items: What the caller knows each by, and its bytes or its file.
        threads: How many check; None for one per CPU core.

    Yields:
        In the same order, the picture or why it is none.
    """
    threads = threads or os.cpu_count() or 1
    items = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        ahead: collections.deque[Future] = collections.deque()
        while batch := list(itertools.islice(items, _AT_ONCE)):
            ahead.append(pool.submit(_check_batch, batch))
            if len(ahead) > 2 * threads:
                yield from ahead.popleft().result()
        while ahead:
            yield from ahead.popleft().result()


def _check_batch(batch: list[tuple[Item, bytes | Path]]) -> list[tuple[Item, Picture | str]]:
    return [(item, check(source)) for item, source in batch]
