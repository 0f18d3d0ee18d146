"""Writes files of weights as torch and safetensors do, or not quite, without torch.

Pickles are put together opcode by opcode, because Python's pickler writes only what it can load.
"""

import json
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

STORAGES = {
    'float64': 'Double', 'float32': 'Float', 'float16': 'Half', 'bfloat16': 'BFloat16',
    'int64': 'Long', 'int32': 'Int', 'int16': 'Short', 'int8': 'Char', 'uint8': 'Byte',
    'bool': 'Bool',
}  # fmt: skip


# Pieces of pickle.


def text(value: str) -> bytes:
    data = value.encode()
    return b'X' + struct.pack('<I', len(data)) + data


def number(value: int) -> bytes:
    if 0 <= value < 256:
        return b'K' + bytes([value])
    if -(2**31) <= value < 2**31:
        return b'J' + struct.pack('<i', value)
    data = value.to_bytes(value.bit_length() // 8 + 1, 'little', signed=True)
    return b'\x8a' + bytes([len(data)]) + data


def group(*items: bytes) -> bytes:
    return b'(' + b''.join(items) + b't'


def named(module: str, name: str) -> bytes:
    return f'c{module}\n{name}\n'.encode()


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + group(*arguments) + b'R'


def mapping(values: Mapping[str, bytes]) -> bytes:
    return b'}(' + b''.join(text(key) + value for key, value in values.items()) + b'u'


def script_object(kind: str, attributes: Mapping[str, bytes]) -> bytes:
    return named(*kind.rsplit('.', 1)) + b')\x81' + mapping(attributes) + b'b'


def storage(kind: str, key: str, count: int) -> bytes:
    words = text('storage'), named('torch', f'{kind}Storage'), text(key), text('cpu')
    return group(*words, number(count)) + b'Q'


def tensor(
    shape: Iterable[int] = (2,),
    strides: Iterable[int] = (1,),
    offset: int = 0,
    count: int = 2,
    kind: str = 'Float',
    key: str = '0',
) -> bytes:
    return call(
        named('torch._utils', '_rebuild_tensor_v2'),
        storage(kind, key, count),
        number(offset),
        group(*map(number, shape)),
        group(*map(number, strides)),
        b'\x89',
        call(named('collections', 'OrderedDict')),
    )


def pickled(body: bytes) -> bytes:
    return b'\x80\x02' + body + b'.'


# Zip files.


class Entry(NamedTuple):
    """One record, and what the zip file says of it where that is not the truth."""

    name: str
    content: bytes
    method: int = 0
    size: int | None = None
    at: int | None = None
    flags: int = 0x808
    own_name: str | None = None


def zip_file(entries: Iterable[Entry], end: str = 'both') -> bytes:
    """A zip file laid out as torch's: contents begin at multiples of 64, sizes come after them.

    Args:
        entries: The records.
        end: How the directory ends: 'both' as torch does today, 'short' as it once did, without
            zip64, or 'long' as it does beyond 4 GB, with every number the way of zip64.
    """
    long = end == 'long'
    out, directory, count = bytearray(), bytearray(), 0
    for entry in entries:
        count += 1
        own, name = (entry.own_name or entry.name).encode(), entry.name.encode()
        at = len(out) if entry.at is None else entry.at
        size = len(entry.content) if entry.size is None else entry.size
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = packer.compress(entry.content) + packer.flush() if entry.method else entry.content
        fill = -(len(out) + 30 + len(own) + 4) % 64
        out += struct.pack('<4sHHH16xHH', b'PK\3\4', 0, entry.flags, entry.method,
                           len(own), fill + 4)  # fmt: skip
        # The field with which torch fills up.
        out += own + b'FB' + struct.pack('<H', fill) + b'Z' * fill + packed
        crc = zlib.crc32(entry.content)
        out += struct.pack('<4sIQQ' if long else '<4sIII', b'PK\7\x08', crc, len(packed), size)
        extra, numbers = b'', (len(packed), size, at)
        if long:
            extra = struct.pack('<HHQQQ', 1, 24, size, len(packed), at)
            numbers = (0xFFFFFFFF,) * 3
        directory += struct.pack('<4sHHHH4xIIIHHHHHII', b'PK\1\2', 0, 0, entry.flags, entry.method,
                                 crc, *numbers[:2], len(name), len(extra), 0, 0, 0, 0,
                                 numbers[2])  # fmt: skip
        directory += name + extra
    start, stop = len(out), len(out) + len(directory)
    out += directory
    numbers = (count, count, len(directory), start)
    if end != 'short':
        out += struct.pack('<4sQHHIIQQQQ', b'PK\6\6', 44, 0x31E, 45, 0, 0, *numbers)
        out += struct.pack('<4sIQI', b'PK\6\7', 0, stop, 1)
    if long:
        numbers = (0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
    out += struct.pack('<4sHHHHIIH', b'PK\5\6', 0, 0, *numbers, 0)
    return bytes(out)


def torch_entries(
    body: bytes, records: Mapping[str, bytes], root: str = 'archive', byteorder: bytes = b'little'
) -> list[Entry]:
    """The records of `torch.save`, in its order."""
    files = {'data.pkl': pickled(body), '.format_version': b'1', '.storage_alignment': b'64'}
    files |= {'byteorder': byteorder}
    files |= {f'data/{key}': content for key, content in records.items()}
    files |= {'version': b'3\n', '.data/serialization_id': b'0' * 40}
    return [Entry(f'{root}/{name}', content) for name, content in files.items()]


def state_pickle(arrays: Mapping[str, np.ndarray]) -> tuple[bytes, dict[str, bytes]]:
    """A state dictionary, contiguous, as the body of a pickle and its records."""
    values, records = {}, {}
    for key, (name, array) in enumerate(arrays.items()):
        steps = [stride // array.itemsize for stride in np.empty(array.shape, array.dtype).strides]
        kind = STORAGES[array.dtype.name]
        values[name] = tensor(array.shape, steps, 0, array.size, kind, str(key))
        records[str(key)] = array.tobytes()
    return mapping(values), records


def torch_file(arrays: Mapping[str, np.ndarray], end: str = 'both') -> bytes:
    """What `torch.save` writes of a state dictionary."""
    return zip_file(torch_entries(*state_pickle(arrays)), end)


def script_file(body: bytes, records: Mapping[str, bytes], code: Mapping[str, bytes]) -> bytes:
    """What `torch.jit.save` writes."""
    entries = torch_entries(body, records)
    entries += [Entry(f'archive/code/{name}', content, 8) for name, content in code.items()]
    return zip_file([*entries, Entry('archive/constants.pkl', pickled(b')'))])


def safetensors_file(header: object, data: bytes = b'', length: int | None = None) -> bytes:
    """A safetensors file with any header: bytes, or something that becomes JSON."""
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack('<Q', len(head) if length is None else length) + head + data


# Damage.


def damaged(originals: Sequence[bytes], count: int, seed: int = 0) -> Iterator[bytes]:
    """`count` copies of the files in turn with some bytes changed, one in seven cut off."""
    rng = np.random.default_rng(seed)
    for round_ in range(count):
        data = bytearray(originals[round_ % len(originals)])
        for _ in range(rng.integers(1, 4)):
            data[rng.integers(len(data))] = rng.integers(256)
        if round_ % 7 == 0:
            del data[rng.integers(len(data)) :]
        yield bytes(data)
