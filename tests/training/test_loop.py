import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.util import tensor_util

from cpad_jax.errors import UserError
from cpad_jax.models import sharding
from cpad_jax.training import loop
from tests.support.train_options import USUAL


class Fit:
    """Learns a matrix from noisy examples; every step has its own batch and its own noise."""

    def __init__(self, bad_step=None, last=None, kill_after=None):
        self.bad_step, self.last, self.kill_after = bad_step, last, kill_after

    def init_params(self, rng):
        return {'kernel': jax.random.normal(rng, (4, 4)), 'still': jnp.ones((4, 4))}

    def batches(self, start_step):
        step = start_step
        while self.last is None or step < self.last:
            x = np.random.default_rng((5, step)).normal(size=(8, 4)).astype(np.float32)
            if step == self.bad_step:
                x[0, 0] = np.nan
            if self.kill_after is not None and any(self.kill_after.glob('checkpoints/4/*')):
                os.kill(os.getpid(), 9)
            yield {'x': x, 'y': x @ np.diag([1.0, 2, 3, 4]).astype(np.float32)}
            step += 1

    def loss(self, params, batch, rng):
        x = batch['x'] + 0.3 * jax.random.normal(rng, batch['x'].shape)
        error = jnp.mean((x @ params['kernel'] @ params['still'] - batch['y']) ** 2)
        return error, {'largest': jnp.abs(params['kernel']).max()}

    def label_params(self, params):
        return {'kernel': 'all', 'still': 'frozen'}


def make_config(steps=9, **train):
    return ml_collections.ConfigDict({
        'seed': 3,
        'train': {
            **USUAL,
            'steps': steps, 'learning_rate': 0.05, 'warmup_steps': 2, 'weight_decay': 0.01,
                  'checkpoint_every': 4, 'log_every': 3, **train},
    })  # fmt: skip


def assert_same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


KILLED = """
from pathlib import Path
import sys
sys.path[:0] = [sys.argv[1], sys.argv[3]]
import test_loop
workdir = Path(sys.argv[2])
test_loop.loop.run(test_loop.Fit(kill_after=workdir), test_loop.make_config(steps=60), workdir)
print('came to its end')
"""


def test_killed_and_started_again_equals_not_killed(tmp_path):
    arguments = [
        str(Path(__file__).parent),
        str(tmp_path / 'killed'),
        str(Path(__file__).parents[2]),
    ]
    command = [sys.executable, '-c', KILLED, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    names = [path.name for path in (tmp_path / 'killed' / 'checkpoints').iterdir()]
    steps = [int(name) for name in names if name.isdigit()]
    assert steps and max(steps) < 60
    again = loop.run(Fit(), make_config(steps=60), tmp_path / 'killed')
    whole = loop.run(Fit(), make_config(steps=60), tmp_path / 'whole')
    assert_same(again, whole)
    assert np.abs(whole['kernel'] @ np.ones((4, 4)) - np.diag([1, 2, 3, 4])).max() < 10


def test_a_damaged_checkpoint_leads_to_the_same_end(tmp_path, capsys):
    whole = loop.run(Fit(), make_config(), tmp_path)
    capsys.readouterr()
    for path in (tmp_path / 'checkpoints' / '9' / 'state' / 'd').iterdir():
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    assert_same(loop.run(Fit(), make_config(), tmp_path), whole)
    said = [line for line in capsys.readouterr().err.splitlines() if 'damaged' in line]
    assert len(said) == 1 and said[0].endswith('it is now damaged.9; going on from step 8')


def test_learns_and_leaves_frozen_parameters():
    mesh = sharding.make_mesh(jax.devices()[:1])
    task, config = Fit(), make_config(steps=200)
    state, optimiser = loop.create_state(task, config, mesh)
    step = loop.make_train_step(task, optimiser, 0, mesh)
    losses = []
    for _, batch in zip(range(200), task.batches(0), strict=False):
        state, metrics = step(state, batch)
        losses.append(float(metrics['loss']))
    assert int(state.step) == 200
    assert np.mean(losses[-20:]) < 0.5 * np.mean(losses[:20])
    np.testing.assert_array_equal(state.params['still'], 1)


def test_each_step_has_its_own_key():
    mesh = sharding.make_mesh(jax.devices()[:1])
    task, config = Fit(), make_config(learning_rate=1e-30)  # So that only the noise differs.
    batch = next(task.batches(0))
    state, optimiser = loop.create_state(task, config, mesh)
    step = loop.make_train_step(task, optimiser, 0, mesh)
    losses = []
    for _ in range(3):
        state, metrics = step(state, batch)
        losses.append(float(metrics['loss']))
    assert len(set(losses)) == 3


def test_frozen_parameters_are_an_argument_of_the_loss():
    class WithFrozen(Fit):
        frozen = {'offset': np.float32(1000.0)}

        def loss(self, params, batch, rng, frozen):
            # A tracer, so not a constant of the compiled step.
            assert isinstance(frozen['offset'], jax.core.Tracer)
            error, metrics = super().loss(params, batch, rng)
            return error + frozen['offset'], metrics

    mesh = sharding.make_mesh(jax.devices()[:1])
    losses = []
    for task in (Fit(), WithFrozen()):
        state, optimiser = loop.create_state(task, make_config(), mesh)
        step = loop.make_train_step(task, optimiser, 0, mesh)
        _, metrics = step(state, next(task.batches(0)))
        losses.append(float(metrics['loss']))
    assert losses[1] - losses[0] == pytest.approx(1000, rel=1e-4)


def test_a_finished_run_is_not_run_again(tmp_path):
    first = loop.run(Fit(), make_config(), tmp_path)

    class NoBatches(Fit):
        def batches(self, start_step):
            raise AssertionError('asked for batches')

    assert_same(loop.run(NoBatches(), make_config(), tmp_path), first)


def test_goes_on_at_the_step_of_the_checkpoint(tmp_path):
    starts = []

    class Watched(Fit):
        def batches(self, start_step):
            starts.append(start_step)
            return super().batches(start_step)

    with pytest.raises(RuntimeError, match='batches ended'):
        loop.run(Watched(last=6), make_config(), tmp_path)
    loop.run(Watched(), make_config(), tmp_path)
    assert starts == [0, 4]


def test_metrics_reach_tensorboard(tmp_path):
    seen = {}
    loop.run(Fit(), make_config(), tmp_path)
    events = event_accumulator.EventAccumulator(str(tmp_path / 'tensorboard')).Reload()
    for tag in ('training/loss', 'training/largest', 'training/gradient_norm'):
        seen[tag] = [e.step for e in events.Tensors(tag)]
    assert set(map(tuple, seen.values())) == {(3, 6, 9)}
    # Each value is the mean over the three steps before it.
    mesh = sharding.make_mesh(jax.devices()[:1])
    state, optimiser = loop.create_state(Fit(), make_config(), mesh)
    step = loop.make_train_step(Fit(), optimiser, 3, mesh)
    losses = []
    for _, batch in zip(range(6), Fit().batches(0), strict=False):
        state, metrics = step(state, batch)
        losses.append(float(metrics['loss']))
    written = [tensor_util.make_ndarray(e.tensor_proto) for e in events.Tensors('training/loss')]
    assert written[:2] == pytest.approx([np.mean(losses[:3]), np.mean(losses[3:])], rel=1e-5)
    assert '16' in (tmp_path / 'parameter_overview.log').read_text()


def test_best_score_is_kept_and_evaluation_sees_the_step(tmp_path):
    scores = {2: 0.1, 4: 0.9, 6: 0.3, 8: 0.2, 10: 0.1, 12: 0.0, 13: 0.0}
    seen = []

    def evaluate(step, params):
        seen.append((step, float(np.sum(params['still']))))
        return {'score': scores[step]}

    config = make_config(steps=13, evaluate_every=2, checkpoint_every=2)
    loop.run(Fit(), config, tmp_path, evaluate)
    assert seen == [(step, 16.0) for step in scores]
    kept = sorted(int(p.name) for p in (tmp_path / 'checkpoints').iterdir())
    assert kept == [4, 12, 13]


def test_a_loss_that_is_not_finite_stops_before_it_is_saved(tmp_path):
    with pytest.raises(UserError, match='the loss is nan at step 8: lower'):
        loop.run(Fit(bad_step=7), make_config(), tmp_path)
    assert [p.name for p in (tmp_path / 'checkpoints').iterdir()] == ['4']


def test_constrain_is_applied_after_every_update(tmp_path):
    class Bounded(Fit):
        def constrain(self, params):
            return {**params, 'kernel': jnp.clip(params['kernel'], -0.1, 0.1)}

    params = loop.run(Bounded(), make_config(steps=1), tmp_path)
    assert np.abs(params['kernel']).max() == np.float32(0.1)


def test_checkpoints_of_another_backbone_are_refused(tmp_path):
    task = Fit()
    task.backbone_sha256 = 'aaa'
    loop.run(task, make_config(), tmp_path)
    task.backbone_sha256 = 'bbb'
    with pytest.raises(UserError, match='another backbone sha256'):
        loop.run(task, make_config(), tmp_path)


def test_prefetch_keeps_the_order_and_raises_the_sources_error():
    mesh = sharding.make_mesh(jax.devices()[:1])

    def source():
        for number in range(5):
            yield {'x': np.full(2, number)}
        raise KeyError('broken shard')

    seen = []
    with pytest.raises(KeyError, match='broken shard'):
        with loop.prefetch(source(), mesh) as batches:
            for batch in batches:
                seen.append(int(batch['x'][0]))
    assert seen == [0, 1, 2, 3, 4]


def test_prefetch_draws_only_a_few_batches_ahead():
    drawn = []

    def source():
        for number in range(100):
            drawn.append(number)
            yield {'x': np.zeros(1)}

    with loop.prefetch(source(), sharding.make_mesh(jax.devices()[:1]), size=2) as batches:
        next(batches)
    assert len(drawn) <= 5


def test_step_needs_no_clu_and_no_tensorflow():
    code = (
        'import sys, cpad_jax.training.loop\n'
        'print([m for m in ("clu", "tensorflow", "orbax") if m in sys.modules])'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout.strip() == '[]', done.stderr
