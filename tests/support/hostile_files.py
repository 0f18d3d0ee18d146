"""Files of weights that are broken or want to do harm, and that must be refused: `CASES`."""

import io
import pickle
import struct
import tarfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.support.weight_files import (
    Entry,
    call,
    group,
    mapping,
    named,
    number,
    pickled,
    safetensors_file,
    script_file,
    script_object,
    storage,
    tensor,
    text,
    torch_entries,
    zip_file,
)


class Case(NamedTuple):
    """A file: its suffix, its bytes (given a canary to harm), and words of the refusal."""

    suffix: str
    write: Callable[[Path], bytes]
    words: str


CASES: dict[str, Case] = {}
# Those of them that Python's own unpickler would obey, as pickles.
DANGEROUS: dict[str, Callable[[Path], bytes]] = {}

DATA = {'0': struct.pack('<2f', 1, 2)}
GOOD = mapping({'x': tensor()})
MODULE = '__torch__.Module'


def add(name: str, words: str, content: bytes | Callable[[], bytes], suffix: str = '.pt') -> None:
    CASES[name] = Case(suffix, lambda _: content() if callable(content) else content, words)


def add_pickle(name: str, words: str, body: bytes, records: Mapping[str, bytes] = DATA) -> None:
    add(name, words, lambda: zip_file(torch_entries(body, records)))


def add_code(name: str, words: str, body: Callable[[str], bytes]) -> None:
    """A pickle that would run a command of the shell, which `body` is given."""

    def harm(canary: Path) -> bytes:
        return body(f'echo harm >> {canary}')

    DANGEROUS[name] = lambda canary: pickled(harm(canary))
    CASES[name] = Case('.pt', lambda canary: zip_file(torch_entries(harm(canary), DATA)), words)


SYSTEM, POSIX = named('os', 'system'), named('posix', 'system')
PYTHON = '__import__("os").system({!r})'
add_code('system', r'asks for posix\.system', lambda c: call(POSIX, text(c)))
add_code('eval', r'asks for builtins\.eval',
         lambda c: call(named('builtins', 'eval'), text(PYTHON.format(c))))  # fmt: skip
add_code('python 2 name', r'asks for __builtin__\.eval',
         lambda c: call(named('__builtin__', 'eval'), text(PYTHON.format(c))))  # fmt: skip
add_code('stack global', r'asks for os\.system',
         lambda c: text('os') + text('system') + b'\x93' + group(text(c)) + b'R')  # fmt: skip
add_code('nested calls', r'asks for builtins\.getattr', lambda c: call(
    call(named('builtins', 'getattr'), call(named('builtins', '__import__'), text('os')),
         text('system')), text(c)))  # fmt: skip
add_code('inst', 'opcode INST', lambda c: b'(' + text(c) + b'ios\nsystem\n')
add_code('obj', r'asks for os\.system', lambda c: b'(' + SYSTEM + text(c) + b'o')
add_code('result thrown away', r'asks for os\.system',
         lambda c: call(SYSTEM, text(c)) + b'0' + b'}')  # fmt: skip
add_code('beside the weights', r'asks for os\.system',
         lambda c: mapping({'state_dict': b'}', 'optimizer': call(SYSTEM, text(c))}))  # fmt: skip
add_pickle('new object', r'asks for subprocess\.Popen',
           named('subprocess', 'Popen') + group(text('true')) + b'\x81')  # fmt: skip
add_pickle('ext', 'opcode EXT1', b'\x82\x01')
add_pickle('ext4', 'opcode EXT4', b'\x84\xff\xff\xff\x7f')
add_pickle('newobj_ex', 'opcode NEWOBJ_EX', named(*MODULE.rsplit('.', 1)) + b')}\x92')
add_pickle('persistent id as text', 'opcode PERSID', b'Pos.system\n')
add_pickle('persistent id is text', 'no storage of torch', text('os.system') + b'Q')
add_pickle('persistent id is a module', 'no storage of torch',
           group(text('module'), named(*MODULE.rsplit('.', 1)), text('a'), text('b'), number(1))
           + b'Q')  # fmt: skip
add_pickle(
    'persistent id with a call',
    'no storage of torch',
    group(text('storage'), named('torch', 'Size'), text('0'), text('cpu'), number(1)) + b'Q',
)
add_pickle(
    'setstate',
    'sets the state of torch.Size',
    named('torch', 'Size') + mapping({'__setstate__': named('torch', 'Size')}) + b'b',
)
add_pickle('state is no dictionary', 'sets the state of a TorchScript',
           named(*MODULE.rsplit('.', 1)) + b')\x81' + text('x') + b'b')  # fmt: skip
add_pickle('script class called', 'in an unknown way|calls __torch__',
           call(named('__torch__.os', 'system'), text('true')))  # fmt: skip
add_pickle('text called', 'calls text', call(text('os.system'), text('true')))
add_pickle('pickle in a pickle', r'asks for torch\.storage\._load_from_bytes',
           call(named('torch.storage', '_load_from_bytes'), text('x')))  # fmt: skip
add_pickle('numpy', r'asks for numpy\.core\.multiarray\._reconstruct',
           named('numpy.core.multiarray', '_reconstruct'))  # fmt: skip
add_pickle('whole model', r'asks for torch\.nn\.modules\.linear\.Linear.*only model\.state_dict',
           named('torch.nn.modules.linear', 'Linear') + b')\x81')  # fmt: skip
add_pickle('name with control characters', r'asks for a\\x1b\[2J', named('a\x1b[2J', 'b'))
add_pickle('negated tensor', '_rebuild_tensor_v2 in an unknown way', mapping({'x': call(
    named('torch._utils', '_rebuild_tensor_v2'), storage('Float', '0', 2), number(0),
    group(number(2)), group(number(1)), b'\x89', b'N', mapping({'neg': b'\x88'}))}))  # fmt: skip

LONG = text('x' * 1_000_000)
add_pickle('long names joined', 'asks for a name of 2000000 characters',
           LONG + b'q\x00q\x01' + b'h\x00h\x01\x93' * 1000)  # fmt: skip
add_pickle('long names of scripts', 'asks for a name of 1000011 characters',
           text('__torch__.a') + b'q\x00' + LONG + b'q\x01' + b'h\x00h\x01\x93' * 1000)  # fmt: skip
add_pickle('long name in lines', 'asks for a name of 500001 characters',
           named('a', 'b' * 500_000))  # fmt: skip
add_pickle('long key of a storage', 'no storage of torch', storage('Float', 'k' * 60_000, 2))
add_pickle('one tuple called often', 'with 500000 arguments',
           b'(' + b'N' * 500_000 + b'tq\x00' + named('torch._utils', '_rebuild_tensor_v2')
           + b'q\x01' + b'h\x01h\x00R' * 100_000)  # fmt: skip
add_pickle('one shape for many tensors', 'impossible shape', b'(' + number(1) * 200_000 + b'tq\x00'
           + call(named('torch._utils', '_rebuild_tensor_v2'), storage('Float', '0', 2), number(0),
                  b'h\x00', b'h\x00', b'\x89', b'}'))  # fmt: skip
add_pickle('one state for many objects', 'sets more than 1000000 attributes',
           mapping({f'a{i}': b'N' for i in range(100_000)}) + b'q\x00'
           + (named(*MODULE.rsplit('.', 1)) + b')\x81h\x00b') * 12)  # fmt: skip
add_pickle('one state for a dictionary', 'sets more than 1000000 attributes',
           mapping({f'a{i}': b'N' for i in range(100_000)}) + b'q\x00}'
           + b'h\x00b' * 12)  # fmt: skip
add_pickle('memo index', 'value number 4294967295', b'}r\xff\xff\xff\xff')
add_pickle('long text', 'not enough data|expected .* bytes', b'X\xff\xff\xff\xffabc')
add_pickle('longer text', 'opcode BINUNICODE8', b'\x8d' + b'\xff' * 7 + b'\x7fabc')
add_pickle('long number', 'opcode LONG4', b'\x8b\xff\xff\xff\x7fabc')
add_pickle('negative length', 'opcode LONG4', b'\x8b\xff\xff\xff\xffabc')
add_pickle('marks', 'nests deeper than 100', b'(' * 10_000)
add_pickle('deep tuple as a key', 'keys other than text', b'})' + b'\x85' * 400_000 + b'Ns')
add_pickle('deep tuple', 'holds a tuple', b')' + b'\x85' * 900_000)
add_pickle('many dictionaries', 'more than 1000000 opcodes', b'(' + b'}' * 1_500_000 + b'l')
add_pickle('many tensors', 'more than 1000000 opcodes',
           tensor() + b'q\x00' + b'h\x00' * 1_200_000)  # fmt: skip
add_pickle('empty stack', 'takes more than there is', b'R')
add_pickle('no mark', 'a mark is missing', b't')
add_pickle('odd dictionary', 'keys other than', b'}(' + text('x') + b'u')
add_pickle('list as a key', 'keys other than', b'}]Ns')
add_pickle('append to a dictionary', 'is broken', b'}Na')
add_pickle('list that holds itself', 'holds a list', b']q\x00h\x00a')
add_pickle('unknown value', 'there is no value number 9', b'h\x09')
add_pickle('unknown opcode', 'unknown opcode', b'\xff')
add_pickle('only numbers', 'holds no tensors', mapping({'epoch': number(3)}))
add_pickle('two values', 'left over', b'NN')
add_pickle('optimiser only', "'state' is a dict", mapping({'state': b'}', 'x': tensor()}))


def doubling(levels: int = 40) -> bytes:
    """Modules that each hold the next one twice: 2^40 paths to one tensor."""
    new = named(*MODULE.rsplit('.', 1)) + b')\x81}('
    body = script_object(MODULE, {'x': tensor()})
    for level in range(levels):
        note = bytes([level])
        body = new + text('a') + body + b'q' + note + text('b') + b'h' + note + b'ub'
    return body


add_pickle('modules doubled', 'more than 100000 attributes|no name', doubling())
add_pickle(
    'module in itself',
    'no name of a parameter|attributes',
    named(*MODULE.rsplit('.', 1)) + b')\x81q\x00' + mapping({'a': b'h\x00'}) + b'b',
)
add_pickle('long names', 'no name of a parameter', mapping({'x' * 5_000_000: tensor()}))
add_pickle('wide name', 'no name of a parameter',
           mapping({'\N{GRINNING FACE}' + 'x' * 16_000_000: tensor()}))  # fmt: skip
add_pickle('name of control characters', 'no name of a parameter', mapping({'a\nb': tensor()}))

for _name, _words, _changes in (
    ('negative stride', 'make no sense', {'strides': (-1,), 'offset': 1}),
    ('negative offset', 'make no sense', {'offset': -1}),
    ('negative size', 'make no sense', {'shape': (-2,)}),
    ('stride missing', 'make no sense', {'strides': ()}),
    ('stride beyond', 'reaches to number 4 of 2', {'strides': (3,)}),
    ('offset beyond', 'reaches to number 3 of 2', {'offset': 1}),
    ('huge offset', 'reaches to number', {'offset': 2**70}),
    ('expanded', 'reaches to number 1000000000 of 2', {'shape': (10**9,), 'strides': (0,)}),
    ('overflow to nothing', 'impossible shape', {'shape': (2**32, 2**32), 'strides': (0, 0)}),
    ('overflow of an empty one', 'impossible shape', {'shape': (0, 2**80), 'strides': (1, 1)}),
    ('many dimensions', 'impossible shape', {'shape': (1,) * 70, 'strides': (1,) * 70}),
    ('storage too small', 'needs 3 numbers of 4 bytes, its record has 8', {'count': 3}),
    ('storage too large', 'needs 1 numbers of 4 bytes, its record has 8', {'count': 1}),
    ('storage negative', 'record has 8', {'count': -2}),
    ('storage of another type', 'needs 2 numbers of 2 bytes', {'kind': 'Half'}),
    ('storage missing', 'which is missing', {'key': '7'}),
    ('storage outside', 'which is missing', {'key': '../version'}),
):
    add_pickle(_name, _words, mapping({'x': tensor(**_changes)}))
# Each is a copy of nearly the whole storage, and there are 2,000 of them: 1.6 GB.
add_pickle('copies', 'larger together than the file',
           b'}(' + b''.join(
               text(f'x{i}') + tensor((2, 100_000), (1, 2), 0, 200_000) for i in range(2000))
           + b'u', {'0': bytes(800_000)})  # fmt: skip


def changed(position: int, new: bytes, end: str = 'short') -> Callable[[], bytes]:
    """A good file with other bytes from a place on, counted from the end of the file."""

    def write() -> bytes:
        data = bytearray(zip_file(torch_entries(GOOD, DATA), end))
        data[position : position + len(new) or None] = new
        return bytes(data)

    return write


def zipped(*more: Entry, body: bytes = GOOD, **options: bytes) -> Callable[[], bytes]:
    return lambda: zip_file([*torch_entries(body, DATA, **options), *more])


def without(name: str, *more: Entry) -> Callable[[], bytes]:
    entries = [e for e in torch_entries(GOOD, DATA) if e.name != f'archive/{name}']
    return lambda: zip_file([*entries, *more])


def bomb(name: str, size: int | None = None) -> Callable[[], bytes]:
    return without(name, Entry(f'archive/{name}', b'\0' * (256 << 20), 8, size))


add('bomb', 'unpacks to 268435456 bytes', bomb('data.pkl'))
add('bomb that lies', 'does not have the 100 bytes', bomb('data.pkl', 100))
add('bomb of a tensor', 'compressed, which torch never does', bomb('data/0'))
add('bomb of program text', 'unpacks to', lambda: script_file(
    script_object(MODULE, {'x': tensor()}), DATA, {'__torch__.py': bytes(256 << 20)}))  # fmt: skip
add('compressed data', 'compressed, which torch never does',
    without('data/0', Entry('archive/data/0', DATA['0'], 8)))  # fmt: skip
PACKED = zlib.compress(b'x' * 999, 9, -15)
add('broken compression', 'does not unpack',
    lambda: without('data.pkl', Entry('archive/data.pkl', b'x' * 999, 8))().replace(
        PACKED, b'\xff' * len(PACKED)))  # fmt: skip
add('entry above', 'leads out', zipped(Entry('archive/../../evil', b'')))
add('entry at the root', 'leads out', zipped(Entry('/etc/passwd', b'')))
add('entry of Windows', 'leads out', zipped(Entry('archive\\..\\evil', b'')))
add('entry of a drive', 'leads out', zipped(Entry('C:/evil', b'')))
add('entry twice', 'twice', zipped(Entry('archive/data/0', bytes(8))))
add('pickle twice', 'twice', zipped(Entry('archive/data.pkl', pickled(b'N'))))
add('two roots', 'with 2 data.pkl', zipped(Entry('other/data.pkl', pickled(b'N'))))
add('no pickle', 'with 0 data.pkl', without('data.pkl'))
add('overlap', 'overlaps|disagree', zipped(Entry('archive/data/1', bytes(8), at=0)))


def nested() -> bytes:
    """A record that lies within another one."""
    inner = zip_file([Entry('archive/data/2', DATA['0'])])[:128]
    outer = [*torch_entries(GOOD, DATA), Entry('archive/data/1', inner)]
    return zip_file([*outer, Entry('archive/data/2', DATA['0'], at=zip_file(outer).index(inner))])


add('record in a record', 'overlaps', nested)
add('another name inside', 'disagree', zipped(Entry('archive/data/1', b'', own_name='archive/d')))
add('sizes that differ', 'disagree', zipped(Entry('archive/data/1', bytes(8), size=9)))
add('encrypted', 'encrypted', zipped(Entry('archive/data/1', b'', flags=0x809)))
add('unusual method', 'unusual way', zipped(Entry('archive/data/1', b'', 12)))
add('entry elsewhere', 'not where', zipped(Entry('archive/data/1', b'', at=2**31)))
add('big-endian', 'byte order', zipped(byteorder=b'big'))
add('odd byte order', 'byte order', zipped(byteorder=b'\xff'))
add(
    'not UTF-8',
    "can't decode",
    lambda: zipped(Entry('archive/YY', b''))().replace(b'archive/YY', b'archive/\xff\xfe'),
)
add('directory count', 'directory is broken', changed(-12, b'\x01\x00\x01\x00'))
add('directory size', 'directory is broken', changed(-10, b'\xff\xff\xff\x7f'))
add('directory elsewhere', 'directory is broken', changed(-6, b'\xff\xff\xff\xff'))
add('two directories', 'directories disagree', changed(-12, b'\x01\x00\x01\x00', 'both'))
add('second disk', 'directory is broken', changed(-18, b'\x01\x00'))
add('comment missing', 'directory is broken', changed(-2, b'\x10\x00'))
add('directory signature', 'directory is broken',
    lambda: zipped()().replace(b'PK\1\2', b'PK\1\3', 3))  # fmt: skip
add('zip64 locator', 'zip64', lambda: zip_file(torch_entries(GOOD, DATA), 'long').replace(
    b'PK\6\6', b'PK\6\5'))  # fmt: skip
add('zip64 sizes', 'disagree|not where|overlaps', lambda: zip_file(
    [*torch_entries(GOOD, DATA), Entry('archive/data/1', b'', size=2**63)], 'long'))  # fmt: skip
for _part in (0.1, 0.5, 0.9, 0.999):
    add(f'truncated at {_part}', 'not whole|beginning',
        lambda part=_part: (lambda data: data[: int(len(data) * part)])(zipped()()))  # fmt: skip
add('beginning missing', 'beginning is missing', lambda: zipped()()[2:])


def tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w') as archive:
        archive.addfile(tarfile.TarInfo('storages'))
    return out.getvalue()


MAGIC = 0x1950A86A20F9469CFC6C
add('legacy torch', 'torch before 1.6', pickle.dumps(MAGIC, 2) + pickled(GOOD))
add('bare pickle', 'bare pickle', pickle.dumps({'x': 1}), '.bin')
add('tar', 'tar archive', tar, '.pth')
add('HDF5', 'HDF5', b'\x89HDF\r\n\x1a\n' + bytes(99), '.bin')
add('web page', 'web page', b'\n<!DOCTYPE html><html>404</html>', '.bin')
add('pointer', 'Git LFS pointer', b'version https://git-lfs.github.com/spec/v1\n', '.bin')
add('GGUF', 'GGUF', b'GGUF' + bytes(99), '.bin')
add('Flax', 'seems to be a file of Flax', b'\x82\xa6params' + bytes(99), '.bin')
add('ONNX', 'ONNX or TensorFlow', b'\x08\x07\x12\x07pytorch' + bytes(99), '.bin')
add('NumPy', 'an .npz of NumPy', zip_file([Entry('params/x.npy', b'x')]), '.bin')
add('NumPy array', 'an array of NumPy', b'\x93NUMPY\x01\x00' + bytes(99), '.bin')
add('empty', 'is empty', b'', '.bin')
add('gzip', 'gzip', b'\x1f\x8b\x08' + bytes(99), '.bin')
add('safetensors by another name', 'give it the suffix', safetensors_file({}), '.bin')


def add_flat(name: str, words: str, header: object, data: bytes = b'', **options: int) -> None:
    add(name, words, safetensors_file(header, data, **options), '.safetensors')


def entry(begin: int, end: int, dtype: object = 'F32', shape: object = (1,)) -> dict[str, object]:
    return {'dtype': dtype, 'shape': shape, 'data_offsets': [begin, end]}


add_flat('flat: header of 2^63', 'header has 9223372036854775808', {}, length=2**63)
add_flat('flat: header beyond', 'header has 3 bytes', {}, length=3)
add_flat('flat: large header', 'at most 4194304', b'{' + b' ' * 5_000_000 + b'}')
add_flat('flat: no JSON', 'not a whole', b'{"x": ')
add_flat('flat: no UTF-8', "can't decode", b'{"\xff": 1}')
add_flat('flat: deep', 'too deeply', b'[' * 500_000)
add_flat('flat: deep objects', 'too deeply', b'{"a":' * 500_000)
add_flat('flat: many lists', 'must have dtype', b'{"a":[' + b'[],' * 1_300_000 + b'[]]}')
add_flat('flat: list', 'not a JSON object', [])
add_flat('flat: name twice', 'occurs twice', b'{"x": 1, "x": 2}')
add_flat('flat: key twice', 'occurs twice', b'{"x": {"dtype": "F32", "dtype": "F16"}}')
add_flat('flat: no shape', 'must have dtype', {'x': {'dtype': 'F32', 'data_offsets': [0, 4]}})
add_flat('flat: overlap', 'y begins at byte 2, expected 4',
         {'x': entry(0, 4), 'y': entry(2, 6)}, bytes(6))  # fmt: skip
add_flat('flat: the same place', 'begins at byte 0, expected 4',
         {'x': entry(0, 4), 'y': entry(0, 4)}, bytes(4))  # fmt: skip
add_flat('flat: hole', 'begins at byte 8, expected 4',
         {'x': entry(0, 4), 'y': entry(8, 12)}, bytes(12))  # fmt: skip
add_flat('flat: beyond the file', 'ends at byte 4, there are 3', {'x': entry(0, 4)}, bytes(3))
add_flat('flat: something after', 'end at byte 4, the file at 5', {'x': entry(0, 4)}, bytes(5))
add_flat('flat: backwards', 'a begin and an end', {'x': entry(4, 0)}, bytes(4))
add_flat('flat: negative', 'whole numbers from 0', {'x': entry(-4, 0)}, bytes(4))
add_flat('flat: true', 'whole numbers from 0', {'x': entry(0, 4, shape=[True])}, bytes(4))
add_flat('flat: fraction', 'whole numbers from 0', {'x': entry(0, 4, shape=[1.0])}, bytes(4))
add_flat('flat: wrong size', 'has 4 bytes, its shape needs 8', {'x': entry(0, 4, shape=[2])},
         bytes(4))  # fmt: skip
add_flat('flat: overflow', 'impossible shape',
         {'x': entry(0, 0, shape=[2**32, 2**32])})  # fmt: skip
add_flat('flat: overflow of an empty one', 'impossible shape', {'x': entry(0, 0, shape=[0, 2**62])})
add_flat('flat: beyond 64 bits', 'more than 19 digits', {'x': entry(0, 0, shape=[0, 2**70])})
add_flat('flat: not a number', 'NaN is no number', b'{"x": NaN}')
add_flat('flat: byte-order mark', 'not a JSON object', b'\xef\xbb\xbf{}')
add_flat('flat: long number', 'digits', b'{"x": ' + b'9' * 10_000 + b'}')
add_flat('flat: type', "has type 'F8_E4M3'", {'x': entry(0, 1, 'F8_E4M3')}, bytes(1))
add_flat('flat: type is a list', 'has type', {'x': entry(0, 1, [])}, bytes(1))
add_flat('flat: name', 'no name of a parameter', {'a\x1b[2J': entry(0, 4)}, bytes(4))
add_flat('flat: short', 'header has', b'', length=0x7B7B)
add('flat: pointer', 'Git LFS pointer', b'version https://git-lfs.github.com/spec/v1\n',
    '.safetensors')  # fmt: skip
add('flat: empty', 'is empty', b'', '.safetensors')
