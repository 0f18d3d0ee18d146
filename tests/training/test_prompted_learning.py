"""Identity learning with visual prompts: what moves, what stays, and that it learns."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

import cpad_jax
from cpad_jax.errors import UserError
from cpad_jax.features.store import IdentityFeatures
from cpad_jax.media import images
from cpad_jax.models import zoo
from cpad_jax.models.clip import CLIP
from cpad_jax.models.weights import folder as weights_folder
from cpad_jax.training import identity, loop, target_photos
from tests.support import tiny_cpad
from tests.support.train_options import USUAL

CONFIG = zoo.get('testing')
PEOPLE = 4


def make_config(backbone, prompts):
    return ml_collections.ConfigDict({
        'seed': 0, 'dtype': 'float32', 'backbone': str(backbone), 'features': {'face': 'clip'},
        'model': {
            'num_tokens': 1, 'adapter_width': 16, 'adapter_layers': 0, 'rank': 0,
            'default_token': True, 'name_memory': False, 'name_width': 0, 'visual_prompts': prompts,
        },
        'train': {
            **USUAL,
            'steps': 120, 'people_per_batch': 4, 'images_per_person': 2, 'max_references': 1,
            'learning_rate': 1e-2, 'weight_decay': 0.1, 'warmup_steps': 2, 'temperature': 0.07,
            'remat': False, 'checkpoint_every': 1000, 'log_every': 20,
            'loss': {'identity': 1.0}, 'forms': {'image': 1},
        },
    })  # fmt: skip


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('clip')
    inputs = jnp.zeros((1, 32, 32, 3)), jnp.zeros((1, 8), int)
    params = jax.jit(CLIP(CONFIG).init)(jax.random.key(0), *inputs)['params']
    weights_folder.save_clip(folder, CONFIG, tiny_cpad.randomise(params, 0))
    return folder


@pytest.fixture(scope='module')
def clip(folder):
    return cpad_jax.load_clip(folder)


@pytest.fixture(scope='module')
def photos():
    """Three photos of each person: one colour and noise."""
    rng = np.random.default_rng(0)
    colours = rng.integers(30, 220, (PEOPLE, 1, 1, 3)).repeat(3, axis=0)
    pictures = np.clip(colours + rng.normal(0, 12, (3 * PEOPLE, 40, 36, 3)), 0, 255)
    return [{'image': images.encode_jpeg(p.astype(np.uint8))} for p in pictures]


@pytest.fixture(scope='module')
def features(clip, photos):
    pictures = [images.decode_jpeg(photo['image']) for photo in photos]
    embedded = clip.encode_image(clip.preprocess(pictures), normalize=True)
    labels = np.repeat(np.arange(PEOPLE), 3)
    return IdentityFeatures(
        embedded.astype(np.float16), embedded.astype(np.float16), labels,
        np.array([f'photo {n}' for n in range(len(photos))]),
        np.array([f'Name {n}' for n in range(PEOPLE)]), np.arange(PEOPLE),
    )  # fmt: skip


@pytest.fixture(scope='module')
def task(clip, features, photos, folder):
    return identity.IdentityLearning(make_config(folder, 5), clip, features, photos)


@pytest.fixture(scope='module')
def batch(task):
    return task._batches.batch(3)


def test_targets_are_what_the_prompted_clip_says_of_the_photos(task, clip, photos, batch):
    assert 'image' not in batch and batch['squares'].dtype == np.uint8
    pictures = [images.decode_jpeg(photos[n]['image']) for n in batch['target']]
    pixels = clip.preprocess(pictures)
    np.testing.assert_allclose(
        target_photos.pixels(batch['squares'], CONFIG), pixels, atol=1e-5, rtol=1e-5
    )
    params = task.init_params(jax.random.key(0))
    assert params['visual_prompts'].shape == (5, 64)
    expected = clip.prompted(params['visual_prompts']).encode_image(pixels, normalize=True)
    found = jax.jit(task._targets)(params, batch, task.frozen)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_prompts_get_a_gradient_and_clip_holds_still(task, batch):
    params = task.init_params(jax.random.key(0))
    labels = weights_folder.flatten(task.label_params(params))
    assert labels['visual_prompts'] == 'visual_prompts'
    assert not any(name.startswith('visual/') for name in labels)
    optimiser = loop.make_optimiser(task, task.config, params)
    grads, _ = jax.jit(jax.grad(task.loss, has_aux=True))(
        params, batch, jax.random.key(0), task.frozen
    )
    assert (np.abs(grads['visual_prompts']).max(axis=1) > 0).all()
    # Against a small change, by hand.
    way = np.random.default_rng(1).normal(size=(5, 64)).astype(np.float32)
    loss, prompts = jax.jit(task.loss), params['visual_prompts']
    ends = [
        float(loss({**params, 'visual_prompts': prompts + s * way}, batch, jax.random.key(0))[0])
        for s in (-1e-2, 1e-2)
    ]
    slope = float(np.sum(np.asarray(grads['visual_prompts']) * way))
    assert slope == pytest.approx((ends[1] - ends[0]) / 2e-2, rel=0.05, abs=1e-3)
    updates, _ = optimiser.update(grads, optimiser.init(params), params)
    assert np.abs(updates['visual_prompts']).max() > 0
    assert set(updates) == {'adapter', 'default_token', 'visual_prompts'}


def test_learns_and_exports_what_the_prompted_tower_says(task, clip, features, photos, tmp_path):
    learned = loop.run(task, task.config, tmp_path)
    before = task.init_params(jax.random.key(0))['visual_prompts']
    assert np.abs(np.asarray(learned['visual_prompts']) - before).max() > 1e-2
    task.export(learned, tmp_path / 'model')
    model = cpad_jax.load(tmp_path)
    np.testing.assert_array_equal(model.saved.params['visual_prompts'], learned['visual_prompts'])
    pictures = [images.decode_jpeg(photo['image']) for photo in photos]
    gallery = np.stack([model.encode_clip(picture[None]) for picture in pictures])
    shown = features.faces[::3].astype(np.float32)
    tokens = model.tokens(shown[:, None], np.ones((PEOPLE, 1)))
    asked = model.encode_queries(['a photo of [TOK]'] * PEOPLE, tokens)
    best = features.labels[np.argmax(asked @ gallery.T, axis=1)]
    assert (best == np.arange(PEOPLE)).mean() >= 3 / 4
    # The photos kept for fine-tuning lie among the searched clips' embeddings.
    nearest = (model.saved.background @ gallery.T).max(axis=1)
    np.testing.assert_allclose(nearest, 1, atol=1e-4)


def test_without_prompts_the_image_tower_does_not_run(clip, features, folder):
    config = make_config(folder, 0)
    without = identity.IdentityLearning(config, clip, features)
    del config.model.visual_prompts
    before = identity.IdentityLearning(config, clip, features)
    assert without.cpad_config == before.cpad_config and 'visual' not in without.frozen
    batch = without._batches.batch(3)
    assert 'squares' not in batch
    params, older = (task.init_params(jax.random.key(0)) for task in (without, before))
    assert 'visual_prompts' not in params
    jax.tree.map(np.testing.assert_array_equal, params, older)


def test_a_residual_network_is_refused_in_one_line(clip, features, folder):
    config = make_config(folder, 5)
    resnet = type('Other', (), {'config': zoo.get('RN50'), 'sha256': 'a', 'params': clip.params})
    with pytest.raises(
        UserError, match='visual_prompts is 5, but the image tower of RN50'
    ) as error:
        identity.IdentityLearning(config, resnet, features)
    assert '\n' not in str(error.value)
