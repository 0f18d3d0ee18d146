import io
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.models.weights import torch_files
from tests.support import hostile_files as hostile
from tests.support import weight_files as files

DTYPES = [
    np.float64, np.float32, np.float16, ml_dtypes.bfloat16, np.int64, np.int32, np.int16, np.int8,
    np.uint8, np.bool_,
]  # fmt: skip


def write(path, data):
    path.write_bytes(data)
    return path


def arrays():
    rng = np.random.default_rng(0)
    return {
        f'block.{np.dtype(dtype).name}': (8 * rng.standard_normal((2, 3))).astype(dtype)
        for dtype in DTYPES
    } | {'logit_scale': np.array(4.5, np.float32), 'none': np.ones((0, 3))}


def assert_same(read, expected):
    assert read.keys() == expected.keys()
    for name, array in expected.items():
        assert read[name].dtype == array.dtype and read[name].shape == array.shape, name
        np.testing.assert_array_equal(read[name], array, err_msg=name)


@pytest.mark.parametrize('end', ['short', 'both', 'long'])
def test_every_type_is_read(tmp_path, end):
    path = write(tmp_path / 'x.pt', files.torch_file(arrays(), end))
    assert_same(torch_files.read(path), arrays())


def test_numbers_stay_in_the_file(tmp_path):
    path = write(tmp_path / 'x.pt', files.torch_file({'x': np.arange(6, dtype=np.float32)}))
    read = torch_files.read(path)['x']
    assert not read.flags.owndata and not read.flags.writeable and read.flags.aligned
    at = path.read_bytes().index(read.tobytes())
    with open(path, 'r+b') as file:
        file.seek(at + 8)
        file.write(np.float32(7).tobytes())
    # The map shows what was written since, so nothing was copied.
    assert read.tolist() == [0, 1, 7, 3, 4, 5]


def test_strides_and_offsets(tmp_path):
    # One storage, 0 to 11, seen as rows, as columns, from its fourth number, and as one number.
    body = files.mapping({
        'rows': files.tensor((3, 4), (4, 1), 0, 12),
        'columns': files.tensor((4, 3), (1, 4), 0, 12),
        'later': files.tensor((2, 2), (4, 1), 4, 12),
        'windows': files.tensor((3, 2), (1, 1), 0, 12),
        'number': files.tensor((), (), 11, 12),
        'one': files.tensor((1, 2), (2**70, 1), 3, 12),
    })  # fmt: skip
    records = {'0': np.arange(12, dtype=np.float32).tobytes()}
    path = write(tmp_path / 'x.pt', files.zip_file(files.torch_entries(body, records)))
    read = torch_files.read(path)
    assert read['rows'].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert read['columns'].tolist() == [[0, 4, 8], [1, 5, 9], [2, 6, 10], [3, 7, 11]]
    assert read['later'].tolist() == [[4, 5], [8, 9]]
    assert read['windows'].tolist() == [[0, 1], [1, 2], [2, 3]]
    assert read['number'] == 11 and read['number'].shape == ()
    assert read['one'].tolist() == [[3, 4]]
    assert all(array.flags.c_contiguous for array in read.values())
    assert [name for name in read if read[name].flags.owndata] == ['columns', 'later', 'windows']
    assert not any(array.flags.writeable for array in read.values())


@pytest.mark.parametrize('key', ['state_dict', 'model', None])
@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_checkpoints(tmp_path, key, prefix):
    state = {'visual.proj': np.ones((2, 2), np.float16), 'module.bias': np.zeros(3, np.float32)}
    if not prefix:
        # One name with 'module.' is a name, all of them are a wrapper.
        state['module'] = np.ones(1, np.int64)
    body, records = files.state_pickle({prefix + name: a for name, a in state.items()})
    extra = {'epoch': files.number(70_000), 'name': files.text('run'), 'best': b'N'}
    extra |= {'loss': b'G\x3f\xe0' + bytes(6), 'negative': files.number(-3), 'big': b'\x88'}
    extra |= {'vocab_size': files.tensor((), (), 0, 1, 'Long', 'v')}
    records['v'] = bytes(8)
    inner = body[:-1] + b''.join(files.text(prefix + k) + v for k, v in extra.items()) + b'u'
    if key:
        optimizer = b'}(' + files.number(0) + files.mapping({'step': files.tensor()}) + b'u'
        rest = {'epoch': files.number(2**40), 'optimizer': optimizer}
        inner = files.mapping({**rest, key: inner})
    path = write(tmp_path / 'x.pt', files.zip_file(files.torch_entries(inner, records)))
    assert_same(torch_files.read(path), state)


def test_ordered_dictionaries_parameters_and_metadata(tmp_path):
    # As torch.save writes OrderedDict, with its _metadata, by protocol 4, and torch.Size.
    ordered = b'\x8c\x0bcollections\x8c\x0bOrderedDict\x93\x94)R\x94'
    parameter = files.call(
        files.named('torch._utils', '_rebuild_parameter'), files.tensor(), b'\x88', b'h\x00)R'
    )
    old = files.call(
        files.named('torch._utils', '_rebuild_tensor'), files.storage('Float', '0', 2),
        files.number(1),
        files.call(files.named('torch', 'Size'), files.group(files.number(1))),
        files.group(files.number(1)),
    )  # fmt: skip
    body = ordered + b'(' + files.text('x') + parameter + files.text('y') + old + b'u'
    body += files.mapping({'_metadata': files.mapping({'version': files.number(1)})}) + b'b'
    path = tmp_path / 'x.pt'
    write(path, files.zip_file(files.torch_entries(body, hostile.DATA)))
    assert {k: v.tolist() for k, v in torch_files.read(path).items()} == {'x': [1, 2], 'y': [2]}


CODE = b"""class Inner(Module):
  __parameters__ = ["weight", ]
  __buffers__ = []
  weight : Tensor
class CLIP(Module):
  __parameters__ = ["proj", ]
  __buffers__ = ["input_resolution", "scale", ]
"""


@pytest.mark.parametrize('with_code', [True, False])
def test_script_archives(tmp_path, with_code):
    inner = files.script_object(
        '__torch__.open.Inner',
        {'weight': files.tensor(), 'training': b'\x89', 'mask': files.tensor()},
    )  # fmt: skip
    sizes = files.call(
        files.named('torch.jit._pickle', 'build_intlist'), b'](' + files.number(1) + b'e'
    )
    body = files.script_object('__torch__.open.CLIP', {
        'proj': files.tensor((1,), (1,), 1), 'input_resolution': files.tensor(),
        'scale': files.tensor((), ()), 'sizes': sizes, 'visual': inner, 'other': inner,
        'none': b'N',
    })  # fmt: skip
    code = {'__torch__/open.py': CODE} if with_code else {}
    path = write(tmp_path / 'x.pt', files.script_file(body, hostile.DATA, code))
    expected = {'proj': [2], 'scale': 1, 'visual.weight': [1, 2], 'other.weight': [1, 2]}
    if not with_code:
        # Nothing tells a mask from a buffer then.
        expected |= {'visual.mask': [1, 2], 'other.mask': [1, 2]}
    assert {k: v.tolist() for k, v in torch_files.read(path).items()} == expected


def test_larger_than_4_gigabytes(tmp_path):
    # A file with a hole: the first numbers of a storage of 4.3 GB, and its last.
    count = (4 << 30) // 4 + 25
    path = tmp_path / 'x.pt'
    with open(path, 'wb') as file:
        spans = []

        def add(name, *parts):
            head = struct.pack('<4sHHH16xHH', b'PK\3\4', 45, 0x800, 0, len(name), 0)
            at = file.tell()
            file.write(head + name)
            start = file.tell()
            for part in parts:
                file.seek(part, os.SEEK_CUR) if isinstance(part, int) else file.write(part)
            spans.append((name, at, file.tell() - start))

        values = {'x': files.tensor((2,), (count - 1,), 0, count, 'Float', '0')}
        add(b'a/data/0', np.float32(3).tobytes(), 4 * count - 8, np.float32(5).tobytes())
        add(b'a/data.pkl', files.pickled(files.mapping(values)))
        start = file.tell()
        for name, at, size in spans:
            extra = struct.pack('<HHQQQ', 1, 24, size, size, at)
            file.write(
                struct.pack('<4sHHHH8xIIHHHHHII', b'PK\1\2', 45, 45, 0x800, 0, 2**32 - 1,
                                    2**32 - 1, len(name), len(extra), 0, 0, 0, 0, 2**32 - 1)
                + name + extra
            )  # fmt: skip
        end = file.tell()
        pack = struct.pack
        file.write(pack('<4sQHHIIQQQQ', b'PK\6\6', 44, 45, 45, 0, 0, 2, 2, end - start, start))
        file.write(pack('<4sIQI', b'PK\6\7', 0, end, 1))
        file.write(pack('<4sHHHHIIH', b'PK\5\6', 0, 0, 2, 2, 2**32 - 1, 2**32 - 1, 0))
    if path.stat().st_blocks * 512 > 1 << 30:
        pytest.skip('this file system has no holes in files')
    assert torch_files.read(path)['x'].tolist() == [3, 5]


@pytest.mark.parametrize(
    'name', [n for n, c in hostile.CASES.items() if c.suffix != '.safetensors']
)
def test_hostile_files_are_refused(tmp_path, name):
    case = hostile.CASES[name]
    canary = write(tmp_path / 'canary', b'alive')
    path = write(tmp_path / f'file{case.suffix}', case.write(canary))
    with pytest.raises(UserError, match=case.words) as error:
        torch_files.read(path)
    message = str(error.value)
    assert message.startswith(str(path)) and message.isprintable() and len(message) < 600
    assert canary.read_bytes() == b'alive'
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize('name', sorted(hostile.DANGEROUS))
def test_hostile_pickles_do_harm_elsewhere(tmp_path, name):
    # Otherwise the test above would show nothing. Python obeys them, within this folder.
    canary = write(tmp_path / 'canary', b'alive')
    data = hostile.DANGEROUS[name](canary)
    unpickler = type('Torch', (pickle.Unpickler,), {'persistent_load': lambda self, _: None})
    unpickler(io.BytesIO(data)).load()
    assert canary.read_bytes() != b'alive'


MEASURE = """
import resource, sys
from cpad_jax.errors import UserError
from cpad_jax.models.weights import sources

def peak():
    # The peak that getrusage gives begins at that of the parent; Linux has the process's own.
    try:
        status = open('/proc/self/status').read()
        return int(status.split('VmHWM:')[1].split()[0]) / 1024
    except (OSError, IndexError):
        unit = 2**20 if sys.platform == 'darwin' else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit

before = peak()
for path in sys.argv[1:]:
    start = peak()
    try:
        sources.read(sources.resolve(path))
        print('READ', path)
    except UserError:
        pass
    if peak() - start > 20:
        print('grew', round(peak() - start), path, file=sys.stderr)
print(round(peak() - before), len(sys.argv) - 1)
"""


def test_hostile_files_take_little_memory(tmp_path):
    canary = write(tmp_path / 'canary', b'alive')
    paths = [
        write(tmp_path / f'{i}{case.suffix}', case.write(canary))
        for i, case in enumerate(hostile.CASES.values())
    ]
    run = subprocess.run(
        [sys.executable, '-c', MEASURE, *paths], capture_output=True, text=True, timeout=300,
        cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    grown, count = map(int, run.stdout.split())
    assert count == len(hostile.CASES) >= 100
    assert grown < 200, run.stderr
    assert canary.read_bytes() == b'alive'


def test_damaged_files_are_read_or_refused(tmp_path):
    # Any byte may be anything: what comes back is arrays or one line, never another error.
    body, records = files.state_pickle(arrays())
    script = files.script_object('__torch__.open.CLIP', {'a': body, 'x': files.tensor()})
    originals = [
        files.torch_file(arrays()), files.torch_file(arrays(), 'long'),
        files.script_file(script, records | hostile.DATA, {'__torch__/open.py': CODE}),
    ]  # fmt: skip
    path, refused = tmp_path / 'x.pt', 0
    for data in files.damaged(originals, 900):
        path.write_bytes(data)
        try:
            torch_files.read(path)
        except UserError as error:
            refused += 1
            assert str(error).isprintable()
    assert 200 < refused < 900


# Against torch itself, where it is installed.


def test_torch_reads_what_the_tests_write(tmp_path):
    torch = pytest.importorskip('torch')
    for end in ('short', 'both', 'long'):
        path = write(tmp_path / 'x.pt', files.torch_file(arrays(), end))
        state = torch.load(path, weights_only=True)
        assert state.keys() == arrays().keys()
        for name, array in arrays().items():
            np.testing.assert_array_equal(
                state[name].double().numpy(), array.astype(np.float64), err_msg=name
            )


def test_torch_writes_what_the_tests_write(tmp_path):
    # Entry by entry the same bytes: headers, filling, order of the records.
    torch = pytest.importorskip('torch')
    x = torch.arange(2, dtype=torch.float32)
    torch.save({'x': x}, tmp_path / 'archive.pt')
    theirs = (tmp_path / 'archive.pt').read_bytes()
    with zipfile.ZipFile(tmp_path / 'archive.pt') as archive:
        entries = [files.Entry(n, archive.read(n)) for n in archive.namelist()]
    ours = files.zip_file(entries)
    assert [e.name for e in entries] == [e.name for e in files.torch_entries(b'', {'0': b''})]
    assert ours == theirs


@pytest.mark.parametrize('protocol', [2, 4])
def test_torch_save(tmp_path, protocol):
    torch = pytest.importorskip('torch')
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(4, 6, generator=generator)
    state = {
        'float': base, 'half': base.half(), 'bfloat16': base.bfloat16(), 'double': base.double(),
        'long': (9 * base).long(), 'bool': base > 0, 'shared': base[1:3], 'transposed': base.t(),
        'slice': base[:, ::2], 'scalar': torch.tensor(2.5), 'empty': torch.zeros(0, 3),
        'parameter': torch.nn.Parameter(base + 1), 'channels_last':
        torch.randn(2, 3, 4, 5, generator=generator).to(memory_format=torch.channels_last),
    }  # fmt: skip
    torch.save(state, tmp_path / 'x.pt', pickle_protocol=protocol)
    read = torch_files.read(tmp_path / 'x.pt')
    assert read.keys() == state.keys()
    for name, tensor in state.items():
        assert read[name].dtype.name == str(tensor.dtype).removeprefix('torch.')
        assert read[name].shape == tensor.shape and read[name].flags.c_contiguous
        np.testing.assert_array_equal(
            read[name].astype(np.float64), tensor.detach().double().numpy(), err_msg=name
        )
    assert not read['float'].flags.owndata and read['transposed'].flags.owndata


def test_torch_training_checkpoint(tmp_path):
    torch = pytest.importorskip('torch')
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(5, 3)).sum().backward()
    optimizer.step()
    state = {f'module.{name}': value for name, value in model.state_dict().items()}
    checkpoint = {
        'epoch': 3,
        'name': 'run',
        'state_dict': state,
        'optimizer': optimizer.state_dict(),
    }
    torch.save(checkpoint, tmp_path / 'x.pt')
    read = torch_files.read(tmp_path / 'x.pt')
    assert_same(read, {name: value.numpy() for name, value in model.state_dict().items()})
    torch.save(model, tmp_path / 'whole.pt')
    with pytest.raises(UserError, match=r'asks for torch\.nn\.modules\.container\.Sequential'):
        torch_files.read(tmp_path / 'whole.pt')
    torch.save(state, tmp_path / 'old.pt', _use_new_zipfile_serialization=False)
    with pytest.raises(UserError, match=r'torch before 1\.6'):
        torch_files.read(tmp_path / 'old.pt')


@pytest.mark.filterwarnings('ignore::DeprecationWarning', 'ignore::FutureWarning')
@pytest.mark.parametrize('kind', ['script', 'trace'])
def test_torch_script(tmp_path, kind):
    torch = pytest.importorskip('torch')

    class Tower(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = torch.nn.Conv2d(3, 4, 2, bias=False)
            self.blocks = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU(),
                                              torch.nn.Linear(4, 4).half().float())  # fmt: skip
            self.proj = torch.nn.Parameter(torch.ones(4, 2, dtype=torch.float16))
            self.register_buffer('input_resolution', torch.tensor(224))
            # No buffer, so no part of the state dictionary, but it is in the file.
            self.mask = torch.triu(torch.ones(3, 3))
            self.tied = self.blocks[0].weight

        def forward(self, x):
            x = self.conv1(x).mean((2, 3)) + self.mask.sum() + self.tied.sum()
            return self.blocks(x) @ self.proj.float()

    model = Tower().eval()
    if kind == 'script':
        scripted = torch.jit.script(model)
    else:
        scripted = torch.jit.trace(model, torch.ones(1, 3, 4, 4))
    scripted.save(tmp_path / 'x.pt')
    expected = torch.jit.load(tmp_path / 'x.pt').state_dict()
    assert 'mask' not in expected and 'tied' in expected
    del expected['input_resolution']
    assert_same(
        torch_files.read(tmp_path / 'x.pt'), {k: v.detach().numpy() for k, v in expected.items()}
    )
