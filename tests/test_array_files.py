"""Damage to a file of arrays is noticed wherever it is, and nothing else is taken for damage."""

import hashlib

import numpy as np
import pytest

from cpad_jax import array_files

ARRAYS = {
    'clip_id': np.array(['ä', 'film-0001', '']),
    'frames': np.arange(24, dtype=np.float16).reshape(3, 2, 4),
    'count': np.array([2, 1, 2]),
    'none': np.zeros((0, 5), np.float32),
    'one': np.float32(0.1),
}


def same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert np.asarray(a[name]).dtype == b[name].dtype
        np.testing.assert_array_equal(a[name], b[name], strict=False)


def test_digests_are_of_type_shape_and_numbers():
    array = np.arange(6, dtype=np.int32)
    inner = hashlib.sha256(array.tobytes()).digest()
    assert array_files.digest(array) == hashlib.sha256(b'<i4 int32 (6,) ' + inner).hexdigest()
    different = {
        array_files.digest(a)
        for a in (
            array,
            array.reshape(2, 3),
            array.view(np.float32),
            array.view('<u4'),
            array[::-1],
        )
    }
    assert len(different) == 5
    assert array_files.digest(array[::2]) == array_files.digest(array[::2].copy())


@pytest.mark.parametrize('place', [0, (4 << 20) - 1, 4 << 20, -1])
def test_digests_of_large_arrays_see_every_block(place):
    array = np.zeros((9 << 20) + 3, np.uint8)
    before = array_files.digest(array)
    array[place] = 1
    assert array_files.digest(array) != before


def test_arrays_come_back_and_numpy_reads_them_too(tmp_path):
    path = tmp_path / 'a.npz'
    array_files.write(path, ARRAYS)
    same(ARRAYS, array_files.read(path))
    with np.load(path, allow_pickle=False) as file:
        same(ARRAYS, {name: file[name] for name in ARRAYS})


def test_a_file_from_before_there_were_digests_is_read(tmp_path):
    np.savez(tmp_path / 'a.npz', **ARRAYS)
    same(ARRAYS, array_files.read(tmp_path / 'a.npz'))


def test_every_flipped_bit_is_noticed_or_changes_nothing(tmp_path):
    path = tmp_path / 'a.npz'
    array_files.write(path, ARRAYS)
    whole, noticed = path.read_bytes(), 0
    rng = np.random.default_rng(0)
    for place in range(0, len(whole), 2):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            same(ARRAYS, array_files.read(path))
        except array_files.Damaged:
            noticed += 1
    assert noticed > 0.25 * len(whole)  # The rest are dates, checksums and the like.


def test_every_cut_and_every_swap_is_noticed(tmp_path):
    path = tmp_path / 'a.npz'
    array_files.write(path, ARRAYS)
    whole, digests = path.read_bytes(), np.load(path)['sha256']
    for length in range(0, len(whole), 41):
        path.write_bytes(whole[:length])
        with pytest.raises(array_files.Damaged):
            array_files.read(path)
    # Another file's array in place of ours, well formed.
    np.savez(path, sha256=digests, **{**ARRAYS, 'count': np.array([2, 1, 3])})
    with pytest.raises(array_files.Damaged, match="'count' is not what was written"):
        array_files.read(path)
    np.savez(path, sha256=digests, **{k: v for k, v in ARRAYS.items() if k != 'one'})
    with pytest.raises(array_files.Damaged, match='it lacks arrays'):
        array_files.read(path)


def test_a_file_that_is_not_there_is_not_damaged(tmp_path):
    with pytest.raises(FileNotFoundError):
        array_files.read(tmp_path / 'a.npz')
    (tmp_path / 'folder.npz').mkdir()
    with pytest.raises(array_files.Damaged, match='Is a directory'):
        array_files.read(tmp_path / 'folder.npz')
