import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import cpad_jax
from cpad_jax.commands import convert as tool
from cpad_jax.errors import UserError
from cpad_jax.models import zoo
from cpad_jax.models.config import CLIPConfig, ResNetConfig, TextConfig, ViTConfig
from cpad_jax.models.weights import folder as weights_folder
from cpad_jax.models.weights import (
    open_clip,
    open_clip_choice,
    open_clip_config,
    safetensors,
    sources,
)

ROOT = Path(__file__).parents[2]
TOKENIZERS = ROOT / 'tests' / 'fixtures' / 'tokenizers'

CONFIG = CLIPConfig(
    'tiny', 8, ViTConfig(image_size=16, patch_size=8, width=16, layers=1, heads=2),
    TextConfig(context_length=24, width=8, layers=1, heads=2),
)  # fmt: skip
QUICK = dataclasses.replace(
    CONFIG,
    name='tiny-quickgelu',
    vision=dataclasses.replace(CONFIG.vision, activation='quick_gelu'),
    text=dataclasses.replace(CONFIG.text, activation='quick_gelu'),
)
RESNET = dataclasses.replace(
    CONFIG,
    name='tiny-rn',
    vision=ResNetConfig(image_size=32, width=8, blocks=(1, 1, 1, 1), heads=4),
)


@pytest.fixture(autouse=True)
def tiny_models(monkeypatch):
    for config in (CONFIG, QUICK, RESNET):
        monkeypatch.setitem(zoo.CONFIGS, config.name, config)


def draw_state(config, dtype=np.float32):
    rng = np.random.default_rng(0)
    state = {
        name: rng.standard_normal(shape).astype(dtype)
        for name, shape in open_clip.shapes(config).items()
    }
    for name in [name for name in state if name.endswith('running_var')]:
        state[name] = np.abs(state[name])
        state[name.replace('running_var', 'num_batches_tracked')] = np.array(7, np.int64)
    return state


def write(path, state):
    stored = {name: safetensors.Stored(array) for name, array in state.items()}
    safetensors.write(path, stored)
    return path


def convert(*arguments):
    tool.main([str(argument) for argument in arguments])


@pytest.mark.parametrize('config', [CONFIG, RESNET], ids=['vit', 'resnet'])
@pytest.mark.parametrize('dtype', [np.float32, np.float16, ml_dtypes.bfloat16])
def test_there_and_back_bit_for_bit(tmp_path, config, dtype):
    state = draw_state(config, dtype)
    source = write(tmp_path / 'open_clip_model.safetensors', state)
    convert(source, '--model', config.name, '--out', tmp_path / 'ours', '--check')
    loaded, params = weights_folder.load_clip_variables(tmp_path / 'ours')
    assert loaded == config
    assert {leaf.dtype for leaf in weights_folder.flatten(params).values()} == {
        np.dtype(np.float32)
    }
    convert(tmp_path / 'ours', '--to-openclip', '--out', tmp_path / 'back')
    back = safetensors.read(tmp_path / 'back' / 'open_clip_model.safetensors')
    assert back.keys() == state.keys()
    for name, array in state.items():
        assert back[name].dtype == array.dtype and back[name].shape == array.shape
        assert back[name].tobytes() == array.tobytes(), name
    said = json.loads((tmp_path / 'back' / 'open_clip_config.json').read_text())
    assert said['model_cfg']['embed_dim'] == 8
    assert said['preprocess_cfg']['interpolation'] == 'bicubic'


def test_what_is_written(tmp_path, capsys):
    source = write(tmp_path / 'open_clip_model.safetensors', draw_state(CONFIG))
    convert(source, '--model', 'tiny', '--out', tmp_path / 'out', '--dtype', 'float16', '--check')
    out = capsys.readouterr().out
    sha256 = weights_folder.file_sha256(tmp_path / 'out' / 'weights.safetensors')
    assert f'sha256 {sha256}' in out and 'every number is the same' in out
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        '.cpad_jax.json', 'README.md', 'config.json', 'weights.safetensors'
    ]  # fmt: skip
    card = (tmp_path / 'out' / 'README.md').read_text()
    assert sha256 in card and weights_folder.file_sha256(source) in card
    assert 'open_clip_model.safetensors' in card and 'float32' in card
    stored = safetensors.read(tmp_path / 'out' / 'weights.safetensors')
    assert {array.dtype for array in stored.values()} == {np.dtype(np.float16)}


def test_a_folder_says_which_model_it_is(tmp_path):
    convert(write(tmp_path / 'x.safetensors', draw_state(QUICK)), '--model', 'tiny-quickgelu',
            '--out', tmp_path / 'first')  # fmt: skip
    convert(tmp_path / 'first', '--to-openclip', '--out', tmp_path / 'theirs')
    convert(tmp_path / 'theirs', '--out', tmp_path / 'second')
    assert weights_folder.load_clip_variables(tmp_path / 'second')[0] == QUICK
    # open_clip's own files say nothing of what is as it is by default.
    path = tmp_path / 'theirs' / 'open_clip_config.json'
    said = json.loads(path.read_text())
    for cfg, words, fits in (
        ({**said['model_cfg'], 'embed_dim': 9}, 'fits none that is known', ()),
        ({**said['model_cfg'], 'vision_cfg': 'small'}, 'fits none that is known', ()),
        ({**said['model_cfg'], 'quick_gelu': False}, 'says nothing of it', ('--model', QUICK.name)),
    ):
        path.write_text(json.dumps({'model_cfg': cfg}))
        with pytest.raises(UserError, match=words):
            convert(tmp_path / 'theirs', *fits, '--out', tmp_path / 'third')
    with pytest.raises(UserError, match='convert them first'):
        cpad_jax.load_clip(tmp_path / 'theirs')


def test_every_model_is_known_by_its_description():
    for config in zoo.CONFIGS.values():
        assert open_clip_config.find(open_clip_config.model_cfg(config), zoo.CONFIGS.values()) == [
            config
        ]
    # As open_clip writes ViT-B-32, with defaults left out.
    cfg = {'embed_dim': 512, 'vision_cfg': {'patch_size': 32}, 'text_cfg': {}}
    assert open_clip_config.find(cfg, zoo.CONFIGS.values()) == [zoo.get('ViT-B-32')]


def test_nothing_else_is_written_over(tmp_path):
    source = write(tmp_path / 'open_clip_model.safetensors', draw_state(CONFIG))
    photos = tmp_path / 'photos'
    photos.mkdir()
    (photos / 'beach.jpg').write_bytes(b'x')
    for out in (photos, source):
        with pytest.raises(UserError, match='something else is there'):
            convert(source, '--model', 'tiny', '--out', out)
    assert (photos / 'beach.jpg').exists()
    for _ in range(2):
        convert(source, '--model', 'tiny', '--out', tmp_path / 'out')


def test_a_folder_says_what_it_needs(tmp_path):
    folder = tmp_path / 'model'
    folder.mkdir()
    write(folder / 'open_clip_model.safetensors', draw_state(CONFIG))
    (folder / 'README.md').write_text('---\nlicense: mit\n---\n# A model\n')
    said = {
        'model_cfg': {'quick_gelu': True},
        'preprocess_cfg': {'mean': [0.5, 0.5, 0.5], 'resize_mode': 'squash'},
    }
    (folder / 'open_clip_config.json').write_text(json.dumps(said))
    convert(folder, '--model', 'tiny', '--out', tmp_path / 'out')
    config = weights_folder.load_clip_variables(tmp_path / 'out')[0]
    assert config == dataclasses.replace(QUICK, mean=(0.5, 0.5, 0.5), resize='squash')
    assert '**Licence**: mit' in (tmp_path / 'out' / 'README.md').read_text()


def test_a_tag_says_which_model_it_is(tmp_path, monkeypatch):
    source = write(tmp_path / 'open_clip_model.safetensors', draw_state(CONFIG))
    tag = sources.Tag('tiny', 'openai', hub='x/y', quick_gelu=True, interpolation='bilinear')
    resolved = sources.Resolved((source,), 'https://huggingface.co/x/y at abc', tag=tag)
    monkeypatch.setattr(sources, 'resolve', lambda text: resolved)
    convert('tiny/openai', '--out', tmp_path / 'out')
    config = weights_folder.load_clip_variables(tmp_path / 'out')[0]
    assert config == dataclasses.replace(QUICK, interpolation='bilinear')


@pytest.mark.parametrize('name, quick', [
    ('ViT-B-32/openai', True), ('ViT-B-32/laion400m_e32', True),
    ('ViT-B-32/laion2b_s34b_b79k', False), ('ViT-B-16/laion400m_e32', False),
    ('ViT-L-14/datacomp_xl_s13b_b90k', False), ('ViT-B-32-quickgelu/metaclip_400m', True),
    ('RN50/yfcc15m', True), ('ViT-L-14/dfn2b_s39b', False),
])  # fmt: skip
def test_tags_that_need_quick_gelu(name, quick):
    model, _, tag = name.partition('/')
    resolved = sources.Resolved((), name, tag=sources.find_tag(model, tag))
    config = open_clip_choice.choose_config(None, resolved)
    assert (config.text.activation == 'quick_gelu') == quick


def test_a_model_with_its_own_tokenizer(tmp_path):
    text = dataclasses.replace(CONFIG.text, tokenizer='file', vocab_size=100, end_token=1)
    config = dataclasses.replace(CONFIG, name='tiny-file', text=text)
    zoo.CONFIGS['tiny-file'] = config
    source = write(tmp_path / 'open_clip_model.safetensors', draw_state(config))
    try:
        with pytest.raises(UserError, match='has a tokenizer of its own.*--tokenizer'):
            convert(source, '--model', 'tiny-file', '--out', tmp_path / 'out')
        assert not (tmp_path / 'out').exists()
        broken = tmp_path / 'tokenizer.json'
        broken.write_text('{}')
        with pytest.raises(UserError, match='not a tokenizer'):
            convert(
                source, '--model', 'tiny-file', '--out', tmp_path / 'out', '--tokenizer', broken
            )
        assert not (tmp_path / 'out').exists()
    finally:
        del zoo.CONFIGS['tiny-file']


def test_what_does_not_fit_is_named(tmp_path):
    source = write(tmp_path / 'open_clip_model.safetensors', draw_state(CONFIG))
    junk = tmp_path / 'model.pt'
    junk.write_bytes(b'x' * 1000)
    for arguments, words in (
        ((source, '--model', 'testing'), r'visual\.proj is \[16, 8\], expected \[64, 32\]'),
        ((source, '--model', 'ViT-B-99'), 'did you mean'),
        ((source,), 'does not say which model it is: give --model'),
        ((junk, '--model', 'testing'), r'model\.pt'),
        ((tmp_path / 'none.safetensors', '--model', 'testing'), 'there is no file'),
    ):
        with pytest.raises(UserError, match=words) as error:
            convert(*arguments, '--out', tmp_path / 'out')
        assert '\n' not in str(error.value)
    assert not (tmp_path / 'out').exists()
    assert not [path for path in tmp_path.iterdir() if 'partial' in path.name]


def test_check_sees_other_numbers(tmp_path, monkeypatch):
    source = write(tmp_path / 'open_clip_model.safetensors', draw_state(CONFIG))
    right = tool.weights_folder.load_clip_variables

    def wrong(folder):
        config, params = right(folder)
        params['visual']['proj']['kernel'][0, 0] += 1
        return config, params

    monkeypatch.setattr(tool.weights_folder, 'load_clip_variables', wrong)
    with pytest.raises(UserError, match='visual.proj was read back with other numbers'):
        tool.main([str(source), '--model', 'tiny', '--out', str(tmp_path / 'out'), '--check'])
    assert not (tmp_path / 'out').exists()


def test_on_the_command_line(tmp_path):
    command = [
        sys.executable,
        ROOT / 'tools' / 'convert_openclip_weights.py',
        'none.safetensors',
        '--model',
        'testing',
        '--out',
        'out',
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == ''
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith('error: there is no file none.safetensors')
    assert not (tmp_path / 'out').exists()


def test_what_was_converted_is_used(tmp_path):
    source = write(tmp_path / 'open_clip_model.safetensors', draw_state(CONFIG))
    convert(source, '--model', 'tiny', '--out', tmp_path / 'out')
    model = cpad_jax.load_clip(tmp_path / 'out')
    texts = model.encode_text(model.tokenize(['a cat', 'two dogs']), normalize=True)
    assert texts.shape == (2, 8) and np.abs(texts[0] - texts[1]).max() > 0.01
