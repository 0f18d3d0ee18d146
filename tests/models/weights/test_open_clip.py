"""Our towers against what open_clip and Scenic compute with the same weights."""

import dataclasses
import functools
import json
from pathlib import Path

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors
from safetensors.numpy import load_file

from cpad_jax.errors import UserError
from cpad_jax.models import config as configs
from cpad_jax.models import transformer, zoo
from cpad_jax.models.weights import folder
from cpad_jax.models.weights import open_clip as weights_open_clip
from tools import check_parity as parity

FIXTURES = Path(__file__).parents[2] / 'fixtures'
with safetensors.safe_open(FIXTURES / 'openclip' / 'parity.safetensors', 'numpy') as file:
    SHAPES = json.loads(file.metadata()['shapes'])
RIGHT = load_file(FIXTURES / 'openclip' / 'parity.safetensors')


@functools.cache
def case(name):
    """Configuration, open_clip's state, our parameters, pixels and ids."""
    config = parity.reduced(zoo.get(name))
    state = parity.draw_state(SHAPES[name])
    return (
        config,
        state,
        weights_open_clip.from_open_clip(state, config),
        *parity.draw_inputs(config),
    )


def differences(name, config=None, params=None, dtype=jnp.float32, embed=parity.embed):
    """Largest difference of unit embeddings from open_clip's: of images, of texts."""
    right, _, own, pixels, ids = case(name)
    image, text = embed(config or right, params or own, pixels, ids, dtype)
    return (
        np.abs(image - RIGHT[f'{name}/image']).max(),
        np.abs(text - RIGHT[f'{name}/text']).max(),
    )


def traced_again(*arguments):
    """For what is built into the compiled program."""
    return parity.embed.__wrapped__(*arguments)


@pytest.mark.parametrize('name', SHAPES)
def test_embeddings_equal_open_clip(name):
    assert max(differences(name)) < 1e-6
    # No trivial case: embeddings of different inputs differ.
    assert min(np.ptp(RIGHT[f'{name}/{kind}'], axis=0).max() for kind in ('image', 'text')) > 0.03


@pytest.mark.parametrize('name', SHAPES)
def test_bfloat16_stays_near(name):
    image, text = differences(name, dtype=jnp.bfloat16)
    assert max(image, text) < 2e-2
    assert max(image, text) > 1e-4  # It is bfloat16 indeed.


@pytest.mark.parametrize('name', SHAPES)
def test_state_dictionaries_come_back_bit_for_bit(name):
    config, state, params, _, _ = case(name)
    back = weights_open_clip.to_open_clip(params, config) | weights_open_clip.unused(state)
    assert back.keys() == state.keys() == SHAPES[name].keys()
    for key, array in state.items():
        assert back[key].dtype == array.dtype and back[key].shape == array.shape
        assert back[key].tobytes() == array.tobytes(), key


@pytest.mark.parametrize('name', SHAPES)
def test_live(name, open_clip):
    assert parity.check_names(zoo.get(name)) > 0
    compared = parity.compare(parity.reduced(zoo.get(name)))
    assert compared.float32 < 1e-5 and compared.bfloat16 < 2e-2


# Each of these must be caught by the comparison above.
MARGIN = 1e-5

VIT, TEXT = 'vision', 'text'
OTHERS = [
    ('ViT-B-32', VIT, {'activation': 'quick_gelu'}),
    ('ViT-B-32', TEXT, {'activation': 'quick_gelu'}),
    ('ViT-B-32', VIT, {'epsilon': 1e-6}),
    ('ViT-B-32', TEXT, {'epsilon': 1e-6}),
    ('ViT-B-32', TEXT, {'causal': False}),
    ('ViT-B-32', TEXT, {'pooling': 'last'}),
    ('ViT-L-14-worldwide', TEXT, {'end_token': 95}),
    ('ViT-L-14-CLIPA', VIT, {'epsilon': 1e-6}),
    ('ViT-L-14-CLIPA', VIT, {'pooling': 'class'}),
    ('ViT-L-14-CLIPA', TEXT, {'causal': True}),
    ('ViT-L-14-CLIPA', TEXT, {'pooling': 'end'}),
    ('ViT-B-16-SigLIP', VIT, {'epsilon': 1e-5}),
    ('ViT-B-16-SigLIP', TEXT, {'epsilon': 1e-5}),
    ('ViT-B-16-SigLIP', VIT, {'activation': 'gelu_tanh'}),
    ('ViT-B-16-SigLIP', TEXT, {'activation': 'gelu_tanh'}),
    ('ViT-B-16-SigLIP2', TEXT, {'activation': 'gelu'}),
    ('ViT-B-32-SigLIP2-256', VIT, {'activation': 'gelu'}),
    ('RN50', TEXT, {'activation': 'quick_gelu'}),
]


@pytest.mark.parametrize('name, tower, changes', OTHERS)
def test_comparison_sees_the_variant(name, tower, changes):
    config = case(name)[0]
    other = {tower: dataclasses.replace(getattr(config, tower), **changes)}
    image, text = differences(name, dataclasses.replace(config, **other))
    changed, kept = (image, text) if tower == VIT else (text, image)
    assert changed > MARGIN and kept < 1e-6


def broken(name, break_it):
    """Parameters with each leaf passed through `break_it(path, leaf)`."""
    flat = folder.flatten(case(name)[2])
    return folder.unflatten({path: break_it(path, leaf) for path, leaf in flat.items()})


# Without the bias of the keys, of which the softmax takes no notice.
SILENT = ('/key/bias', 'logit_scale', 'logit_bias')


@pytest.mark.parametrize('name', ['ViT-B-32', 'ViT-M-16-alt', 'ViT-B-16-SigLIP', 'RN50'])
def test_comparison_sees_every_parameter(name):
    """Each kind of parameter, put back to what it is without training."""
    paths = [path for path in folder.flatten(case(name)[2]) if not path.endswith(SILENT)]
    kinds = {}
    for path in paths:
        kinds.setdefault(path.replace('resblocks.1', 'resblocks.0'), []).append(path)
    right, _, _, pixels, ids = case(name)
    for kind, members in kinds.items():
        neutral = 1.0 if kind.endswith(('/scale', '/var', '/gamma')) else 0.0
        if kind.endswith('/var'):
            neutral = 1e-4  # Their size; what differs between channels is gone.

        def neutralise(path, leaf, members=members, neutral=neutral):
            return np.full_like(leaf, neutral) if path in members else leaf

        # Not a number is a difference, too: an embedding of zeros has no direction.
        assert not np.max(differences(name, params=broken(name, neutralise))) <= MARGIN, kind


def test_comparison_sees_a_transposed_projection():
    def transpose(path, leaf):
        square = leaf.ndim == 2 and leaf.shape[0] == leaf.shape[1]
        return leaf.T if square and path == 'text/text_projection/kernel' else leaf

    name = 'ViT-B-16-SigLIP'
    assert differences(name, params=broken(name, transpose))[1] > MARGIN


def test_comparison_sees_a_missing_mlp(monkeypatch):
    monkeypatch.setattr(transformer.MLP, '__call__', lambda self, x, update=None: jnp.zeros_like(x))
    for name in ('ViT-B-32', 'ViT-B-16-SigLIP'):
        assert min(differences(name, embed=traced_again)) > MARGIN


def test_what_does_not_fit_is_named():
    config, state, _, _, _ = case('ViT-B-32')
    wrong = {k: v for k, v in state.items() if k != 'visual.proj'}
    wrong['visual.conv1.weight'] = wrong['visual.conv1.weight'][:, :2]
    wrong['visual.head.weight'] = np.ones(3, np.float32)
    with pytest.raises(UserError) as error:
        weights_open_clip.from_open_clip(wrong, config, 'my.safetensors')
    words = str(error.value)
    assert 'my.safetensors' in words and 'missing visual.proj' in words and '\n' not in words
    assert 'unexpected visual.head.weight' in words
    assert 'visual.conv1.weight is [48, 2, 32, 32], expected [48, 3, 32, 32]' in words


def test_a_custom_text_clip_that_need_not_be_one():
    config, state, params, _, _ = case('ViT-B-32')
    towers = ('visual.', 'logit_')
    prefixed = {k if k.startswith(towers) else f'text.{k}': v for k, v in state.items()}
    again = folder.flatten(weights_open_clip.from_open_clip(prefixed, config))
    for path, leaf in folder.flatten(params).items():
        np.testing.assert_array_equal(again[path], leaf)


@pytest.mark.parametrize('grid', [2, 5])
def test_position_embeddings_of_another_size_are_resized(grid):
    """Checked against PyTorch's own numbers below; here: what must hold for any resampling."""
    config, state, params, _, _ = case('ViT-B-32')
    size = dataclasses.replace(config.vision, image_size=32 * grid)
    length = dataclasses.replace(config.text, context_length=20)
    other = dataclasses.replace(config, vision=size, text=length)
    resized = weights_open_clip.from_open_clip(state, other)
    image = resized['visual']['positional_embedding']
    assert image.shape == (grid**2 + 1, 48)
    np.testing.assert_array_equal(image[0], params['visual']['positional_embedding'][0])
    assert resized['text']['positional_embedding'].shape == (20, 48)
    flat = dict(state, positional_embedding=np.full((12, 48), 0.5, np.float32))
    flat['visual.positional_embedding'] = np.full((10, 48), 0.25, np.float32)
    resized = weights_open_clip.from_open_clip(flat, other)
    np.testing.assert_allclose(resized['visual']['positional_embedding'], 0.25, rtol=1e-6)
    np.testing.assert_allclose(resized['text']['positional_embedding'], 0.5, rtol=1e-6)


def test_resizing_is_open_clips():
    pytest.importorskip('open_clip')
    torch = pytest.importorskip('torch')
    from open_clip.model import resize_pos_embed, resize_text_pos_embed  # noqa: PLC0415

    config, state, _, _, _ = case('ViT-B-32')
    for grid, length in ((2, 7), (5, 20), (8, 77)):
        vision = dataclasses.replace(config.vision, image_size=32 * grid)
        text = dataclasses.replace(config.text, context_length=length)
        other = dataclasses.replace(config, vision=vision, text=text)
        theirs = {k: torch.from_numpy(v.copy()) for k, v in state.items()}
        peer = parity.build_peer(other)
        resize_pos_embed(theirs, peer)
        resize_text_pos_embed(theirs, peer)
        ours = weights_open_clip.from_open_clip(state, other)
        for tower, name in (
            ('visual', 'visual.positional_embedding'),
            ('text', 'positional_embedding'),
        ):
            np.testing.assert_allclose(
                ours[tower]['positional_embedding'], theirs[name].numpy(), atol=1e-7
            )


def read_scenic():
    path = FIXTURES / 'scenic' / 'clip.safetensors'
    with safetensors.safe_open(path, 'numpy') as file:
        config = configs.from_values(json.loads(file.metadata()['config']))
    arrays = load_file(path)
    flat = {k.removeprefix('params/'): v for k, v in arrays.items() if k.startswith('params/')}
    return config, flat, arrays


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def test_scenic_variables_load_unchanged():
    config, flat, arrays = read_scenic()
    assert {k: v.shape for k, v in flat.items()} == folder.parameter_shapes(config)
    image, text = parity.embed(config, folder.unflatten(flat), arrays['pixels'], arrays['ids'])
    np.testing.assert_allclose(image, unit(arrays['image']), atol=1e-5)
    np.testing.assert_allclose(text, unit(arrays['text']), atol=1e-5)


def test_scenic_live():
    scenic = pytest.importorskip('scenic.projects.baselines.clip.model')
    for theirs, ours in (
        ('vit_b32', 'ViT-B-32'), ('vit_b16', 'ViT-B-16'), ('vit_l14', 'ViT-L-14'),
        ('resnet_50', 'RN50'), ('resnet_101', 'RN101'),
    ):  # fmt: skip
        size = zoo.get(ours).image_size
        pixels, ids = jnp.zeros((1, size, size, 3)), jnp.zeros((1, 77), jnp.int32)
        tree = jax.eval_shape(scenic.MODELS[theirs]().init, jax.random.key(0), pixels, ids)
        flat = flax.traverse_util.flatten_dict(tree['params'], sep='/')
        if 'batch_stats' in tree:
            flat |= flax.traverse_util.flatten_dict(tree['batch_stats'], sep='/')
        assert {k: v.shape for k, v in flat.items()} == folder.parameter_shapes(zoo.get(ours))
    config, flat, arrays = read_scenic()
    model = scenic.layers.CLIP(
        vocab_size=config.text.vocab_size,
        embed_dim=config.embed_dim,
        text_features=config.text.width,
        text_num_layers=config.text.layers,
        text_num_heads=config.text.heads,
        vision_features=config.vision.width,
        vision_num_layers=config.vision.layers,
        vision_head_dim=config.vision.width // config.vision.heads,
        vision_patch_size=config.vision.patch_size,
    )
    params = folder.unflatten(flat)
    pixels = np.random.default_rng(3).standard_normal(arrays['pixels'].shape, np.float32)
    ids = arrays['ids'][::-1]
    image, text = model.apply({'params': params}, pixels, ids)
    ours = parity.embed(config, params, pixels, ids)
    np.testing.assert_allclose(ours[0], image, atol=1e-5)
    np.testing.assert_allclose(ours[1], text, atol=1e-5)
