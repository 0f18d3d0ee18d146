import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.features.store import FeatureStore
from cpad_jax.models import clip_pad_export, seals, visual_prompts, zoo
from cpad_jax.models.clip import CLIP
from cpad_jax.models.clip_pad_api import PersonalizedCLIP
from cpad_jax.models.weights import folder
from tests.support import tiny_cpad
from tests.support.sources import Records

CONFIG = zoo.get('testing')
SIGLIP = dataclasses.replace(
    CONFIG.vision, class_token=False, pooling='map', projection='none', width=32
)


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def embed(clip, params, pixels):
    run = jax.jit(lambda p, x: clip.apply({'params': p}, x, method='encode_image'))
    return np.asarray(run(params, pixels))


@pytest.fixture(scope='module')
def model():
    return tiny_cpad.make()


@pytest.fixture(scope='module')
def prompted(model):
    """The same model, and in it three prompts."""
    saved = model.saved
    params = {**saved.params, 'visual_prompts': draw(3, 64)}
    sizes = dataclasses.replace(saved.config, visual_prompts=3)
    return PersonalizedCLIP(model.clip, dataclasses.replace(saved, config=sizes, params=params))


def test_the_class_token_sees_the_prompts_as_it_sees_patches(model):
    """By hand: a tower of more positions, whose last patches are the prompts."""
    clip, prompts, pixels = model.clip, draw(9, 64), draw(2, 32, 32, 3)
    tower = clip.prompted(prompts)
    found = tower.encode_image(pixels)
    assert np.abs(found - clip.encode_image(pixels)).max() > 1e-2
    # 25 patches of a taller picture: the last nine are nothing but their positions.
    large = dataclasses.replace(CONFIG, vision=dataclasses.replace(CONFIG.vision, image_size=40))
    visual = clip.params['visual']
    own = np.asarray(visual['positional_embedding'])
    visual = {**visual, 'positional_embedding': np.concatenate([own, prompts])}
    order = np.zeros((2, 25, 8, 8, 3), np.float32)
    order[:, :16] = pixels.reshape(2, 4, 8, 4, 8, 3).swapaxes(2, 3).reshape(2, 16, 8, 8, 3)
    tall = order.reshape(2, 5, 5, 8, 8, 3).swapaxes(2, 3).reshape(2, 40, 40, 3)
    params = {**clip.params, 'visual': visual}
    expected = embed(CLIP(large), params, tall)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    'vision', [dataclasses.replace(CONFIG.vision, pooling='mean', class_token=False), SIGLIP]
)
def test_what_is_read_off_is_never_a_prompt(vision):
    config = dataclasses.replace(CONFIG, vision=vision)
    clip = CLIP(config)
    inputs = jnp.zeros((1, 32, 32, 3)), jnp.zeros((1, 8), int)
    params = tiny_cpad.randomise(jax.jit(clip.init)(jax.random.key(0), *inputs)['params'], 0)
    # Blocks that add nothing: then prompts change nothing, wherever the result is read off.
    visual = dict(params['visual'])
    visual['transformer'] = jax.tree.map(np.zeros_like, visual['transformer'])
    params = {**params, 'visual': visual}
    other = visual_prompts.into(params, draw(2, vision.width))
    plain, seen = (embed(clip, p, draw(2, 32, 32, 3)) for p in (params, other))
    np.testing.assert_allclose(plain, seen, atol=1e-6)


def test_prompts_start_as_large_as_patches_do():
    found = np.asarray(visual_prompts.initial(jax.random.key(0), 50, CONFIG))
    most = (6 / (3 * 8 * 8 + 64)) ** 0.5
    assert found.shape == (50, 64) and 0.95 * most < np.abs(found).max() <= most
    assert abs(found.mean()) < 0.02 * most + 0.01


def test_a_prompted_export_comes_back_and_embeds_clips_alike(model, prompted, tmp_path):
    clip_pad_export.save_model(tmp_path / 'model', prompted.saved)
    loaded = PersonalizedCLIP(
        model.clip, clip_pad_export.load_model(tmp_path / 'model', CONFIG, model.clip.sha256)
    )
    frames = np.random.default_rng(0).integers(0, 256, (3, 40, 50, 3), np.uint8)
    found = loaded.encode_clip(frames)
    np.testing.assert_array_equal(found, prompted.encode_clip(frames))
    assert np.abs(found - model.encode_clip(frames)).max() > 1e-2
    assert loaded.sha256 == prompted.sha256 != model.sha256
    # Faces and texts are the frozen CLIP's.
    faces = [frames[0], frames[1]]
    np.testing.assert_array_equal(
        loaded.face_features(faces, cropped=True), model.face_features(faces, cropped=True)
    )
    np.testing.assert_array_equal(loaded.encode_query('a cat'), model.encode_query('a cat'))


def test_without_prompts_nothing_is_new(model, tmp_path):
    assert model.image_clip is model.clip
    clip_pad_export.save_model(tmp_path, model.saved)
    values = seals.bare(json.loads((tmp_path / 'config.json').read_text()))
    assert 'visual_prompts' not in values
    assert not any('prompt' in name for name in folder.parameter_shapes(CONFIG))
    assert not any(
        'prompt' in name for name in clip_pad_export.parameter_shapes(model.saved.config, CONFIG)
    )
    assert clip_pad_export.load_model(tmp_path, CONFIG, 'c' * 64).config == model.saved.config
    # An export that names prompts must hold them.
    (tmp_path / 'config.json').write_text(json.dumps(values | {'visual_prompts': 3}))
    with pytest.raises(UserError, match='missing params/visual_prompts'):
        clip_pad_export.load_model(tmp_path, CONFIG, 'c' * 64)


def test_features_of_one_tower_are_never_served_to_another(model, prompted, tmp_path):
    from cpad_jax.media import images

    rng = np.random.default_rng(0)
    frames = [images.encode_jpeg(rng.integers(0, 256, (30, 40, 3), np.uint8)) for _ in range(2)]
    clips = [{'clip_id': f'c{n}', 'frames': frames} for n in range(2)]
    more = prompted.clip.prompted(prompted.saved.params['visual_prompts'] + 1e-6)
    towers = [model.clip, prompted.image_clip, more]
    found = [
        FeatureStore(tower, tmp_path, batch_size=4, frames_per_clip=2).clips(Records(clips))
        for tower in towers
    ]
    assert len(list(tmp_path.iterdir())) == 3
    assert np.abs(found[0].embeddings - found[1].embeddings).max() > 1e-2
    expected = prompted.encode_clip(np.stack([images.decode_jpeg(frame) for frame in frames]))
    np.testing.assert_allclose(found[1].embeddings[0], expected, atol=1e-3)
    again = FeatureStore(prompted.image_clip, tmp_path, batch_size=4, frames_per_clip=2).clips(
        Records([None] * 2)
    )
    np.testing.assert_array_equal(again.embeddings, found[1].embeddings)


def test_only_a_vision_transformer_can_be_prompted():
    with pytest.raises(UserError, match='image tower of RN50 is no vision transformer') as error:
        visual_prompts.initial(jax.random.key(0), 5, zoo.get('RN50'))
    assert '\n' not in str(error.value)
    visual_prompts.check(0, zoo.get('RN50'))
    with pytest.raises(UserError, match='visual_prompts is -1, expected 0 or more'):
        visual_prompts.check(-1, CONFIG)
