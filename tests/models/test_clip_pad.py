import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.models import clip_pad, clip_pad_export, seals, zoo
from cpad_jax.models.clip import CLIP
from cpad_jax.text.tokenizer import TOK, tokenize

CLIP_CONFIG = zoo.get('testing')
CONFIG = clip_pad.CPADConfig(
    face_feature='clip', face_width=32, num_tokens=1, adapter_width=16, rank=3, token_norm=0.5
)
TEXTS = ['Orla Brandt [TOK] in a park', '[TOK] running', 'a person running', 'Orla Brandt']


def randomise(params, seed=0):
    """Every parameter drawn, so that none of them is without effect."""
    leaves, tree = jax.tree.flatten(params)
    rng = np.random.default_rng(seed)
    drawn = [np.asarray(x + 0.1 * rng.normal(size=np.shape(x)), np.float32) for x in leaves]
    return jax.tree.unflatten(tree, drawn)


@pytest.fixture(scope='module')
def clip():
    model = CLIP(CLIP_CONFIG)
    inputs = jnp.zeros((1, 32, 32, 3)), jnp.zeros((1, 32), int)
    params = jax.jit(model.init)(jax.random.key(0), *inputs)
    return model, randomise(params['params'])


@pytest.fixture(scope='module')
def learned():
    model = clip_pad.CPAD(CONFIG, CLIP_CONFIG)
    params = jax.jit(model.init)(jax.random.key(1), jnp.ones((1, 2, 32)), jnp.ones((1, 2)))
    params = params['params']
    return model, params, randomise(params, 1)


@pytest.fixture(scope='module')
def ids():
    return tokenize(TEXTS, 32, cut=True)


def encode(clip, ids, tokens, low_rank=None, **kwargs):
    model, params = clip
    run = jax.jit(lambda *a: clip_pad.encode_query(model, *a, **kwargs))
    return np.asarray(run(params, ids, tokens, low_rank))


def plain(clip, ids):
    model, params = clip
    run = jax.jit(lambda p, i: model.apply({'params': p}, i, True, method='encode_text'))
    return np.asarray(run(params, ids))


def draw_tokens(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_insert_tokens_by_hand():
    ids = jnp.array([[1, TOK, TOK, 2, TOK], [1, 2, 3, 4, 5], [TOK, 1, 2, 3, 4]])
    embeddings = -jnp.ones((3, 5, 1))
    two = jnp.array([[[10.0], [11.0]], [[20.0], [21.0]], [[30.0], [31.0]]])
    out = clip_pad.insert_tokens(embeddings, ids, two, TOK)[..., 0]
    expected = [[-1, 10, 11, -1, 10], [-1] * 5, [30, -1, -1, -1, -1]]
    np.testing.assert_array_equal(out, expected)
    # Two people of one token each: the first [TOK] is the first of them.
    out = clip_pad.insert_tokens(embeddings, ids, two.reshape(3, 2, 1, 1), TOK)[..., 0]
    np.testing.assert_array_equal(out, expected)


def test_changing_the_person_changes_only_queries_about_it(clip, learned, ids):
    low_rank = learned[2]['low_rank']
    one, other = (encode(clip, ids, draw_tokens(s, 4, 1, 64), low_rank) for s in (1, 2))
    difference = np.abs(one - other).max(axis=1)
    assert (difference[:2] > 1e-3).all()
    np.testing.assert_array_equal(difference[2:], 0.0)
    np.testing.assert_allclose(np.linalg.norm(one, axis=1), 1.0, rtol=1e-5)


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_query_without_token_is_plain_clip_bit_for_bit(clip, learned, ids, dtype):
    clip = (CLIP(CLIP_CONFIG, jnp.dtype(dtype).type), clip[1])
    low_rank = learned[2]['low_rank']
    queries = encode(clip, ids, draw_tokens(1, 4, 1, 64), low_rank)
    np.testing.assert_array_equal(queries[2:], plain(clip, ids)[2:])
    assert np.abs(queries[:2] - plain(clip, ids)[:2]).max() > 1e-3


def test_low_rank_update_acts_where_a_token_stands(clip, learned, ids):
    tokens = draw_tokens(1, 4, 1, 64)
    without = encode(clip, ids, tokens)
    initial = encode(clip, ids, tokens, learned[1]['low_rank'])
    np.testing.assert_allclose(initial, without, atol=1e-6)  # b is zero before training.
    drawn = encode(clip, ids, tokens, learned[2]['low_rank'])
    assert (np.abs(drawn - without).max(axis=1)[:2] > 1e-3).all()
    closed = encode(clip, ids, tokens, learned[2]['low_rank'], gate=jnp.array([0.0, 1, 0, 0]))
    np.testing.assert_array_equal(closed[0], without[0])
    np.testing.assert_array_equal(closed[1], drawn[1])


def test_low_rank_names_every_layer_but_key(learned):
    low_rank = learned[1]['low_rank']
    assert sorted(low_rank) == ['resblocks.0', 'resblocks.1']
    shapes = jax.tree.map(np.shape, low_rank['resblocks.1'])
    assert shapes == {
        'query': {'a': (64, 3), 'b': (3, 64)}, 'value': {'a': (64, 3), 'b': (3, 64)},
        'out': {'a': (64, 3), 'b': (3, 64)}, 'c_fc': {'a': (64, 3), 'b': (3, 256)},
        'c_proj': {'a': (256, 3), 'b': (3, 64)},
    }  # fmt: skip
    a, b = low_rank['resblocks.0']['query'].values()
    assert np.std(a) == pytest.approx(64**-0.5, rel=0.3) and not b.any()
    assert np.abs(a - low_rank['resblocks.1']['query']['a']).max() > 0.1


def test_default_token_stands_in_for_photos(learned):
    model, _, params = learned
    features = draw_tokens(0, 3, 2, 32)
    weights = np.array([[1, 1], [0, 0], [0.5, 0]], np.float32)
    tokens, _ = model.apply({'params': params}, features, weights)
    np.testing.assert_array_equal(tokens[1], params['default_token'])
    assert np.abs(tokens[0] - tokens[2]).max() > 1e-2


def test_vocabulary_norm():
    params = {'text': {'token_embedding': {'embedding': np.array([[3.0, 4.0], [0.0, 1.0]])}}}
    assert clip_pad.vocabulary_norm(params) == pytest.approx(3.0)
    assert clip_pad.vocabulary_norm(params, [0]) == pytest.approx(5.0)


@pytest.fixture
def saved(learned):
    return clip_pad_export.SavedCPAD(
        CONFIG, learned[2], 'weights/x', 'abc' * 20, ['Orla Brandt', 'Émile'],
        draw_tokens(0, 2, 1, 64),
    )  # fmt: skip


def test_save_and_load(tmp_path, saved):
    clip_pad_export.save_model(tmp_path / 'model', saved)
    assert sorted(p.name for p in tmp_path.rglob('*')) == [
        '.cpad_jax.json', 'config.json', 'model', 'weights.safetensors',
    ]  # fmt: skip
    loaded = clip_pad_export.load_model(tmp_path / 'model', CLIP_CONFIG, 'abc' * 20, 'clip')
    assert clip_pad_export.read_backbone(tmp_path / 'model') == 'weights/x'
    assert loaded.config == CONFIG and list(loaded.names) == list(saved.names)
    jax.tree.map(np.testing.assert_array_equal, loaded.params, saved.params)
    np.testing.assert_array_equal(loaded.memory, saved.memory)
    clip_pad_export.save_model(tmp_path / 'model', dataclasses.replace(saved, memory=None))
    assert clip_pad_export.load_model(tmp_path / 'model', CLIP_CONFIG, 'abc' * 20).memory is None


def test_another_backbone_or_face_feature_is_refused(tmp_path, saved):
    clip_pad_export.save_model(tmp_path, saved)
    with pytest.raises(UserError, match=r"trained on the CLIP 'weights/x' with sha256 abcabc.*"):
        clip_pad_export.load_model(tmp_path, CLIP_CONFIG, 'def' * 20)
    with pytest.raises(UserError, match="face feature 'clip', not on 'sface'"):
        clip_pad_export.load_model(tmp_path, CLIP_CONFIG, 'abc' * 20, 'sface')


def test_damaged_exports_are_named(tmp_path, saved):
    with pytest.raises(UserError, match='there is no CLIP-PAD in'):
        clip_pad_export.load_model(tmp_path, CLIP_CONFIG, 'abc' * 20)
    clip_pad_export.save_model(tmp_path, saved)
    path = tmp_path / 'config.json'
    # Without digests, which would say that the file was changed before anything else is looked at.
    values = seals.bare(json.loads(path.read_text()))
    for text, message in [
        ('{', 'is not JSON'),
        ('[]', 'does not describe a CLIP-PAD'),
        (json.dumps(values | {'rank': 'x'}), "rank is 'x', expected int"),
        (json.dumps(values | {'rank': 4}), r'b is \[3, 64\], expected \[4, 64\]'),
        (json.dumps(values | {'names': ['a']}), r'name_memory is \[2, 1, 64\], expected \[1, '),
    ]:
        path.write_text(text)
        with pytest.raises(UserError, match=message):
            clip_pad_export.load_model(tmp_path, CLIP_CONFIG, 'abc' * 20)


def test_sizes_of_an_export_are_bounded_before_anything_is_made(tmp_path, saved, monkeypatch):
    clip_pad_export.save_model(tmp_path, saved)
    path = tmp_path / 'config.json'
    values = seals.bare(json.loads(path.read_text()))
    monkeypatch.setattr(
        clip_pad_export, 'parameter_shapes', lambda *_: pytest.fail('shapes were made')
    )
    for changes, message in [
        (
            {'adapter_layers': 1_000_000},
            r'where config.json says adapter_layers 1000000',
        ),
        (
            {'adapter_layers': 10**9},
            'adapter_layers is 1000000000, expected at least 0 and at most',
        ),
        ({'adapter_layers': -1}, 'adapter_layers is -1, expected at least 0'),
        ({'num_tokens': 0}, 'num_tokens is 0, expected above 0'),
        ({'face_width': 2**40}, 'face_width is 1099511627776, expected above 0 and at most'),
        ({'token_norm': 0.0}, 'token_norm is 0.0, expected above 0'),
        ({'rank': 10**30}, 'more than 19 digits'),
        ({'names': ['a', 7]}, 'names must be a list of texts'),
    ]:
        path.write_text(json.dumps(values | changes))
        with pytest.raises(UserError, match=message) as error:
            clip_pad_export.load_model(tmp_path, CLIP_CONFIG, 'abc' * 20)
        assert len(str(error.value)) < 400


def test_full_size_shapes():
    clip_config = zoo.get('ViT-L-14')
    config = clip_pad.CPADConfig('clip', 768, num_tokens=2, adapter_width=1024, rank=16)
    shapes = clip_pad_export.parameter_shapes(config, clip_config)
    assert shapes['adapter/out/kernel'] == (1024, 2 * 768)
    assert shapes['default_token'] == (2, 768)
    assert shapes['low_rank/resblocks.11/c_fc/b'] == (16, 4 * 768)
    assert not any('low_rank' in name for name in clip_pad_export.parameter_shapes(
        dataclasses.replace(config, rank=0), clip_config))  # fmt: skip
