import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from cpad_jax.errors import UserError
from cpad_jax.models.weights import safetensors as weights_safetensors
from tests.support import hostile_files as hostile
from tests.support import weight_files as files

DTYPES = {
    'F64': np.float64, 'F32': np.float32, 'F16': np.float16, 'BF16': ml_dtypes.bfloat16,
    'I64': np.int64, 'I32': np.int32, 'I16': np.int16, 'I8': np.int8, 'U8': np.uint8,
    'BOOL': np.bool_,
}  # fmt: skip


def test_every_type_is_read(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        name: (8 * rng.standard_normal((2, 3))).astype(dtype) for name, dtype in DTYPES.items()
    }
    arrays |= {'number': np.array(4.5, np.float32), 'none': np.ones((0, 3))}
    path = tmp_path / 'x.safetensors'
    safetensors.numpy.save_file(arrays, path, metadata={'format': 'pt'})
    read = weights_safetensors.read(path)
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype and read[name].shape == array.shape
        np.testing.assert_array_equal(read[name], array, err_msg=name)


def test_numbers_stay_in_the_file(tmp_path):
    path = tmp_path / 'x.safetensors'
    safetensors.numpy.save_file({'x': np.arange(6, dtype=np.float32)}, path)
    read = weights_safetensors.read(path)['x']
    assert not read.flags.owndata and not read.flags.writeable
    with open(path, 'r+b') as file:
        file.seek(8 - 24, 2)
        file.write(np.float32(7).tobytes())
    # The map shows what was written since, so nothing was copied.
    assert read.tolist() == [0, 1, 7, 3, 4, 5]


def test_places_need_not_be_in_order_or_aligned(tmp_path):
    header = {
        'late': {'dtype': 'F32', 'shape': [1], 'data_offsets': [3, 7]},
        'none': {'dtype': 'F32', 'shape': [0], 'data_offsets': [3, 3]},
        'early': {'dtype': 'U8', 'shape': [3], 'data_offsets': [0, 3]},
    }
    data = bytes([1, 2, 3]) + np.float32(2.5).tobytes()
    path = tmp_path / 'x.safetensors'
    path.write_bytes(files.safetensors_file(header, data))
    read = weights_safetensors.read(path)
    assert {name: a.tolist() for name, a in read.items()} == {
        'late': [2.5], 'none': [], 'early': [1, 2, 3],
    }  # fmt: skip


def test_larger_than_4_gigabytes(tmp_path):
    # A file with a hole: only its first and last number are written.
    count = (4 << 30) // 4 + 25
    header = {'x': {'dtype': 'F32', 'shape': [count], 'data_offsets': [0, 4 * count]}}
    path = tmp_path / 'x.safetensors'
    with open(path, 'wb') as file:
        file.write(files.safetensors_file(header) + np.float32(3).tobytes())
        file.seek(4 * count - 8, 1)
        file.write(np.float32(5).tobytes())
    if path.stat().st_blocks * 512 > 1 << 30:
        pytest.skip('this file system has no holes in files')
    read = weights_safetensors.read(path)['x']
    assert read.shape == (count,) and read[[0, 1, -1]].tolist() == [3, 0, 5]


@pytest.mark.parametrize(
    'name', [n for n, c in hostile.CASES.items() if c.suffix == '.safetensors']
)
def test_hostile_files_are_refused(tmp_path, name):
    case = hostile.CASES[name]
    path = tmp_path / 'x.safetensors'
    path.write_bytes(case.write(tmp_path / 'canary'))
    with pytest.raises(UserError, match=case.words) as error:
        weights_safetensors.read(path)
    message = str(error.value)
    assert message.startswith(str(path)) and message.isprintable() and len(message) < 500


def test_damaged_files_are_read_or_refused(tmp_path):
    arrays = {name: np.ones((2, 3), dtype) for name, dtype in DTYPES.items()}
    path, refused = tmp_path / 'x.safetensors', 0
    for data in files.damaged([safetensors.numpy.save(arrays)], 600):
        path.write_bytes(data)
        try:
            weights_safetensors.read(path)
        except UserError as error:
            refused += 1
            assert str(error).isprintable()
    assert 300 < refused < 600


def test_missing_file_and_folder_are_named(tmp_path):
    for path in (tmp_path / 'x.safetensors', tmp_path):
        with pytest.raises(UserError, match=f'there is no file {path}'):
            weights_safetensors.read(path)
