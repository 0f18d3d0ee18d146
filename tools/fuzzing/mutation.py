"""Damaging a file: by chance, by its numbers, and as whoever means harm would."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

_LARGEST = 4 << 20  # Bytes of a damaged file.
_HEAD = 400  # Where the headers of most files are.
_NUMBERS = (
    '0', '-1', '65536', '2147483647', '4294967296', '9223372036854775808', '1e9', '1e999', 'NaN',
    '-0.0', '1e-320', '9' * 30, '9' * 5000, 'Infinity', 'null', '""',
)  # fmt: skip
_RUNS = (
    b' ', b'\0', b'\n', b'a', b'"', b'[', b'{', b'<', b'(', b',', b';', b'\t', b'-', b'9', b'\xff',
    b"'", b'\\', b'{"a":', b'[[', b'<v ', b'../', b'\xe2\x80\xae', b'=1+1\n', b'\x1b[2J',
)  # fmt: skip

Mutation = Callable[[np.random.Generator, bytes, Sequence[bytes]], bytes]


def mutate(rng: np.random.Generator, data: bytes, others: Sequence[bytes], text: bool) -> bytes:
    """A damaged copy of a file.

    Args:
        rng: What decides.
        data: The file.
        others: Whole files of its kind, parts of which may come into it.
        text: Whether it is text, whose numbers and lines are then damaged as such.

    Returns:
        Its content, at most 4 MiB.
    """
    choices = [*_BYTES, *(_TEXT if text else ())]
    for _ in range(int(rng.choice([1, 1, 1, 2, 2, 3, 6]))):
        data = choices[rng.integers(len(choices))](rng, data, others)
    return data[:_LARGEST]


def _place(rng: np.random.Generator, data: bytes) -> int:
    """Anywhere, or, as often, where the headers are or where directories end the file."""
    length = len(data)
    where = rng.integers(4)
    if where == 0:
        return int(rng.integers(min(length, _HEAD) + 1))
    if where == 1:
        return int(length - rng.integers(min(length, _HEAD) + 1))
    return int(rng.integers(length + 1))


def _span(rng: np.random.Generator, data: bytes) -> tuple[int, int]:
    """A part of some bytes."""
    start = _place(rng, data)
    length = int(2 ** rng.uniform(0, np.log2(max(len(data), 2))))
    return start, min(start + length, len(data))


def _flip(rng, data, others):
    damaged = bytearray(data)
    for _ in range(int(2 ** rng.uniform(0, 5))):
        place = _place(rng, data)
        if place < len(damaged):
            damaged[place] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def _overwrite(rng, data, others):
    damaged = bytearray(data)
    for _ in range(int(2 ** rng.uniform(0, 4))):
        place = _place(rng, data)
        if place < len(damaged):
            damaged[place] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.integers(256)]))
    return bytes(damaged)


def _cut(rng, data, others):
    return data[: _place(rng, data)]


def _begin_later(rng, data, others):
    return data[_place(rng, data) :]


def _repeat(rng, data, others):
    start, end = _span(rng, data)
    times = int(2 ** rng.uniform(0, 8))
    times = max(1, min(times, _LARGEST // max(end - start, 1)))
    return data[:end] + data[start:end] * times + data[end:]


def _remove(rng, data, others):
    start, end = _span(rng, data)
    return data[:start] + data[end:]


def _move(rng, data, others):
    start, end = _span(rng, data)
    rest = data[:start] + data[end:]
    place = _place(rng, rest)
    return rest[:place] + data[start:end] + rest[place:]


def _splice(rng, data, others):
    other = others[rng.integers(len(others))]
    start, end = _span(rng, other)
    place = _place(rng, data)
    skip = end - start if rng.integers(2) else 0
    return data[:place] + other[start:end] + data[place + skip :]


def _inflate(rng, data, others):
    """A number of two, four or eight bytes becomes one that no valid file has."""
    size = int(rng.choice([2, 4, 8]))
    largest = (1 << 8 * size) - 1
    number = [largest, largest >> 1, (largest >> 1) + 1, 0, 1 << 8 * size - 2, 1 << 20][
        rng.integers(6)
    ] & largest
    place = _place(rng, data)
    order = 'little' if rng.integers(2) else 'big'
    return data[:place] + number.to_bytes(size, order) + data[place + size :]


def _run(rng, data, others):
    piece = _RUNS[rng.integers(len(_RUNS))]
    place = _place(rng, data)
    return data[:place] + piece * int(2 ** rng.uniform(1, 17)) + data[place:]


def _count(rng, data, others):
    """A number that is written out becomes another."""
    found = list(re.finditer(rb'-?\d+(?:\.\d+)?', data))
    if not found:
        return _run(rng, data, others)
    match = found[rng.integers(len(found))]
    number = _NUMBERS[rng.integers(len(_NUMBERS))].encode()
    return data[: match.start()] + number + data[match.end() :]


def _word(rng, data, others):
    """A word takes the place of another one."""
    found = list(re.finditer(rb'[A-Za-z_]+|[^A-Za-z_\s]', data[:100_000]))
    if len(found) < 2:
        return _run(rng, data, others)
    one, other = (found[n] for n in rng.integers(len(found), size=2))
    return data[: one.start()] + other.group() + data[one.end() :]


def _line(rng, data, others):
    """Lines are doubled, dropped, swapped, or become one of another file."""
    lines = data.split(b'\n')
    one, other = rng.integers(len(lines), size=2)
    what = rng.integers(4)
    if what == 0:
        lines.insert(one, lines[other])
    elif what == 1:
        del lines[one]
    elif what == 2:
        lines[one], lines[other] = lines[other], lines[one]
    else:
        theirs = others[rng.integers(len(others))].split(b'\n')
        lines[one] = theirs[rng.integers(len(theirs))]
    return b'\n'.join(lines)


def _encode(rng, data, others):
    """The text in another encoding, with another end of lines, or with a byte of another one."""
    what = rng.integers(6)
    if what == 0:
        place = _place(rng, data)
        return data[:place] + bytes([rng.integers(128, 256)]) + data[place:]
    if what == 1:
        return data.replace(b'\n', b'\r\n' if rng.integers(2) else b'\r')
    text = data.decode('utf-8', errors='replace')
    name = ('utf-16', 'utf-16-be', 'utf-8-sig', 'cp1251')[what - 2]
    return text.encode(name, errors='replace')


_BYTES: tuple[Mutation, ...] = (
    _flip, _flip, _overwrite, _cut, _begin_later, _repeat, _remove, _move, _splice, _inflate, _run,
)  # fmt: skip
_TEXT: tuple[Mutation, ...] = (_count, _count, _word, _line, _encode, _run)
