"""CLIPs by their tags: fetched from a hub, which is a folder here, converted and cached."""

import dataclasses
import json
import shutil
import sys
from concurrent import futures

import numpy as np
import pytest
import safetensors.numpy

import cpad_jax
from cpad_jax.errors import UserError
from cpad_jax.models import conversion, zoo
from cpad_jax.models.config import CLIPConfig, TextConfig, ViTConfig
from cpad_jax.models.weights import folder as weights_folder
from cpad_jax.models.weights import open_clip, open_clip_config, sources
from tests.support import fake_hub

CONFIG = CLIPConfig(
    'ViT-tiny', 8, ViTConfig(image_size=16, patch_size=8, width=16, layers=1, heads=2),
    TextConfig(context_length=24, width=8, layers=1, heads=2),
)  # fmt: skip
QUICK = dataclasses.replace(
    CONFIG,
    name='ViT-tiny-quickgelu',
    vision=dataclasses.replace(CONFIG.vision, activation='quick_gelu'),
    text=dataclasses.replace(CONFIG.text, activation='quick_gelu'),
)
TAGS = {
    'ViT-tiny': {
        'drawn_e1': sources.Tag('ViT-tiny', 'drawn_e1', 'org/tiny', mean=(0.5, 0.25, 0.125)),
        'quick': sources.Tag('ViT-tiny', 'quick', 'org/quick', quick_gelu=True),
        'elsewhere': sources.Tag('ViT-tiny', 'elsewhere', url='https://example.org/x.pt'),
    },
    'ViT-none': {},
}


def draw_state():
    rng = np.random.default_rng(0)
    shapes = open_clip.shapes(CONFIG).items()
    return {name: rng.standard_normal(shape).astype(np.float16) for name, shape in shapes}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    for config in (CONFIG, QUICK):
        monkeypatch.setitem(zoo.CONFIGS, config.name, config)
    monkeypatch.setattr(sources, 'tags', lambda: TAGS)
    monkeypatch.setenv('CPAD_CACHE', str(tmp_path / 'cache'))
    (tmp_path / 'here').mkdir()
    monkeypatch.chdir(tmp_path / 'here')
    module = fake_hub.Hub(tmp_path / 'hub')
    monkeypatch.setitem(sys.modules, 'huggingface_hub', module)
    for name in ('org/tiny', 'org/quick', 'org/described'):
        folder = module.root / name
        folder.mkdir(parents=True)
        safetensors.numpy.save_file(draw_state(), folder / 'open_clip_model.safetensors')
    (folder / 'open_clip_config.json').write_text(
        json.dumps({'model_cfg': open_clip_config.model_cfg(QUICK)})
    )
    return module


@pytest.mark.parametrize(
    'source, folder, config',
    [
        ('ViT-tiny/drawn_e1', 'ViT-tiny/drawn_e1',
         dataclasses.replace(CONFIG, mean=(0.5, 0.25, 0.125))),
        ('ViT-tiny/DRAWN-e1', 'ViT-tiny/drawn_e1',
         dataclasses.replace(CONFIG, mean=(0.5, 0.25, 0.125))),
        ('ViT-tiny/quick', 'ViT-tiny/quick', QUICK),
        ('hf-hub:org/described', 'hf-hub/org--described', QUICK),
    ],
)  # fmt: skip
def test_a_clip_is_loaded_by_its_tag(hub, tmp_path, capsys, source, folder, config):
    clip = cpad_jax.load_clip(source)
    assert clip.config == config
    state = draw_state()
    np.testing.assert_array_equal(
        clip.params['visual']['proj']['kernel'], state['visual.proj'].astype(np.float32)
    )
    assert float(clip.params['logit_scale']) == float(state['logit_scale'])
    told = capsys.readouterr()
    place = tmp_path / 'cache' / 'clip' / folder
    assert told.out == '' and told.err.count('\n') == 1
    assert told.err.startswith('fetching ') and f'into {place}, once' in told.err
    assert clip.sha256 == weights_folder.file_sha256(place / 'weights.safetensors')
    # From now on neither the hub nor what it has cached is needed, and nothing is printed.
    hub.online, hub.cached = False, None
    again = cpad_jax.load_clip(source)
    assert again.sha256 == clip.sha256 and again.config == config
    assert capsys.readouterr() == ('', '')
    assert not list((tmp_path / 'here').iterdir())


def test_training_takes_a_tag_where_it_takes_a_folder(hub, tmp_path):
    from cpad_jax.models import face_features, pretrained

    place = tmp_path / 'cache' / 'clip' / 'ViT-tiny' / 'quick'
    assert pretrained.find_clip('ViT-tiny/quick') == place
    assert face_features.other_clip('ViT-tiny/quick') == place


def test_a_folder_of_that_name_comes_first(hub, tmp_path):
    place = cpad_jax.models.pretrained.find_clip('ViT-tiny/quick')
    shutil.copytree(place, tmp_path / 'here' / 'ViT-tiny' / 'drawn_e1')
    assert cpad_jax.load_clip('ViT-tiny/drawn_e1').config == QUICK
    assert not (place.parent / 'drawn_e1').exists()


@pytest.mark.parametrize(
    'source, words',
    [
        ('ViT-tiny', 'is a model, not its weights: add one of its tags, such as ViT-tiny/drawn_e1'),
        ('ViT-tiny/nothing', 'ViT-tiny has no tag nothing; its tags are drawn_e1, quick, elsew'),
        ('ViT-tinny/quick', 'open_clip has no model ViT-tinny; did you mean ViT-tiny/quick'),
        ('ViT-tiny/elsewhere', r'download https://example\.org/x\.pt and give the file'),
        ('ViT-none/openai', 'open_clip has no weights of it'),
        ('hf-hub:../x', 'is no repository; expected hf-hub:ORGANISATION/NAME'),
        ('hf-hub:org/missing', 'does not exist or is not open to you'),
        ('weights/b32', 'there is no folder weights/b32; expected one with config.json'),
        ('nothing', r'no CLIP of that name comes with the package \(ViT-cast-16, ViT-cast-16-128'),
    ],
)  # fmt: skip
def test_other_names_are_refused(hub, tmp_path, source, words):
    with pytest.raises(UserError, match=words) as error:
        cpad_jax.load_clip(source)
    assert len(str(error.value)) < 400
    assert not list((tmp_path / 'cache').rglob('config.json'))


def test_without_a_network_the_error_says_what_to_do(hub, tmp_path):
    hub.online = False
    with pytest.raises(UserError) as error:
        cpad_jax.load_clip('ViT-tiny/quick')
    assert str(error.value) == (
        'https://huggingface.co/org/quick cannot be reached (ConnectionError: Name or service not '
        'known) and was not downloaded before; connect, or copy its files into a folder and give '
        'the folder'
    )
    # Following that advice leads on to the conversion.
    folder = tmp_path / 'copied'
    shutil.copytree(hub.root / 'org' / 'described', folder)
    with pytest.raises(UserError, match='convert them first'):
        cpad_jax.load_clip(folder)
    conversion.convert(folder, tmp_path / 'ours')
    assert cpad_jax.load_clip(tmp_path / 'ours').config == QUICK


def test_a_download_that_fails_leaves_nothing_that_would_be_taken_for_a_model(hub, tmp_path):
    file = hub.root / 'org' / 'quick' / 'open_clip_model.safetensors'
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    with pytest.raises(UserError):
        cpad_jax.load_clip('ViT-tiny/quick')
    assert not (tmp_path / 'cache' / 'clip' / 'ViT-tiny' / 'quick').exists()
    file.write_bytes(whole)
    assert cpad_jax.load_clip('ViT-tiny/quick').config == QUICK


def test_those_who_load_at_once_convert_once(hub, capsys):
    with futures.ThreadPoolExecutor(4) as pool:
        clips = list(pool.map(cpad_jax.load_clip, ['ViT-tiny/quick'] * 4))
    assert len({clip.sha256 for clip in clips}) == 1
    assert capsys.readouterr().err.count('converting') == 1


def test_models_are_listed_with_their_weights(hub):
    models = cpad_jax.list_models()
    assert models['ViT-tiny'] == ('ViT-tiny/drawn_e1', 'ViT-tiny/quick')  # Not what is elsewhere.
    assert models['ViT-cast-16'] == ('ViT-cast-16',)


def test_every_model_of_the_zoo_is_listed():
    models = cpad_jax.list_models()
    assert list(models)[:2] == ['ViT-cast-16', 'ViT-cast-16-128']
    assert models.keys() == zoo.CONFIGS.keys()
    assert 'ViT-B-32/laion2b_s34b_b79k' in models['ViT-B-32']
    assert models['testing'] == ()
    for name in ('ViT-B-32', 'RN50', 'ViT-SO400M-14-SigLIP'):
        for source in models[name]:
            assert conversion.is_remote(source)
