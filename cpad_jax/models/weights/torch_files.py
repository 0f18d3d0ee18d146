"""Reads torch's weight files without torch, and with no way for a file to run code.

`torch.save` writes a zip file: a pickle that describes the tensors, and one record per storage.
TorchScript archives, such as OpenAI's, are the same with program text beside it. The tensors
returned lie in the file and are read when they are used.
"""

from __future__ import annotations

import math
import mmap
import os
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from cpad_jax.errors import UserError
from cpad_jax.models.weights import safetensors, state_dicts, torch_pickle
from cpad_jax.models.weights.torch_pickle import ScriptObject, Tensor, describe, show

# OpenAI's archives and the state dictionaries made of them keep these sizes beside the weights.
LEFT_OUT = ('input_resolution', 'context_length', 'vocab_size')
OPENAI = "the file has the marks of OpenAI's archives"

_MAX_TEXT = 16 << 20  # Bytes of pickle and program text together, unpacked.
_MAX_RECORDS = 100_000
_MAX_ATTRIBUTES = 100_000

_MEND = 'download it again, get the weights as .safetensors, or save only model.state_dict()'
# What the first pickle of a file of torch before 1.6 begins with: a magic number.
_LEGACY = b'\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.'
_CLASS = re.compile(
    r'^class (\w+)\(Module\):\n  __parameters__ = \[([^\]\n]*)\]\n  __buffers__ = \[([^\]\n]*)\]',
    re.MULTILINE,
)


class _Record(NamedTuple):
    """Bytes from `start` on: `stored` in the file, `size` when they are unpacked."""

    start: int
    stored: int
    size: int
    deflated: bool


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads the state dictionary in a torch zip file or a TorchScript archive.

    Of a training checkpoint the model's dictionary is taken, and what wrappers put before every
    name is dropped, as `state_dicts` has it. Numbers, text and None beside the tensors are left
    out, and so are OpenAI's `input_resolution`, `context_length` and `vocab_size`.

    Args:
        path: A file of `torch.save` (torch 1.6 or newer) or `torch.jit.save`, of any size.

    Returns:
        The arrays by name, in their own types; bfloat16 is `ml_dtypes.bfloat16`. They are
        read-only, contiguous and, where the file has them contiguous, lie in the mapped file, so
        that only what is used takes memory; they need not be aligned.

    Raises:
        UserError: The file is missing, broken or of another kind, or asks for anything but tensors,
            dictionaries, lists, numbers and text.
    """
    return _read(path, lambda data: state_dicts.without_prefixes(_Archive(data).state()[0]))


def read_with_remarks(
    path: str | os.PathLike[str],
) -> tuple[dict[str, np.ndarray], list[str]]:
    """As `read`, with every name as it is, and what a user should know of what was taken."""
    return _read(path, lambda data: _Archive(data).state())


def _read(path: str | os.PathLike[str], take: Callable[[mmap.mmap], Any]) -> Any:
    data = safetensors.map_file(path)
    try:
        return take(data)
    except (ValueError, struct.error) as error:
        words = ' '.join(str(error).split())[:200]
        raise UserError(f'{path}: {words}; {_MEND}') from None


class _Archive:
    """A torch zip file: its records by their name without the root folder, and what they mean."""

    def __init__(self, data: mmap.mmap) -> None:
        if data[:4] != b'PK\x03\x04':
            raise ValueError(_other_kind(data[:16]))
        records = dict(_records(data))
        roots = [name[: -len('/data.pkl')] for name in records if name.endswith('/data.pkl')]
        roots = [root for root in roots if '/' not in root]
        if len(roots) != 1:
            arrays = all(name.endswith('.npy') for name in records)
            what = ' (it seems to be an .npz of NumPy or big_vision)' if records and arrays else ''
            raise ValueError(
                f'it is a zip file with {len(roots)} data.pkl, so not one of torch{what}'
            )
        prefix = f'{roots[0]}/'
        self.records = {
            name.removeprefix(prefix): record
            for name, record in records.items()
            if name.startswith(prefix)
        }
        self._data = data
        self._text_left = _MAX_TEXT
        self._copies_left = len(data)
        self._classes: dict[str, dict[str, set[str]]] = {}
        if 'byteorder' in self.records and self._text('byteorder') != b'little':
            raise ValueError('it is from a machine of another byte order than little')

    def state(self) -> tuple[dict[str, np.ndarray], list[str]]:
        """The arrays of the state dictionary, and a remark on where it was."""
        value, remarks = torch_pickle.unpickle(self._text('data.pkl')), []
        if type(value) is ScriptObject:
            tensors = dict(self._script_tensors(value))
        elif type(value) is dict:
            state, remarks = state_dicts.unwrap(value, lambda v: type(v) is Tensor)
            tensors = dict(_plain_tensors(state))
        else:
            raise ValueError(f'it holds {describe(value)}, expected a dictionary of tensors')
        # Its name need not come first, where a wrapper holds the model.
        sizes = [name for name in tensors if name.rpartition('.')[2] in LEFT_OUT]
        for name in sizes:
            del tensors[name]
        if not tensors:
            keys = list(value)[:5] if type(value) is dict else []
            raise ValueError(f'it holds no tensors, but {[show(str(key)) for key in keys]}')
        if len(sizes) == len(LEFT_OUT):
            remarks.append(OPENAI)
        return {name: self._array(name, tensor) for name, tensor in tensors.items()}, remarks

    def _text(self, name: str) -> bytes:
        """A whole record that is no tensor; all of them together fit in `_MAX_TEXT`."""
        record = self.records[name]
        if max(record.size, record.stored) > self._text_left:
            raise ValueError(
                f'{show(name)} unpacks to {record.size} bytes, at most {_MAX_TEXT} are read'
            )
        self._text_left -= record.size
        content = self._data[record.start : record.start + record.stored]
        if record.deflated:
            try:
                # One byte more than it should have, to see when it has more.
                content = zlib.decompressobj(-15).decompress(content, record.size + 1)
            except zlib.error as error:
                raise ValueError(f'{show(name)} does not unpack ({error})') from None
        if len(content) != record.size:
            raise ValueError(f'{show(name)} does not have the {record.size} bytes it should')
        return content

    def _array(self, name: str, tensor: Tensor) -> np.ndarray:
        """The numbers of a tensor, where they lie in the file."""
        safetensors.check_name(name)
        (dtype, key, count), offset, shape, strides = tensor
        record = self.records.get(f'data/{key}')
        if record is None:
            raise ValueError(f'{name} needs the record {show(f"data/{key}")}, which is missing')
        if record.deflated:
            raise ValueError(f'{name} lies in the file compressed, which torch never does')
        if record.size != count * dtype.itemsize:
            raise ValueError(
                f'{name} needs {count} numbers of {dtype.itemsize} bytes, its record has '
                f'{record.size} bytes'
            )
        if len(shape) != len(strides) or min(offset, 0, *shape, *strides) < 0:
            raise ValueError(f'{name} has a shape, strides or offset that make no sense')
        safetensors.check_shape(name, shape)
        elements = math.prod(shape)
        if not elements:
            return np.empty(shape, dtype)
        # A dimension of one has no use for its stride, and torch lets it be anything.
        steps = [step if n > 1 else 0 for n, step in zip(shape, strides, strict=True)]
        end = offset + sum((n - 1) * step for n, step in zip(shape, steps, strict=True)) + 1
        # More elements than numbers would repeat them: a small file could ask for any memory.
        if max(end, elements) > count:
            raise ValueError(f'{name} reaches to number {max(end, elements)} of {count}')
        array = np.ndarray(
            shape,
            dtype,
            self._data,
            record.start + offset * dtype.itemsize,
            [step * dtype.itemsize for step in steps],
        )
        if array.flags.c_contiguous:
            return array
        self._copies_left -= array.nbytes
        if self._copies_left < 0:
            raise ValueError('its strided tensors are larger together than the file')
        array = array.copy()
        array.flags.writeable = False
        return array

    def _script_tensors(self, root: ScriptObject) -> Iterator[tuple[str, Tensor]]:
        """Parameters and buffers of a TorchScript module, by the path of their attribute."""
        pending = [('', root)]
        seen = 0
        while pending:
            prefix, module = pending.pop()
            seen += len(module.attributes) + 1
            # Modules can hold each other many times over, or themselves.
            if seen > _MAX_ATTRIBUTES:
                raise ValueError(f'it has more than {_MAX_ATTRIBUTES} attributes')
            registered = self._registered(module.kind)
            for name, value in module.attributes.items():
                tensor = type(value) is Tensor and (registered is None or name in registered)
                if tensor or type(value) is ScriptObject:
                    safetensors.check_name(prefix + name)
                if tensor:
                    yield prefix + name, value
                elif type(value) is ScriptObject:
                    pending.append((f'{prefix}{name}.', value))

    def _registered(self, kind: str) -> set[str] | None:
        """Names of a class's parameters and buffers, as its program text has them.

        A tensor that is neither, such as a mask, is no part of the state dictionary. None where
        the text does not tell.
        """
        module, _, name = kind.rpartition('.')
        path = f'code/{module.replace(".", "/")}.py'
        if path not in self._classes:
            text = self._text(path).decode() if path in self.records else ''
            self._classes[path] = {
                found: set(re.findall(r'"([^"]+)"', parameters + buffers))
                for found, parameters, buffers in _CLASS.findall(text)
            }
        return self._classes[path].get(name)


def _plain_tensors(state: dict[Any, Any]) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a state dictionary."""
    if 'param_groups' in state and 'state' in state:
        raise ValueError("it seems to be an optimiser's state; take the file of the model itself")
    for name, value in state.items():
        if type(value) is Tensor and type(name) is str:
            yield name, value
        elif value is not None and type(value) not in (bool, int, float, str):
            raise ValueError(f'{show(str(name))} is {describe(value)}, expected a tensor')


def _other_kind(head: bytes) -> str:
    """What a file is that is no zip file, in words."""
    if head.startswith(_LEGACY):
        return (
            'it is in the format of torch before 1.6: with a newer torch, torch.load it with '
            'weights_only=True and torch.save it again'
        )
    if head[:1] == b'\x80' and head[1:2] <= b'\x05':
        return 'it is a bare pickle, not a file of torch.save'
    if head[8:9] == b'{':
        return 'it is a safetensors file: give it the suffix .safetensors'
    if head[:1] in (b'\x08', b'\x0a') and b'\0' not in head[:2]:
        return 'it seems to be a file of ONNX or TensorFlow, not of torch'
    if 0x81 <= head[0] <= 0x8F or head[0] == 0xDE:
        return 'it seems to be a file of Flax (msgpack), not of torch'
    return 'it is not a zip file of torch, or its beginning is missing'


def _records(data: mmap.mmap) -> Iterator[tuple[str, _Record]]:
    """Every entry of the zip file's directory, checked against the entry itself.

    Not Python's zipfile, which makes something of nearly every file: here there is one way to
    read it, or it is refused.
    """
    count, at, end = _directory(data)
    if count > _MAX_RECORDS:
        raise ValueError(f'it has {count} records, at most {_MAX_RECORDS} are read')
    names: set[str] = set()
    spans = []
    directory = at
    for _ in range(count):
        if data[at : at + 4] != b'PK\x01\x02' or at + 46 > end:
            raise ValueError('its zip directory is broken')
        flags, method, stored, size, name_size, extra_size, comment_size, disk, offset = (
            struct.unpack_from('<8xHH8xIIHHHH6xI', data, at)
        )
        raw = data[at + 46 : at + 46 + name_size]
        extra = data[at + 46 + name_size : at + 46 + name_size + extra_size]
        at += 46 + name_size + extra_size + comment_size
        # Whichever of these is full has its value in the zip64 field, in this order.
        long = _zip64_numbers(extra)
        size, stored, offset = (
            next(long, -1) if n == 0xFFFFFFFF else n for n in (size, stored, offset)
        )
        name = raw.decode('utf-8')
        parts = name.split('/')
        if '' in parts[:1] or '..' in parts or '\\' in name or name[1:2] == ':':
            raise ValueError(f'it holds an entry {show(name)}, which leads out of a folder')
        if name in names:
            raise ValueError(f'it holds {show(name)} twice')
        names.add(name)
        if flags & 0x2041 or method not in (0, 8) or disk:
            raise ValueError(f'{show(name)} is encrypted, split or compressed in an unusual way')
        if data[offset : offset + 4] != b'PK\x03\x04' or min(size, stored, offset) < 0:
            raise ValueError(f'{show(name)} is not where its zip directory says')
        own_name, own_extra = struct.unpack_from('<HH', data, offset + 26)
        start = offset + 30 + own_name + own_extra
        if data[offset + 30 : offset + 30 + own_name] != raw or (method == 0 and size != stored):
            raise ValueError(f'{show(name)} and its zip directory disagree')
        spans.append((offset, start + stored, name))
        yield name, _Record(start, stored, size, method == 8)
    if at != end:
        raise ValueError('its zip directory is broken')
    previous = 0
    for begin, stop, name in sorted(spans):
        if begin < previous or stop > directory:
            raise ValueError(f'{show(name)} overlaps something else in the zip file')
        previous = stop


def _directory(data: mmap.mmap) -> tuple[int, int, int]:
    """Number of entries, first byte and end of the zip file's directory."""
    last = data.rfind(b'PK\x05\x06', max(0, len(data) - 22 - 0xFFFF))
    if last < 0 or last + 22 > len(data):
        raise ValueError('the directory at its end is missing, so it is not whole')
    disks, count, size, at, comment = struct.unpack_from('<4xI2xHIIH', data, last)
    end = last
    if last >= 20 and data[last - 20 : last - 16] == b'PK\x06\x07':
        end = struct.unpack_from('<Q', data, last - 12)[0]
        if data[end : end + 4] != b'PK\x06\x06' or end + 56 != last - 20:
            raise ValueError('its zip64 directory is broken')
        short = count, size, at
        disks, count, size, at = struct.unpack_from('<16xQ8xQQQ', data, end)
        full = (0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
        if any(s not in (n, f) for s, n, f in zip(short, (count, size, at), full, strict=True)):
            raise ValueError('its zip and zip64 directories disagree')
    if disks or at + size != end or last + 22 + comment != len(data):
        raise ValueError('its zip directory is broken')
    return count, at, end


def _zip64_numbers(extra: bytes) -> Iterator[int]:
    """The long numbers of an entry of the directory."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from('<HH', extra, at)
        if kind == 1:
            for (number,) in struct.iter_unpack('<Q', extra[at + 4 : at + 4 + size // 8 * 8]):
                yield number
        at += 4 + size
