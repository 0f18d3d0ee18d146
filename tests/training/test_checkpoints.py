import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cpad_jax import digests
from cpad_jax.errors import UserError
from cpad_jax.training import checkpoints

METADATA = {'backbone sha256': 'abc', 'configuration': 'def'}


def state(value, width=3):
    kernel = jnp.full((2, width), float(value))
    params = {'dense/0': {'kernel': kernel, 'half': jnp.bfloat16(value)}}
    return {'step': jnp.int32(value), 'params': params, 'opt': optax.adam(1e-3).init(params)}


def assert_same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)


def save(directory, *steps, metadata=METADATA, scores=None, **options):
    with checkpoints.Checkpoints(directory, metadata, **options) as saved:
        for step in steps:
            saved.save(step, state(step), (scores or {}).get(step))
        saved._manager.wait_until_finished()
        return saved.steps()


def test_restores_the_newest_and_any_exactly(tmp_path):
    save(tmp_path, 1, 2)
    with checkpoints.Checkpoints(tmp_path, METADATA) as saved:
        step, restored = saved.restore(state(0))
        assert step == 2
        assert_same(restored, state(2))
        assert_same(saved.restore(state(0), step=1)[1], state(1))


def test_newest_and_best_are_kept(tmp_path):
    # 20 is the best, 50 the newest: both stay, although 50 scores worst.
    scores = {10: 0.5, 20: 0.9, 30: 0.3, 40: 0.2, 50: 0.1}
    assert save(tmp_path, *scores, scores=scores, keep_latest=1) == [20, 50]


def test_states_without_score_never_push_out_the_best(tmp_path):
    assert save(tmp_path, 1, 2, 3, 4, scores={1: 0.2}, keep_latest=2) == [1, 3, 4]


def test_donated_buffers_do_not_reach_the_disk(tmp_path):
    change = jax.jit(lambda tree: jax.tree.map(lambda x: x * 0 - 7, tree), donate_argnums=0)
    with checkpoints.Checkpoints(tmp_path, METADATA) as saved:
        tree = {'x': jnp.full((2048, 2048), 3.0)}
        saved.save(1, tree)
        for _ in range(5):
            tree = change(tree)
    with checkpoints.Checkpoints(tmp_path, METADATA) as saved:
        np.testing.assert_array_equal(saved.restore(tree)[1]['x'], 3.0)


def test_half_written_checkpoint_is_never_restored(tmp_path):
    save(tmp_path, 1)
    # What a killed writer leaves: the files under the temporary name.
    shutil.copytree(tmp_path / '1', tmp_path / '2.orbax-checkpoint-tmp')
    with checkpoints.Checkpoints(tmp_path, METADATA) as saved:
        assert saved.steps() == [1]
        assert checkpoints.latest_step(tmp_path) == 1
        assert saved.restore(state(0))[0] == 1


def test_nothing_to_restore(tmp_path):
    assert checkpoints.latest_step(tmp_path / 'nowhere') is None
    with checkpoints.Checkpoints(tmp_path, METADATA) as saved:
        assert saved.latest_step() is None
        with pytest.raises(UserError, match='no checkpoint in'):
            saved.restore(state(0))


@pytest.mark.parametrize('key', METADATA)
def test_another_backbone_or_configuration_is_refused(tmp_path, key):
    save(tmp_path, 1)
    with checkpoints.Checkpoints(tmp_path, {**METADATA, key: 'xyz'}) as saved:
        with pytest.raises(UserError, match=f'another {key}'):
            saved.restore(state(0))


def test_every_difference_is_named(tmp_path):
    save(tmp_path, 1)
    wanted = state(0, width=4)
    wanted['params']['new'] = jnp.zeros(2)
    del wanted['params']['dense/0']['half']
    with checkpoints.Checkpoints(tmp_path, METADATA) as saved:
        with pytest.raises(UserError) as error:
            saved.restore(wanted)
    message = str(error.value)
    assert 'missing params.new' in message
    assert 'unexpected params.dense/0.half' in message
    assert 'params.dense/0.kernel is float32[2, 3], expected float32[2, 4]' in message
    assert 'opt.0.mu.dense/0.kernel' in message


def test_damaged_checkpoint_is_named(tmp_path):
    save(tmp_path, 1)
    for path in (tmp_path / '1' / 'state').rglob('*'):
        if path.is_file() and path.name.startswith(('manifest', '_METADATA')):
            path.write_bytes(b'')
    with checkpoints.Checkpoints(tmp_path, METADATA) as saved:
        with pytest.raises(UserError, match=r'/1 is damaged .*remove that folder'):
            saved.restore(state(0))


def _files(step):
    return sorted(path for path in step.rglob('*') if path.is_file())


def _refusal(directory):
    """What is said of step 1; None where it comes back as it was."""
    with checkpoints.Checkpoints(directory, METADATA) as saved:
        try:
            assert_same(saved.restore(state(0), 1)[1], state(1))
        except checkpoints.Damaged as error:
            return str(error)


def test_no_flipped_bit_is_used_in_silence(tmp_path, capfd):
    save(tmp_path, 1)
    rng, noticed = np.random.default_rng(0), 0
    for path in _files(tmp_path / '1') * 2:
        whole = path.read_bytes()
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        if refusal := _refusal(tmp_path):
            assert refusal.startswith(f'{tmp_path}/1 is damaged (') and len(refusal) < 400
            noticed += 1
        path.write_bytes(whole)
    assert noticed >= 8  # The rest are files that nobody reads.
    assert capfd.readouterr() == ('', '')


@pytest.mark.parametrize('how', ['cut', 'emptied', 'gone'])
def test_a_file_that_is_cut_emptied_or_gone_is_noticed(tmp_path, how, capfd):
    save(tmp_path, 1)
    noticed = set()
    for path in _files(tmp_path / '1'):
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] if how == 'cut' else b'')
        if how == 'gone':
            path.unlink()
        if _refusal(tmp_path):
            noticed.add(path.relative_to(tmp_path / '1').parts[:2])
        path.write_bytes(whole)
    assert noticed >= {
        ('metadata', 'metadata'), ('state', '_METADATA'), ('state', 'd'),
        ('state', 'manifest.ocdbt'),
    }  # fmt: skip
    assert capfd.readouterr() == ('', '')


def test_other_numbers_well_formed_are_noticed(tmp_path):
    save(tmp_path / 'a', 1)
    save(tmp_path / 'b', 2)
    shutil.rmtree(tmp_path / 'a' / '1' / 'state')
    shutil.copytree(tmp_path / 'b' / '2' / 'state', tmp_path / 'a' / '1' / 'state')
    assert 'is not what was saved' in _refusal(tmp_path / 'a')


def test_the_one_before_is_taken_and_it_is_told(tmp_path, capsys):
    save(tmp_path, 1, 2, 3, keep_latest=3)
    for step in (2, 3):
        (tmp_path / str(step) / 'state' / 'manifest.ocdbt').write_bytes(b'')
    with checkpoints.Checkpoints(tmp_path, METADATA, keep_latest=3) as saved:
        step, restored = saved.restore_newest(state(0))
        assert step == 1
        assert_same(restored, state(1))
        # What was damaged is kept, and made anew in its time.
        saved.save(2, state(2))
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and all(len(line) < 400 for line in said)
    assert said[0].startswith(f'{tmp_path}/3 is damaged (')
    assert said[0].endswith('): it is now damaged.3; going on from step 2')
    assert said[1].endswith('): it is now damaged.2; going on from step 1')
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ['1', '2', 'damaged.2', 'damaged.3']
    with checkpoints.Checkpoints(tmp_path, METADATA) as saved:
        assert saved.steps() == [1, 2]
        assert saved.restore_newest(state(0))[0] == 2


def test_where_all_are_damaged_it_starts_anew(tmp_path, capsys):
    save(tmp_path, 1)
    (tmp_path / '1' / 'metadata' / 'metadata').write_bytes(b'{}')
    with checkpoints.Checkpoints(tmp_path, METADATA) as saved:
        assert saved.restore_newest(state(0)) is None
    assert capsys.readouterr().err.endswith('it is now damaged.1; starting from the beginning\n')


def test_what_is_no_damage_is_not_set_aside(tmp_path, monkeypatch):
    save(tmp_path, 1)
    for error in (PermissionError(13, 'Permission denied'), MemoryError('none left')):

        def refuse(*_, error=error, **__):
            raise error

        with checkpoints.Checkpoints(tmp_path, METADATA) as saved:
            monkeypatch.setattr(saved._manager, 'restore', refuse)
            with pytest.raises(UserError, match='cannot be read now'):
                saved.restore_newest(state(0))
    assert [path.name for path in tmp_path.iterdir()] == ['1']


def test_a_checkpoint_without_digests_is_restored(tmp_path):
    save(tmp_path, 1)
    (tmp_path / '1' / 'metadata' / 'metadata').write_text(json.dumps(METADATA))
    assert _refusal(tmp_path) is None


def test_metadata_lies_beside_the_state(tmp_path):
    save(tmp_path, 3)
    saved = digests.opened(json.loads((tmp_path / '3' / 'metadata' / 'metadata').read_text()))
    arrays = saved.pop('arrays')
    assert saved == METADATA
    assert arrays['params.dense/0.kernel'][0] == 'float32[2, 3]'
    assert len(arrays) == len(jax.tree.leaves(state(3)))
