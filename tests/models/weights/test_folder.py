import dataclasses
import json

import numpy as np
import pytest
import safetensors.numpy

from cpad_jax.errors import UserError
from cpad_jax.models import clip
from cpad_jax.models.config import CLIPConfig, ResNetConfig, TextConfig, ViTConfig
from cpad_jax.models.weights import folder, open_clip

CONFIG = CLIPConfig(
    'tiny', 4, ViTConfig(image_size=8, patch_size=4, width=8, layers=1, heads=2),
    TextConfig(context_length=5, width=6, layers=2, heads=3, vocab_size=50, end_token=49),
)  # fmt: skip


@pytest.fixture
def params():
    rng = np.random.default_rng(0)
    return folder.unflatten(
        {
            name: rng.standard_normal(shape, np.float32)
            for name, shape in folder.parameter_shapes(CONFIG).items()
        }
    )


def assert_same(a, b, **tolerance):
    a, b = folder.flatten(a), folder.flatten(b)
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], **tolerance, err_msg=name)


@pytest.mark.parametrize(
    'dtype, rounding', [('float32', 0), ('float16', 2**-11), ('bfloat16', 2**-8)]
)
def test_what_is_saved_is_read(tmp_path, params, dtype, rounding):
    folder.save_clip(tmp_path / 'x', CONFIG, params, dtype=dtype)
    config, read = folder.load_clip_variables(tmp_path / 'x')
    assert config == CONFIG
    assert all(leaf.dtype == np.float32 for leaf in folder.flatten(read).values())
    assert_same(read, params, rtol=rounding, atol=1e-7 if rounding else 0)
    assert sorted(p.name for p in (tmp_path / 'x').iterdir()) == [
        'config.json',
        'weights.safetensors',
    ]


@pytest.mark.parametrize('dtype', ['float32', 'float16'])
def test_compact_vocabulary_keeps_only_what_was_trained(tmp_path, params, dtype):
    tokens = clip.initial_token_embedding(50, 6)
    tokens[[0, 7, 49]] += 1
    params['text']['token_embedding']['embedding'] = tokens
    folder.save_clip(tmp_path, CONFIG, params, dtype=dtype, compact_vocabulary=True)
    stored = safetensors.numpy.load_file(tmp_path / 'weights.safetensors')
    np.testing.assert_array_equal(stored['text/token_embedding/rows'], [0, 7, 49])
    assert stored['text/token_embedding/rows'].dtype == np.int32
    np.testing.assert_array_equal(
        stored['text/token_embedding/embedding'], tokens[[0, 7, 49]].astype(dtype)
    )
    _, read = folder.load_clip_variables(tmp_path)
    np.testing.assert_array_equal(
        read['text']['token_embedding']['embedding'], tokens.astype(dtype).astype(np.float32)
    )


def test_initial_token_embedding_is_pinned():
    # The first numbers of RandomState(0).standard_normal(), which NumPy keeps for ever.
    np.testing.assert_allclose(
        clip.initial_token_embedding(2, 2) / 0.02,
        [[1.764052345967664, 0.4001572083672233], [0.9787379841057392, 2.240893199201458]],
        rtol=1e-6,
    )


@pytest.mark.parametrize('rows', [[0, 50], [-1, 2], [3, 3], [1]])
def test_rows_that_do_not_fit_are_refused(tmp_path, params, rows):
    tokens = clip.initial_token_embedding(50, 6)
    tokens[:2] += 1
    params['text']['token_embedding']['embedding'] = tokens
    folder.save_clip(tmp_path, CONFIG, params, compact_vocabulary=True)
    path = tmp_path / 'weights.safetensors'
    stored = safetensors.numpy.load_file(path)
    stored['text/token_embedding/rows'] = np.array(rows, np.int32)
    safetensors.numpy.save_file(stored, path)
    with pytest.raises(UserError, match='does not number rows'):
        folder.load_clip_variables(tmp_path)


def test_every_wrong_parameter_is_named(tmp_path, params):
    folder.save_clip(tmp_path, CONFIG, params)
    path = tmp_path / 'weights.safetensors'
    stored = safetensors.numpy.load_file(path)
    del stored['logit_scale'], stored['visual/ln_pre/bias']
    stored['more'] = np.ones(2, np.float32)
    stored['visual/proj/kernel'] = stored['visual/proj/kernel'].T.copy()
    safetensors.numpy.save_file(stored, path)
    with pytest.raises(UserError) as error:
        folder.load_clip_variables(tmp_path)
    message = str(error.value)
    assert str(path) in message and '\n' not in message
    assert 'missing logit_scale, visual/ln_pre/bias;' in message
    assert 'unexpected more;' in message
    assert 'visual/proj/kernel is [4, 8], expected [8, 4]' in message


def test_parameters_of_another_model_are_not_saved(tmp_path, params):
    del params['logit_scale']
    with pytest.raises(UserError, match='missing logit_scale'):
        folder.save_clip(tmp_path / 'x', CONFIG, params)
    assert not (tmp_path / 'x').exists()


def test_files_that_are_not_there_or_broken_are_refused(tmp_path, params):
    with pytest.raises(UserError, match='there is no folder'):
        folder.load_clip_variables(tmp_path / 'nowhere')
    with pytest.raises(UserError, match='has no config.json'):
        folder.load_clip_variables(tmp_path)
    folder.save_clip(tmp_path, CONFIG, params)
    path = tmp_path / 'weights.safetensors'
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(UserError, match='not a whole safetensors file'):
        folder.load_clip_variables(tmp_path)
    path.unlink()
    with pytest.raises(UserError, match='has no weights.safetensors'):
        folder.load_clip_variables(tmp_path)
    safetensors.numpy.save_file({'x': np.ones(1, np.int64)}, path)
    with pytest.raises(UserError, match='x has type int64, expected a float type'):
        folder.load_clip_variables(tmp_path)


@pytest.mark.parametrize(
    'tower, changes, words',
    [
        (None, {'embed_dim': None}, 'misses embed_dim'),
        (None, {'depth': 3}, 'has unknown depth'),
        (None, {'mean': [0, 0]}, r'mean is \[0, 0\], expected three numbers'),
        (None, {'resize': 'stretch'}, 'resize must be one of shortest, squash'),
        (None, {'vision': 3}, 'vision must be an object'),
        ('text', {'heads': '3'}, "text.heads is '3', expected a whole number"),
        ('text', {'heads': 0}, 'text.heads must be above 0'),
        ('text', {'heads': True}, 'text.heads is True'),
        ('text', {'layers': 2**40}, 'text.layers is 1099511627776, expected a whole number'),
        ('text', {'epsilon': -1}, 'text.epsilon is -1, expected a number above 0'),
        ('text', {'width': None}, 'misses text.width'),
        ('vision', {'class_token': 1}, 'vision.class_token is 1, expected true or false'),
        ('vision', {'depth': 1}, 'has unknown vision.depth'),
        ('vision', {'heads': 3}, 'vision.heads must divide width'),
        ('vision', {'blocks': [1, 2]}, 'has unknown vision'),
        (None, {'name': 'x' * 100_000}, 'name is .*, expected up to 200 printable'),
        (None, {'name': 'a\x1b[2J'}, 'name is .*, expected up to 200 printable'),
        (None, {'resize': 'x' * 199}, 'resize must be one of'),
        (None, {f'key{i}': 1 for i in range(1000)}, 'has unknown key0, key1, key10, .*…'),
        (None, {'k' * 50_000: 1}, 'has unknown kkkk'),
        (None, {'std': [0.5, 0, 0.5]}, r'std\[1\] must be above 0'),
        (None, {'mean': [0.5, -1, 0.5]}, 'expected three numbers'),
        ('text', {'heads': [1] * 100_000}, 'text.heads is .*, expected a whole number'),
    ],
)
def test_wrong_configurations_are_refused(tmp_path, params, tower, changes, words):
    folder.save_clip(tmp_path, CONFIG, params)
    path = tmp_path / 'config.json'
    values = json.loads(path.read_text())
    part = values[tower] if tower else values
    part.update(changes)
    for name in [name for name, value in part.items() if value is None]:
        del part[name]
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match=words) as error:
        folder.load_clip_variables(tmp_path)
    assert str(path) in str(error.value) and len(str(error.value)) < 400
    path.write_text('[')
    with pytest.raises(UserError, match='not JSON'):
        folder.load_clip_variables(tmp_path)


def test_open_clip_names_and_shapes_and_back(params):
    state = open_clip.to_open_clip(params, CONFIG)
    # Torch keeps [out, in]; 3w rows of query, key and value; convolutions [out, in, rows, columns].
    assert state['visual.conv1.weight'].shape == (8, 3, 4, 4)
    assert state['transformer.resblocks.1.attn.in_proj_weight'].shape == (18, 6)
    assert state['transformer.resblocks.1.mlp.c_fc.weight'].shape == (24, 6)
    assert_same(open_clip.from_open_clip(state, CONFIG), params)
    block = params['text']['transformer']['resblocks.1']
    np.testing.assert_array_equal(
        # Row 6 + 2·1 + 0 of the stack: key, head 1, number 0 within it.
        state['transformer.resblocks.1.attn.in_proj_weight'][6 + 2],
        block['attn']['key']['kernel'][:, 1, 0],
    )
    np.testing.assert_array_equal(
        state['transformer.resblocks.1.attn.out_proj.weight'][:, 2],
        block['attn']['out']['kernel'][1, 0],
    )
    assert (
        state['visual.conv1.weight'][5, 2, 0, 3] == params['visual']['conv1']['kernel'][0, 3, 2, 5]
    )


def test_open_clip_weights_that_do_not_fit_are_named(params):
    state = open_clip.to_open_clip(params, CONFIG)
    state['visual.attnpool.c_proj.weight'] = state.pop('visual.proj')
    state['ln_final.bias'] = np.ones(7, np.float32)
    with pytest.raises(UserError) as error:
        open_clip.from_open_clip(state, CONFIG, 'file.safetensors')
    message = str(error.value)
    assert message.startswith('file.safetensors') and 'missing visual.proj;' in message
    assert 'unexpected visual.attnpool.c_proj.weight;' in message
    assert 'ln_final.bias is [7], expected [6]' in message


@pytest.mark.parametrize(
    'tower, changes, words',
    [
        ('text', {'layers': 2000}, r'have 2 where config.json says 2000 \(text.layers\)'),
        ('text', {'layers': 2**31 - 1}, r'says 2147483647 \(text.layers\)'),
        ('text', {'vocab_size': 3_000_000}, r'have 50 where config.json says 3000000 \(text.voc'),
        ('text', {'context_length': 2**31 - 1}, r'have 5 where .* 2147483647 \(text.context_len'),
        ('text', {'width': 3 * 2**20}, r'have 6 where config.json says 3145728 \(text.width\)'),
        ('text', {'mlp_width': 2**31 - 1}, r'have 24 where .* \(text.mlp_width\)'),
        ('vision', {'layers': 10**9}, r'have 1 where config.json says 1000000000 \(vision.layers'),
        ('vision', {'width': 2**30}, r'have 8 where .* 1073741824 \(vision.width\)'),
        ('vision', {'image_size': 2**31 - 1}, r'have 5 where .* \(the positions of vision.image_'),
        ('vision', {'patch_size': 2**30, 'image_size': 2**31 - 1}, r'have 4 where .*patch_size'),
        ('vision', {'mlp_width': 2**30}, r'have 32 where .* \(vision.mlp_width\)'),
        ('vision', {'image_size': 12}, r'have 5 where config.json says 10 \(the positions of'),
    ],
)
def test_sizes_are_held_against_the_weights_before_anything_is_made(
    tmp_path, params, monkeypatch, tower, changes, words
):
    folder.save_clip(tmp_path, CONFIG, params)
    path = tmp_path / 'config.json'
    values = json.loads(path.read_text())
    values[tower].update(changes)
    path.write_text(json.dumps(values))

    def never(config):
        raise AssertionError('shapes were made')

    monkeypatch.setattr(folder, 'parameter_shapes', never)
    with pytest.raises(UserError, match=words) as error:
        folder.load_clip_variables(tmp_path)
    assert len(str(error.value)) < 400


def test_a_vocabulary_that_is_made_whole_is_bounded(tmp_path, params):
    folder.save_clip(tmp_path, CONFIG, params, compact_vocabulary=True)
    path = tmp_path / 'config.json'
    values = json.loads(path.read_text())
    values['text']['vocab_size'] = 300_000_000
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match='text.vocab_size of the configuration is 300000000, more'):
        folder.load_clip_variables(tmp_path)


def test_blocks_of_residual_networks_are_held_against_the_weights(tmp_path):
    config = dataclasses.replace(
        CONFIG, vision=ResNetConfig(image_size=32, width=8, blocks=(1, 1, 1, 1), heads=4)
    )
    shapes = folder.parameter_shapes(config)
    params = folder.unflatten({n: np.ones(s, np.float32) for n, s in shapes.items()})
    folder.save_clip(tmp_path, config, params)
    assert folder.load_clip_variables(tmp_path)[0] == config
    path = tmp_path / 'config.json'
    good = path.read_text()
    for changes, words in (
        ({'blocks': [1, 1, 10**9, 1]}, r'have 1 where .* 1000000000 \(vision.blocks\[2\]\)'),
        ({'width': 2**20}, r'have 8 where config.json says 1048576 \(vision.width\)'),
        ({'image_size': 2**30}, r'have 2 where .* \(the positions of vision.image_size\)'),
        ({'blocks': [1, 0, 1, 1]}, r'vision.blocks\[1\] must be above 0'),
    ):
        values = json.loads(good)
        values['vision'].update(changes)
        path.write_text(json.dumps(values))
        with pytest.raises(UserError, match=words):
            folder.load_clip_variables(tmp_path)


def test_shapes_of_many_blocks_are_those_of_one_each():
    # Exact against a trace of all of them.
    assert folder.parameter_shapes(CONFIG) == folder._traced_shapes(CONFIG)
    deeper = dataclasses.replace(CONFIG.text, layers=11)
    shapes = folder.parameter_shapes(dataclasses.replace(CONFIG, text=deeper))
    assert shapes['text/transformer/resblocks.10/ln_1/scale'] == (6,)
    assert len(shapes) - len(folder.parameter_shapes(CONFIG)) == 9 * 16
    shapes.clear()  # A copy each time.
    assert folder.parameter_shapes(CONFIG)


@pytest.mark.parametrize(
    'content, words',
    [
        (b'[' * 39_000_000, 'more than 4194304 bytes'),
        (b'{"name": "a", "name": "b"}', "the name 'name' occurs twice"),
        (b'{"embed_dim": NaN}', 'NaN is no number'),
        (b'{"embed_dim": 1' + b'0' * 5000 + b'}', 'more than 19 digits'),
        (b'{"a":' * 5000, 'nests too deeply'),
    ],
)
def test_configurations_are_read_strictly(tmp_path, params, content, words):
    folder.save_clip(tmp_path, CONFIG, params)
    (tmp_path / 'config.json').write_bytes(content)
    with pytest.raises(UserError, match=words):
        folder.load_clip_variables(tmp_path)
