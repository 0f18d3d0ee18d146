"""Reads JSON of unknown origin: of bounded size and depth, and with one meaning only.

Python's own reader takes NaN, an infinity for 1e999, the last of two equal keys and a number of a
million digits, and makes up to 25 bytes of one byte of hostile text. None of that is needed here.
"""

from __future__ import annotations

import json
import math
import os
import stat
from typing import Any, NoReturn

MAX_BYTES = 4 << 20
MAX_DEPTH = 100

_DIGITS = 19  # Of a whole number; 2^63 has as many.


def parse(data: bytes, most: int = MAX_BYTES) -> Any:
    """Parses JSON.

    Args:
        data: UTF-8, with or without a byte-order mark.
        most: Bytes that are taken at most.

    Returns:
        What it says; whole numbers lie within 64 bits, and other numbers are finite.

    Raises:
        ValueError: It is too long, nests too deeply, names a key twice, holds a number out of range
            or halves of characters (but bytes as `os.fsdecode` has them), or is not JSON at all.
    """
    if len(data) > most:
        raise ValueError(f'it has more than {most} bytes')
    try:
        value = json.loads(
            data.decode('utf-8-sig'),
            object_pairs_hook=_once,
            parse_int=_whole,
            parse_float=_finite,
            parse_constant=_refuse,
        )
    except RecursionError:
        raise ValueError('it nests too deeply') from None
    _check(value, escapes=b'\\ud' in data or b'\\uD' in data)
    return value


def read(path: str | os.PathLike[str], most: int = MAX_BYTES) -> Any:
    """Reads a file as `parse` does.

    Raises:
        OSError: It cannot be read.
        ValueError: As `parse`, or the path leads to something that is no file.
    """
    # Looked at before it is opened: to open a pipe waits for somebody to write into it.
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError('it is no file')
    with open(path, 'rb') as file:
        return parse(file.read(most + 1), most)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise ValueError(f'the name {twice[:60]!r} occurs twice')
    return values


def _whole(digits: str) -> int:
    if len(digits.lstrip('-')) > _DIGITS:
        raise ValueError(f'a whole number has more than {_DIGITS} digits')
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f'the number {digits[:40]} is out of range')
    return number


def _refuse(name: str) -> NoReturn:
    raise ValueError(f'{name} is no number of JSON')


def _check(value: Any, escapes: bool) -> None:
    """Refuses deep nesting, and halves of characters that an escape may have put into a text."""
    level = [value]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for item in level:
            if type(item) is dict:
                inner.extend(item.values())
                if escapes:
                    inner.extend(item)
            elif type(item) is list:
                inner.extend(item)
            elif escapes and type(item) is str:
                try:
                    # Bytes of a file's name that are not UTF-8 stand as Python gives them.
                    item.encode('utf-8', 'surrogateescape')
                except UnicodeEncodeError:
                    raise ValueError('a text has half of a character') from None
        if not inner:
            return
        level = inner
    raise ValueError('it nests too deeply')
