"""What is said beside weights of open_clip: every key counts, and no size is changed in silence."""

import copy
import dataclasses
import json

import numpy as np
import pytest
import safetensors.numpy

from cpad_jax.commands import convert as tool
from cpad_jax.errors import UserError
from cpad_jax.models import zoo
from cpad_jax.models.config import CLIPConfig, TextConfig, ViTConfig
from cpad_jax.models.weights import folder as weights_folder
from cpad_jax.models.weights import (
    open_clip,
    open_clip_choice,
    open_clip_config,
    open_clip_keys,
    sources,
    torch_files,
)

B32 = {
    'embed_dim': 512,
    'vision_cfg': {'image_size': 224, 'layers': 12, 'width': 768, 'patch_size': 32},
    'text_cfg': {
        'context_length': 77, 'vocab_size': 49408, 'width': 512, 'heads': 8, 'layers': 12,
    },
}  # fmt: skip
TINY = CLIPConfig(
    'tiny', 8, ViTConfig(image_size=16, patch_size=8, width=16, layers=1, heads=2),
    TextConfig(context_length=24, width=8, layers=1, heads=2),
)  # fmt: skip


def changed(key, value, cfg=B32):
    """A configuration with another value under 'text_cfg.width', 'embed_dim' and so on."""
    cfg = copy.deepcopy(cfg)
    *where, name = key.split('.')
    part = cfg
    for tower in where:
        part = part.setdefault(tower, {})
    part[name] = value
    return cfg


def choose(cfg, model=None, images=None):
    said = {'model_cfg': cfg} | ({'preprocess_cfg': images} if images is not None else {})
    return open_clip_choice.choose_config(model, sources.Resolved((), 'x', config=said))


@pytest.mark.parametrize(
    'key, value',
    [
        ('embed_dim', 512), ('custom_text', True), ('init_logit_scale', 2.6592),
        ('quick_gelu', False),
        ('cast_dtype', 'bf16'), ('output_dict', True), ('nonscalar_logit_scale', True),
        ('vision_cfg.head_width', 64), ('vision_cfg.mlp_ratio', 4), ('vision_cfg.pool_type', 'tok'),
        ('vision_cfg.patch_dropout', 0.5), ('vision_cfg.output_tokens', True),
        ('vision_cfg.image_size', [224, 224]), ('vision_cfg.final_ln_after_pool', True),
        ('vision_cfg.norm_kwargs', {'eps': 1e-5}), ('vision_cfg.ls_init_value', None),
        ('vision_cfg.act_kwargs', {}), ('vision_cfg.attentional_pool', False),
        ('text_cfg.pool_type', 'argmax'), ('text_cfg.proj_type', 'linear'), ('text_cfg.pad_id', 3),
        ('text_cfg.eos_id', 7), ('text_cfg.hf_model_name', None),
        ('text_cfg.no_causal_mask', False),
    ],
)  # fmt: skip
def test_keys_that_change_no_embedding(key, value):
    assert choose(changed(key, value)) == zoo.get('ViT-B-32')


# Each of these makes another model of the same weights, or one that is not known here.
OTHERS = [
    ('text_cfg.pool_type', 'last', "text_cfg.pool_type is 'last', not 'argmax'"),
    ('text_cfg.pool_type', 'first', "text_cfg.pool_type is 'first'"),
    ('text_cfg.no_causal_mask', True, 'text_cfg.no_causal_mask is True, not False'),
    ('text_cfg.norm_kwargs', {'eps': 1e-6}, 'text_cfg.norm_kwargs is 1e-06, not 1e-05'),
    ('text_cfg.act_kwargs', {'approximate': 'tanh'}, "text_cfg.act_kwargs is 'tanh'"),
    ('text_cfg.heads', 4, 'text_cfg.heads is 4, not 8'),
    ('text_cfg.proj_type', 'none', "text_cfg.proj_type is 'none'"),
    ('text_cfg.proj_bias', True, 'text_cfg.proj_bias is True'),
    ('text_cfg.embed_cls', True, 'text_cfg.embed_cls is True; only False'),
    ('text_cfg.hf_model_name', 'roberta-base', "text_cfg.hf_model_name is 'roberta-base'; only"),
    ('text_cfg.hf_tokenizer_name', 'bert-base-uncased', 'text_cfg.tokenizer_kwargs is'),
    ('text_cfg.tokenizer_kwargs', {'clean': 'lower'}, 'text_cfg.tokenizer_kwargs is'),
    ('text_cfg.tokenizer_kwargs', {'mask': 1}, "tokenizer_kwargs has the key 'mask'"),
    ('text_cfg.text_arch', 'modern', "text_cfg.text_arch is 'modern'; only 'clip'"),
    ('text_cfg.depth', 12, "text_cfg has the key 'depth', which is not known"),
    ('vision_cfg.pool_type', 'avg', "vision_cfg.pool_type is 'avg'"),
    ('vision_cfg.no_ln_pre', True, 'vision_cfg.no_ln_pre is True'),
    ('vision_cfg.attentional_pool', True, 'vision_cfg.attentional_pool is True; only False'),
    ('vision_cfg.head_width', 32, 'vision_cfg.head_width is 32, not 64'),
    ('vision_cfg.ls_init_value', 0.1, 'vision_cfg.ls_init_value is True'),
    ('vision_cfg.norm_kwargs', {'eps': 1e-6}, 'vision_cfg.norm_kwargs is 1e-06'),
    ('vision_cfg.norm_kwargs', {'bias': 1}, "vision_cfg.norm_kwargs has the key 'bias'"),
    ('vision_cfg.act_kwargs', {'approximate': 'tanh'}, "vision_cfg.act_kwargs is 'tanh'"),
    ('vision_cfg.qk_norm', True, 'vision_cfg.qk_norm is True; only False'),
    ('vision_cfg.scaled_cosine_attn', True, 'vision_cfg.scaled_cosine_attn is True'),
    ('vision_cfg.in_chans', 4, 'vision_cfg.in_chans is 4; only 3'),
    ('vision_cfg.stride', 16, "vision_cfg has the key 'stride', which is not known"),
    ('multimodal_cfg', {}, "model_cfg has the key 'multimodal_cfg', which is not known"),
    ('vision_cfg.width', '768', "vision_cfg.width is '768', expected a whole number above 0"),
    ('vision_cfg.width', 768.0, 'vision_cfg.width is 768.0, expected a whole number'),
    ('vision_cfg.layers', True, 'vision_cfg.layers is True, expected a whole number'),
    ('vision_cfg.layers', -12, 'vision_cfg.layers is -12, expected'),
    ('vision_cfg.layers', 10**12, 'expected a whole number above 0, or four'),
    ('vision_cfg.image_size', [224, 112], r'image_size is \[224, 112\], expected the side'),
    ('vision_cfg.mlp_ratio', '4', "mlp_ratio is '4', expected a number"),
    ('vision_cfg', 'small', "vision_cfg is 'small', expected an object"),
    ('text_cfg', [], r'text_cfg is \[\], expected an object'),
    ('embed_dim', None, 'model_cfg has no embed_dim'),
    ('quick_gelu', 'false', "model_cfg.quick_gelu is 'false', expected true or false"),
    ('quick_gelu', 1, 'model_cfg.quick_gelu is 1, expected true or false'),
]


@pytest.mark.parametrize('model', [None, 'ViT-B-32'])
@pytest.mark.parametrize('key, value, words', OTHERS)
def test_keys_that_make_another_model_are_named(key, value, words, model):
    if (key, value, model) == ('embed_dim', None, 'ViT-B-32'):
        words = 'embed_dim is None, not 512|no embed_dim'
    with pytest.raises(UserError, match=words) as error:
        choose(changed(key, value), model)
    assert len(str(error.value)) < 400 and str(error.value).isprintable()


@pytest.mark.parametrize(
    'images, words',
    [
        ({'mean': [0.5, 0.5]}, r'preprocess_cfg.mean is \[0.5, 0.5\], expected three numbers'),
        ({'mean': 0.5}, 'preprocess_cfg.mean is 0.5, expected three'),
        ({'mean': [123.7, 116.3, 103.5]}, 'expected numbers of pixels from 0 to 1'),
        ({'std': [0, 0.5, 0.5]}, 'preprocess_cfg.std is .* from 0 to 1'),
        ({'mode': 'BGR'}, "preprocess_cfg.mode is 'BGR'; only 'RGB'"),
        ({'interpolation': 'random'}, 'interpolation must be one of bicubic, bilinear'),
        ({'resize_mode': 'longest'}, 'resize must be one of shortest, squash'),
        ({'crop_pct': 0.9}, "preprocess_cfg has the key 'crop_pct', which is not known"),
        ({'size': '224'}, "preprocess_cfg.size is '224', expected the side"),
        (3, 'preprocess_cfg is 3, expected an object'),
    ],
)
def test_preprocessing_that_is_not_known_is_named(images, words):
    with pytest.raises(UserError, match=words) as error:
        choose(B32, images=images)
    assert len(str(error.value)) < 400


def test_preprocessing_is_taken():
    images = {'mean': [0, 0.25, 1], 'std': [1, 0.5, 0.25], 'interpolation': 'bilinear',
              'resize_mode': 'squash', 'fill_color': 0, 'mode': 'RGB',
              'size': [224, 224]}  # fmt: skip
    expected = dataclasses.replace(
        zoo.get('ViT-B-32'), mean=(0, 0.25, 1), std=(1, 0.5, 0.25), interpolation='bilinear',
        resize='squash',
    )  # fmt: skip
    assert choose(B32, images=images) == expected


def test_a_file_with_other_parts_is_named():
    for said, words in (
        ({'model_cfg': B32, 'extra_cfg': {}}, "the file has the key 'extra_cfg'"),
        ({'model_cfg': 'ViT-B-32'}, "model_cfg is 'ViT-B-32', expected an object"),
    ):
        with pytest.raises(UserError, match=words):
            open_clip_choice.choose_config(None, sources.Resolved((), 'x', config=said))


def test_descriptions_that_say_little_agree_with_a_name():
    for cfg in ({}, {'quick_gelu': False}, {'vision_cfg': {'patch_size': 32}}, B32):
        assert choose(cfg, 'ViT-B-32') == zoo.get('ViT-B-32')
    assert choose({'quick_gelu': True}, 'ViT-B-32') == zoo.get('ViT-B-32-quickgelu')
    with pytest.raises(UserError, match='of another model than ViT-B-16: vision_cfg.patch_size is'):
        choose(B32, 'ViT-B-16')


def test_other_sizes_are_as_they_are_said():
    config = choose(changed('vision_cfg.image_size', 448))
    assert (config.name, config.image_size, config.vision.grid) == ('ViT-B-32-448', 448, 14)
    assert choose(changed('vision_cfg.image_size', 256)) == zoo.get('ViT-B-32-256')
    config = choose(changed('text_cfg.context_length', 248))
    assert (config.name, config.text.context_length) == ('ViT-B-32-context248', 248)
    said = open_clip_config.model_cfg(choose(changed('vision_cfg.image_size', 448), 'ViT-B-32'))
    assert choose(said).image_size == 448
    siglip = open_clip_config.model_cfg(zoo.get('ViT-B-16-SigLIP'))
    assert choose(changed('vision_cfg.image_size', 384, siglip)).name == 'ViT-B-16-SigLIP-384'
    with pytest.raises(UserError, match='takes images of 224 pixels, and 448 is asked for'):
        choose(changed('vision_cfg.image_size', 448, siglip))


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(zoo.CONFIGS, 'tiny', TINY)


def state_of(config, **changes):
    rng = np.random.default_rng(0)
    return {
        name: rng.standard_normal(shape).astype(np.float32)
        for name, shape in open_clip.shapes(config).items()
    } | changes


def folder_of(tmp_path, state, said=None):
    folder = tmp_path / 'source'
    folder.mkdir(exist_ok=True)
    (folder / 'open_clip_model.safetensors').write_bytes(safetensors.numpy.save(state))
    if said:
        (folder / 'open_clip_config.json').write_text(json.dumps(said))
    return str(folder)


def convert(tmp_path, source, *options):
    tool.main([source, '--out', str(tmp_path / 'out'), *options])
    return weights_folder.load_clip_variables(tmp_path / 'out')


LARGER = dataclasses.replace(
    TINY,
    name='tiny-32',
    vision=dataclasses.replace(TINY.vision, image_size=32),
)


def test_weights_of_another_size_keep_it(tmp_path, tiny, capsys):
    state = state_of(LARGER, **{'text.positional_embedding': None})
    del state['text.positional_embedding']
    state['positional_embedding'] = np.ones((40, 8), np.float32)
    source = folder_of(tmp_path, state)
    config, params = convert(tmp_path, source, '--model', 'tiny')
    assert (config.image_size, config.text.context_length) == (32, 40)
    assert config.name == 'tiny-32-context40'
    np.testing.assert_array_equal(
        params['visual']['positional_embedding'], state['visual.positional_embedding']
    )
    out = capsys.readouterr().out
    assert 'for images of 32 pixels, tiny takes 16: 32 it is' in out
    assert 'for texts of 40 tokens, tiny takes 24: 40 it is' in out
    # Only where somebody says so are they resized.
    config, params = convert(tmp_path, source, '--model', 'tiny', '--image-size', '16')
    assert (config.name, params['visual']['positional_embedding'].shape) == (
        'tiny-context40',
        (5, 16),
    )
    assert 'resized from 32 to 16 pixels' in capsys.readouterr().out


@pytest.mark.parametrize(
    'said, words',
    [
        ({'model_cfg': changed('vision_cfg.image_size', 16, open_clip_config.model_cfg(TINY))},
         'has vision_cfg.image_size 16, but the position embeddings of the weights are for 32'),
        ({'model_cfg': changed('vision_cfg.image_size', 64, open_clip_config.model_cfg(TINY))},
         'has vision_cfg.image_size 64, but .* are for 32'),
        ({'preprocess_cfg': {'size': 16}}, 'preprocess_cfg.size 16, but the model takes .* 32'),
        ({'preprocess_cfg': {'size': [448, 448]}}, 'preprocess_cfg.size 448, but .* of 32 pixels'),
        ({'model_cfg': {'text_cfg': {'context_length': 77}}},
         'has text_cfg.context_length 77, but .* are for 24'),
    ],
)  # fmt: skip
def test_sizes_that_disagree_are_both_named(tmp_path, tiny, said, words):
    source = folder_of(tmp_path, state_of(LARGER), said)
    with pytest.raises(UserError, match=words) as error:
        convert(tmp_path, source, '--model', 'tiny')
    assert len(str(error.value)) < 400
    assert not (tmp_path / 'out').exists()


def test_sizes_that_agree_are_taken(tmp_path, tiny):
    cfg = open_clip_config.model_cfg(LARGER)
    said = {'model_cfg': cfg, 'preprocess_cfg': {'size': 32}}
    config, _ = convert(tmp_path, folder_of(tmp_path, state_of(LARGER), said))
    assert config == LARGER


def test_float64_scalars_in_lists_and_a_bias(tmp_path, tiny, capsys):
    state = {name: array.astype(np.float64) for name, array in state_of(TINY).items()}
    state['logit_scale'] = np.array([4.25])
    state['logit_bias'] = np.array([-9.5])
    source = folder_of(tmp_path, state)
    config, params = convert(tmp_path, source, '--model', 'tiny', '--check')
    assert config == dataclasses.replace(TINY, logit_bias=True)
    assert params['logit_scale'] == np.float32(4.25) and params['logit_scale'].shape == ()
    assert params['logit_bias'] == np.float32(-9.5) and params['logit_bias'].shape == ()
    np.testing.assert_array_equal(
        params['visual']['proj']['kernel'], state['visual.proj'].astype(np.float32)
    )
    assert 'the weights have a logit_bias' in capsys.readouterr().out
    said = open_clip_config.model_cfg(config)
    assert said['init_logit_bias'] == -10
    assert choose(said, 'tiny').logit_bias and not choose({}, 'tiny').logit_bias


@pytest.mark.parametrize(
    'changes, words',
    [
        ({'visual.proj': np.ones((16, 8), np.int8)}, 'visual.proj is of int8, expected numbers'),
        ({'visual.proj': np.full((16, 8), 1e300)}, 'visual.proj holds numbers that are not finite'),
        ({'logit_bias': np.ones(3, np.float32)}, r'logit_bias is \[3\], expected \[\]'),
        ({'logit_scale': np.ones((1, 1), np.float32)}, r'logit_scale is \[1, 1\], expected \[\]'),
        ({'text.ln_final.bias': np.ones(8, np.float32)}, 'ln_final.bias twice, once as text.ln_f'),
        ({'text_bias': np.ones(1, np.float32)}, 'unexpected text_bias'),
    ],
)
def test_arrays_that_do_not_fit(tmp_path, tiny, changes, words):
    with pytest.raises(UserError, match=words) as error:
        convert(tmp_path, folder_of(tmp_path, state_of(TINY) | changes), '--model', 'tiny')
    assert len(str(error.value)) < 400


def test_lines_stay_short_and_say_what_a_file_is(tmp_path):
    transformers = {
        f'{tower}_model.encoder.layers.{i}.self_attn.q_proj.weight': np.ones((1, 1), np.float32)
        for tower in ('vision', 'text')
        for i in range(200)
    }
    # Whether a model is named or not.
    with pytest.raises(
        UserError, match='does not say which model.* a CLIP of transformers'
    ) as error:
        convert(tmp_path, folder_of(tmp_path, transformers))
    assert len(str(error.value).replace(str(tmp_path), '/tmp/x')) < 400
    for state, words in (
        (transformers, 'a CLIP of transformers'),
        ({f'base_model.model.x.{i}.lora_A.weight': np.ones(1) for i in range(300)}, 'an adapter'),
        ({'visual.' + k: a for k, a in transformers.items()}, 'an image tower alone'),
        (
            {'z' * 290 + str(i): np.ones(1) for i in range(99)},
            'missing .* more; unexpected .* more',
        ),
    ):
        with pytest.raises(UserError, match=words) as error:
            convert(tmp_path, folder_of(tmp_path, state), '--model', 'ViT-B-32')
        assert len(str(error.value).replace(str(tmp_path), '/tmp/x')) < 400


@pytest.mark.parametrize(
    'model, said, remarks, words',
    [
        ('ViT-B-32', None, [], 'activation: GELU, as --model ViT-B-32 has it; nothing'),
        ('ViT-B-32-quickgelu', None, [], 'activation: QuickGELU, as --model ViT-B-32-q'),
        ('ViT-B-32', {'model_cfg': {'quick_gelu': True}}, [], 'QuickGELU, as open_clip_config'),
        (None, {'model_cfg': B32}, [torch_files.OPENAI], 'activation: GELU, as open_clip_'),
        ('ViT-B-32', None, [torch_files.OPENAI], 'QuickGELU, because the file has'),
        ('ViT-SO400M-16-SigLIP-i18n-256', None, [], 'GELU (tanh) for images, GELU for text'),
        ('ViT-B-16-SigLIP', None, [], 'activation: GELU, as --model'),
    ],
)  # fmt: skip
def test_the_activation_and_why(model, said, remarks, words):
    resolved = sources.Resolved((), 'x', config=said)
    config = open_clip_choice.choose_config(model, resolved)
    config, line = open_clip_choice.activation(config, model, resolved, remarks)
    assert words in line, line
    assert ('QuickGELU' in line) == (config.text.activation == 'quick_gelu')


def test_the_activation_of_a_tag():
    tag = sources.find_tag('ViT-B-32', 'openai')
    resolved = sources.Resolved((), 'x', tag=tag)
    config = open_clip_choice.choose_config(None, resolved)
    _, line = open_clip_choice.activation(config, None, resolved, [])
    assert line == 'activation: QuickGELU, as open_clip has it for ViT-B-32/openai'


def test_the_file_of_a_hub_is_looked_through_but_not_for_a_tag():
    said = {'model_cfg': {'anything': 1}}
    tag = sources.find_tag('ViT-B-32', 'laion2b_s34b_b79k')
    config = open_clip_choice.choose_config(None, sources.Resolved((), 'x', config=said, tag=tag))
    assert config == zoo.get('ViT-B-32')


def test_open_clips_own_words_are_all_known():
    # As its classes have them, each at its default: nothing else is another model.
    cfg = copy.deepcopy(B32)
    for tower, keys in (('vision_cfg', open_clip_keys._VISION), ('text_cfg', open_clip_keys._TEXT)):
        cfg[tower] = {k: key.default for k, key in keys.items()} | cfg[tower]
    assert choose(cfg) == zoo.get('ViT-B-32')
