import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from cpad_jax.errors import UserError
from cpad_jax.models import sharding

EIGHT_DEVICES = """
import jax, jax.numpy as jnp, numpy as np, ml_collections
from cpad_jax.models import sharding
from cpad_jax.training import loop

class Contrast:
    rules = (('kernel', (None, 'model')),)
    def init_params(self, rng):
        a, b = jax.random.split(rng)
        return {'kernel': jax.random.normal(a, (12, 6)), 'other': jax.random.normal(b, (8, 6))}
    def loss(self, params, batch, rng):
        # Every row is compared with every row: wrong if a device only sees its own part.
        noise = jax.random.normal(rng, batch['x'].shape)
        x, y = (batch['x'] + 0.1 * noise) @ params['kernel'], batch['y'] @ params['other']
        logits = x @ y.T
        return -jnp.mean(jnp.diag(jax.nn.log_softmax(logits))), {'mean': logits.mean()}
    def label_params(self, params):
        return jax.tree.map(lambda _: 'all', params)

rng = np.random.default_rng(0)
batches = [{'x': rng.normal(size=(16, 12)).astype('f4'), 'y': rng.normal(size=(16, 8)).astype('f4'),
            'scalar': np.float32(1)} for _ in range(4)]
config = ml_collections.ConfigDict({'seed': 0, 'train': {
    'steps': 4, 'learning_rate': 0.05, 'warmup_steps': 0, 'weight_decay': 0.1,
    'optimiser': 'adamw', 'clip_norm': 1.0}})

def learn(mesh):
    task = Contrast()
    state, optimiser = loop.create_state(task, config, mesh)
    step = loop.make_train_step(task, optimiser, 0, mesh)
    for batch in batches:
        batch = sharding.put_batch(batch, mesh)
        state, metrics = step(state, batch)
    return state, metrics, batch

assert len(jax.devices()) == 8
one, one_metrics, _ = learn(sharding.make_mesh(jax.devices()[:1]))
for model_parallel in (1, 2):
    mesh = sharding.make_mesh(model_parallel=model_parallel)
    eight, metrics, batch = learn(mesh)
    shard = batch['x'].addressable_shards[0].data.shape
    assert shard == (16 * model_parallel // 8, 12), shard
    moment = [m for m in jax.tree.leaves(eight.opt_state) if m.shape == (12, 6)][0]
    for split in (eight.params['kernel'], moment):
        assert split.addressable_shards[0].data.shape == (12, 6 // model_parallel)
    assert eight.params['other'].addressable_shards[0].data.shape == (8, 6)
    for a, b in zip(jax.tree.leaves((one, one_metrics)), jax.tree.leaves((eight, metrics))):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6)
print('equal')
"""


def test_eight_devices_learn_what_one_learns():
    environment = {
        **os.environ,
        'JAX_PLATFORMS': 'cpu',
        'XLA_FLAGS': '--xla_force_host_platform_device_count=8',
    }
    done = subprocess.run(
        [sys.executable, '-c', EIGHT_DEVICES], env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == 'equal', done.stderr


def test_names_are_paths():
    tree = {'a': {'kernel': 1.0}, 'b': [2.0, 3.0]}
    assert sharding.names(tree) == {'a': {'kernel': 'a/kernel'}, 'b': ['b/0', 'b/1']}


def test_first_matching_rule_of_the_right_rank_places_a_parameter():
    mesh = sharding.make_mesh(jax.devices()[:1])
    tree = {'text': {'kernel': np.ones((2, 2)), 'bias': np.ones(2)}}
    rules = (('text/.*', ('model', None)), ('kernel', (None, 'model')))
    placed = sharding.parameter_shardings(tree, mesh, rules)
    assert placed['text']['kernel'].spec == PartitionSpec('model', None)
    assert placed['text']['bias'].spec == PartitionSpec()


def test_batch_that_devices_cannot_share_is_refused():
    mesh = sharding.make_mesh(jax.devices()[:1])

    class Two:
        shape = {'data': 2}

    with pytest.raises(UserError, match="'x' has 3 rows, which 2 devices"):
        sharding.put_batch({'x': np.zeros((3, 1))}, Two())
    assert sharding.put_batch({'x': np.zeros((3, 1))}, mesh)['x'].shape == (3, 1)


def test_model_parallel_must_divide_the_devices():
    with pytest.raises(UserError, match='groups of 2'):
        sharding.make_mesh(jax.devices()[:1], model_parallel=2)
