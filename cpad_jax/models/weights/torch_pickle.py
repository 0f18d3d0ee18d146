"""A pickle machine that knows data and a dozen of torch's names, and calls nothing.

Python's own unpickler calls whatever function a file names. Here an opcode makes at most what it
is given: no function is called, nothing is imported, and nothing is copied from what was noted
before, so that a small pickle cannot fill the memory.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from cpad_jax.models.weights.safetensors import DTYPES, MAX_DIMENSIONS

# A checkpoint of 1,400 parameters with both moments of Adam takes 100,000 opcodes.
MAX_OPCODES = 1_000_000
_MAX_DEPTH = 100
# Longer than any name of torch's. A name of a megabyte, noted once, could be used a million times.
_MAX_NAME = 300
_MAX_ARGUMENTS = 16

_STORAGES = {
    f'torch.{name}Storage': DTYPES[dtype]
    for name, dtype in (
        ('Double', 'F64'), ('Float', 'F32'), ('Half', 'F16'), ('BFloat16', 'BF16'),
        ('Long', 'I64'), ('Int', 'I32'), ('Short', 'I16'), ('Char', 'I8'), ('Byte', 'U8'),
        ('Bool', 'BOOL'),
    )
} | {'torch.storage.UntypedStorage': DTYPES['U8']}  # fmt: skip
# TorchScript wraps lists and dictionaries in these to note their types.
_WRAPPERS = {f'torch.jit._pickle.build_{kind}list' for kind in ('int', 'tensor', 'double', 'bool')}
_WRAPPERS |= {'torch.jit._pickle.restore_type_tag'}
_TENSORS = ('torch._utils._rebuild_tensor', 'torch._utils._rebuild_tensor_v2')
_CALLS = {*_WRAPPERS, *_TENSORS, 'collections.OrderedDict', 'torch.Size'}
_CALLS |= {'torch._utils._rebuild_parameter'}
_SCRIPTED = '__torch__.'
# What training programs put beside the weights: a bag of settings, of which nothing is used.
_SETTINGS = 'argparse.Namespace'

_CONSTANTS = {'NONE': None, 'NEWTRUE': True, 'NEWFALSE': False}
_PLAIN = {'BININT', 'BININT1', 'BININT2', 'LONG1', 'BINFLOAT', 'BINUNICODE', 'SHORT_BINUNICODE'}
_TUPLES = {'EMPTY_TUPLE': 0, 'TUPLE1': 1, 'TUPLE2': 2, 'TUPLE3': 3}
_OPCODES = {*_CONSTANTS, *_PLAIN, *_TUPLES} | set(
    'APPEND APPENDS BINGET BINPERSID BINPUT BUILD EMPTY_DICT EMPTY_LIST FRAME GLOBAL LONG_BINGET '
    'LONG_BINPUT MARK MEMOIZE NEWOBJ PROTO REDUCE SETITEM SETITEMS STACK_GLOBAL STOP TUPLE'.split()
)


class Global(NamedTuple):
    """A name of torch's that occurred; it stands for nothing but itself."""

    name: str


class Storage(NamedTuple):
    """Where numbers lie: `count` of them in the record data/`key`."""

    dtype: np.dtype
    key: str
    count: int


class Tensor(NamedTuple):
    """A view of a storage, as the file has it; offset and strides count numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class ScriptObject:
    """An object of a TorchScript class, or a bag of settings of a training program.

    Attributes:
        kind: Name of the class, such as '__torch__.torch.nn.modules.linear.Linear'.
        attributes: Its attributes by name.
    """

    __slots__ = ('kind', 'attributes')

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.attributes: dict[str, Any] = {}


def show(text: str) -> str:
    """Text from a file, made fit for a message."""
    return ascii(text[:80])


def describe(value: Any) -> str:
    """What a value is, in words."""
    if type(value) is Global:
        return value.name
    return {'NoneType': 'nothing', 'str': 'text', 'ScriptObject': 'a TorchScript object'}.get(
        type(value).__name__, f'a {type(value).__name__}'
    )


def unpickle(data: bytes) -> Any:
    """The value that a pickle describes.

    Args:
        data: The pickle, of protocol 2 to 5.

    Returns:
        Numbers, text, None, tuples, lists and dictionaries of them, of `Tensor` and of
        `ScriptObject`. A list or dictionary can hold itself.

    Raises:
        ValueError: It is broken, too large, or asks for anything else, which is named.
    """
    stack: list[Any] = []
    marks: list[list[Any]] = []
    memo: dict[int, Any] = {}
    attributes = 0

    def pop(count: int = 1) -> list[Any]:
        if len(stack) < count:
            raise ValueError('its pickle is broken: it takes more than there is')
        items = stack[len(stack) - count :]
        del stack[len(stack) - count :]
        return items

    def pop_to_mark() -> list[Any]:
        nonlocal stack
        if not marks:
            raise ValueError('its pickle is broken: a mark is missing')
        items, stack = stack, marks.pop()
        return items

    for number, (opcode, argument) in enumerate(_opcodes(data)):
        if number == MAX_OPCODES:
            raise ValueError(f'its pickle has more than {MAX_OPCODES} opcodes')
        match opcode:
            case opcode if opcode in _PLAIN:
                stack.append(argument)
            case 'BINGET' | 'LONG_BINGET':
                if argument not in memo:
                    raise ValueError(f'its pickle is broken: there is no value number {argument}')
                stack.append(memo[argument])
            case 'BINPUT' | 'LONG_BINPUT' | 'MEMOIZE':
                index = len(memo) if argument is None else argument
                if index > MAX_OPCODES:
                    raise ValueError(f'its pickle notes a value number {index}')
                memo[index] = _top(stack)
            case opcode if opcode in _CONSTANTS:
                stack.append(_CONSTANTS[opcode])
            case opcode if opcode in _TUPLES:
                stack.append(tuple(pop(_TUPLES[opcode])))
            case 'MARK':
                if len(marks) == _MAX_DEPTH:
                    raise ValueError(f'its pickle nests deeper than {_MAX_DEPTH}')
                marks.append(stack)
                stack = []
            case 'TUPLE':
                items = pop_to_mark()
                stack.append(tuple(items))
            case 'EMPTY_LIST':
                stack.append([])
            case 'EMPTY_DICT':
                stack.append({})
            case 'APPEND' | 'APPENDS':
                items = pop_to_mark() if opcode == 'APPENDS' else pop()
                _top(stack, list).extend(items)
            case 'SETITEM' | 'SETITEMS':
                items = pop_to_mark() if opcode == 'SETITEMS' else pop(2)
                _update(_top(stack, dict), items)
            case 'GLOBAL':
                stack.append(_known(*argument))
            case 'STACK_GLOBAL':
                module, name = pop(2)
                if type(module) is not str or type(name) is not str:
                    raise ValueError('its pickle is broken: a name is no text')
                stack.append(_known(module, name))
            case 'BINPERSID':
                stack.append(_storage(*pop()))
            case 'REDUCE':
                stack.append(_call(*pop(2)))
            case 'NEWOBJ':
                stack.append(_new(*pop(2)))
            case 'BUILD':
                (state,) = pop()
                # One dictionary can be the state of a million objects, and is looked through anew.
                attributes += len(state) if type(state) is dict else 0
                if attributes > MAX_OPCODES:
                    raise ValueError(f'its pickle sets more than {MAX_OPCODES} attributes')
                _build(_top(stack), state)
            case 'STOP':
                if marks or len(stack) != 1:
                    raise ValueError('its pickle is broken: something is left over')
                return stack[0]
    raise ValueError('its pickle has no end')


def _opcodes(data: bytes) -> Iterator[tuple[str, Any]]:
    """Name and argument of every opcode, as of `pickletools.genops`; of GLOBAL both its lines.

    An opcode that is not allowed is refused before its argument is read, which may be long.
    """
    file = io.BytesIO(data)
    while code := file.read(1):
        opcode = pickletools.code2op.get(code.decode('latin-1'))
        if opcode is None:
            raise ValueError(f'its pickle has the unknown opcode {code!r}')
        if opcode.name not in _OPCODES:
            raise ValueError(f'its pickle has the opcode {opcode.name}, which no weights need')
        if opcode.name == 'GLOBAL':
            # Not by pickletools, which undoes escapes in the two lines, as no unpickler does.
            module, name = (file.readline().decode().removesuffix('\n') for _ in range(2))
            yield opcode.name, (module, name)
        else:
            yield opcode.name, opcode.arg.reader(file) if opcode.arg else None


def _top(stack: list[Any], kind: type | None = None) -> Any:
    """The last value, which must be of a kind."""
    if not stack or (kind and type(stack[-1]) is not kind):
        found = describe(stack[-1]) if stack else 'nothing'
        raise ValueError(f'its pickle is broken: it has {found} in the place of another value')
    return stack[-1]


def _update(target: dict[Any, Any], items: list[Any]) -> None:
    # Only text and numbers, because the hash of a deep tuple would overflow the stack of Python.
    if len(items) % 2 or any(type(key) not in (str, int) for key in items[::2]):
        raise ValueError('its pickle has a dictionary with keys other than text and whole numbers')
    target.update(zip(items[::2], items[1::2], strict=True))


def _known(module: str, name: str) -> Global:
    # Measured before they are joined.
    if len(module) + len(name) > _MAX_NAME:
        raise ValueError(f'its pickle asks for a name of {len(module) + len(name)} characters')
    name = f'{module}.{name}'
    if name in (*_CALLS, _SETTINGS) or name in _STORAGES or name.startswith(_SCRIPTED):
        return Global(name)
    raise ValueError(
        f'its pickle asks for {show(name)[1:-1]}; only tensors, dictionaries, lists, numbers and '
        'text are read'
    )


def _storage(identity: Any) -> Storage:
    """The storage that a persistent id names: ('storage', type, key, device, count)."""
    if type(identity) is tuple and len(identity) == 5:
        word, kind, key, _, count = identity
        if (
            (type(word), type(kind), type(key), type(count)) == (str, Global, str, int)
            and word == 'storage'
            and kind.name in _STORAGES
            and len(key) <= _MAX_NAME
        ):
            return Storage(_STORAGES[kind.name], key, count)
    raise ValueError('its pickle refers to something that is no storage of torch')


def _call(function: Any, arguments: Any) -> Any:
    """What one of torch's functions would make."""
    name = function.name if type(function) is Global else ''
    if name not in _CALLS or type(arguments) is not tuple:
        raise ValueError(f'its pickle calls {describe(function)}')
    # One tuple can be given to a million calls, so only short ones are looked through.
    if len(arguments) > _MAX_ARGUMENTS:
        raise ValueError(f'its pickle calls {name} with {len(arguments)} arguments')
    first = arguments[0] if arguments else None
    if name == 'collections.OrderedDict' and not arguments:
        return {}
    if name in _WRAPPERS and arguments:
        return first
    if name == 'torch.Size' and len(arguments) == 1 and type(first) is tuple:
        return first
    if name == 'torch._utils._rebuild_parameter' and type(first) is Tensor:
        return first
    # After the four come requires_grad, hooks, and notes such as that the numbers are negated.
    if name in _TENSORS and len(arguments) >= 4 and not any(arguments[6:]):
        storage, offset, shape, strides = arguments[:4]
        sized = type(shape) is tuple and type(strides) is tuple
        if sized and max(len(shape), len(strides)) > MAX_DIMENSIONS:
            raise ValueError('its pickle has a tensor of an impossible shape')
        numbers = sized and (offset, *shape, *strides)
        if type(storage) is Storage and numbers and all(type(n) is int for n in numbers):
            return Tensor(storage, offset, shape, strides)
    raise ValueError(f'its pickle calls {name} in an unknown way')


def _new(kind: Any, arguments: Any) -> ScriptObject:
    known = type(kind) is Global and (kind.name.startswith(_SCRIPTED) or kind.name == _SETTINGS)
    if not known or arguments != ():
        raise ValueError(f'its pickle makes an object of {describe(kind)}')
    return ScriptObject(kind.name)


def _build(target: Any, state: Any) -> None:
    """Sets the attributes of a TorchScript object; a dictionary's own are of no use here."""
    plain = type(state) is dict and all(type(key) is str for key in state)
    if not plain or type(target) not in (dict, ScriptObject):
        raise ValueError(f'its pickle sets the state of {describe(target)}')
    if type(target) is ScriptObject:
        target.attributes = state
