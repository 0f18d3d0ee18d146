import dataclasses

import jax
import numpy as np
import pytest
from PIL import Image

import cpad_jax
from cpad_jax.errors import UserError
from cpad_jax.models import catalogue, clip, zoo
from cpad_jax.models.config import CLIPConfig, TextConfig, ViTConfig
from cpad_jax.models.weights import folder as weights_folder
from cpad_jax.text import tokenizer

CONFIG = CLIPConfig(
    'tiny', 8, ViTConfig(image_size=16, patch_size=8, width=16, layers=1, heads=2),
    TextConfig(context_length=24, width=8, layers=1, heads=2), resize='squash',
)  # fmt: skip


@pytest.fixture(scope='module')
def params():
    rng = np.random.default_rng(0)
    shapes = weights_folder.parameter_shapes(CONFIG).items()
    return weights_folder.unflatten(
        {k: 0.5 * rng.standard_normal(s, np.float32) for k, s in shapes}
    )


@pytest.fixture(scope='module')
def folder(params, tmp_path_factory):
    folder = tmp_path_factory.mktemp('clip')
    weights_folder.save_clip(folder, CONFIG, params)
    return folder


@pytest.fixture(scope='module')
def model(folder):
    return cpad_jax.load_clip(folder)


def test_what_is_loaded_is_what_was_saved(model, folder, params):
    assert model.config == CONFIG
    assert model.sha256 == weights_folder.file_sha256(folder / 'weights.safetensors')
    assert len(model.sha256) == 64
    np.testing.assert_array_equal(model.params['visual']['proj']['kernel'],
                                  params['visual']['proj']['kernel'])  # fmt: skip


@pytest.fixture(scope='module')
def seventy(params):
    """Pictures and texts, and what the towers make of all of them at once."""
    pixels = np.random.default_rng(1).standard_normal((70, 16, 16, 3), np.float32)
    ids = tokenizer.tokenize([f'a person number {i}' for i in range(70)], 24)[:, :8]
    apply = jax.jit(clip.CLIP(CONFIG).apply, static_argnames=('normalize', 'method'))
    images = apply({'params': params}, pixels, method='encode_image')
    texts = apply({'params': params}, ids, normalize=True, method='encode_text')
    return pixels, np.asarray(images), np.asarray(texts)


@pytest.mark.parametrize('count', [0, 1, 3, 70])
def test_any_number_of_images(model, seventy, count):
    pixels, right, _ = seventy
    out = model.encode_image(pixels[:count])
    assert out.shape == (count, 8) and out.dtype == np.float32
    np.testing.assert_allclose(out, right[:count], atol=1e-5)
    assert count < 2 or np.ptp(out, axis=0).max() > 0.1


@pytest.mark.parametrize('count', [0, 1, 70])
def test_any_number_of_texts(model, seventy, count):
    ids = model.tokenize([f'a person number {i}' for i in range(count)])
    assert ids.shape == (count, 8)
    out = model.encode_text(ids, normalize=True)
    np.testing.assert_allclose(out, seventy[2][:count], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(out, axis=1), 1, rtol=1e-5)


def test_padded_length_does_not_matter(model):
    short = model.tokenize('a cat')
    whole = tokenizer.tokenize('a cat', CONFIG.text.context_length)
    assert short.shape == (1, 8) and whole.shape == (1, 24)
    np.testing.assert_allclose(model.encode_text(short), model.encode_text(whole), atol=1e-5)


def test_preprocess_takes_paths_pictures_and_arrays(model, tmp_path):
    array = np.full((20, 40, 3), (255, 0, 51), np.uint8)
    Image.fromarray(array).save(tmp_path / 'a.png')
    # (value / 255 − mean) / std, by hand.
    right = [
        (1 - 0.48145466) / 0.26862954,
        -0.4578275 / 0.26130258,
        (0.2 - 0.40821073) / 0.27577711,
    ]
    for images in (array, Image.fromarray(array), tmp_path / 'a.png', [array], array[None]):
        pixels = model.preprocess(images)
        assert pixels.shape == (1, 16, 16, 3)
        np.testing.assert_allclose(pixels[0, 3, 5], right, rtol=1e-5)
    assert model.preprocess([array, tmp_path / 'a.png', Image.fromarray(array)]).shape[0] == 3


def test_a_person_token_without_a_person_is_refused(model):
    with pytest.raises(UserError, match=r'\[TOK\].*encode_query') as error:
        model.encode_text(model.tokenize(['a cat', '[TOK] eating']))
    assert '\n' not in str(error.value)
    with pytest.raises(ValueError, match='end token'):
        model.encode_text(np.array([[tokenizer.SOT, 320, 0]]))


def test_what_was_not_prepared_is_refused(model):
    with pytest.raises(UserError, match=r'encode_text\(clip.tokenize\(texts\)\)'):
        model.encode_text(['a cat'])
    for images in (['a.jpg'], np.zeros((1, 16, 16, 3), np.uint8), np.zeros((16, 16, 3), 'f')):
        with pytest.raises(UserError, match=r'encode_image\(clip.preprocess\(images\)\)'):
            model.encode_image(images)


def test_bfloat16_stays_near(model, folder):
    pixels = np.random.default_rng(1).standard_normal((2, 16, 16, 3), np.float32)
    right = model.encode_image(pixels, normalize=True)
    near = cpad_jax.load_clip(folder, dtype='bfloat16').encode_image(pixels, normalize=True)
    assert 1e-6 < np.abs(near - right).max() < 0.02
    with pytest.raises(UserError, match="dtype is 'int8'"):
        cpad_jax.load_clip(folder, dtype='int8')


def test_shipped_models_are_found_by_name(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(catalogue, 'SHIPPED', folder.parent)
    monkeypatch.chdir(tmp_path)
    assert cpad_jax.load_clip(folder.name).config == CONFIG
    with pytest.raises(UserError, match='there is no folder .*ViT-nowhere'):
        cpad_jax.load_clip('ViT-nowhere')


def test_another_vocabulary_is_refused(tmp_path):
    text = dataclasses.replace(CONFIG.text, vocab_size=100, end_token=99)
    config = dataclasses.replace(CONFIG, text=text)
    shapes = weights_folder.parameter_shapes(config).items()
    weights_folder.save_clip(
        tmp_path, config, weights_folder.unflatten({k: np.zeros(s) for k, s in shapes})
    )
    with pytest.raises(UserError, match='vocab_size is 100, expected 49408'):
        cpad_jax.load_clip(tmp_path)


def test_the_shipped_model_is_whole_and_small(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = cpad_jax.load_clip('ViT-cast-16')
    assert model.config == zoo.get('ViT-cast-16')
    assert sum(p.stat().st_size for p in (catalogue.SHIPPED / 'ViT-cast-16').iterdir()) < 20e6
    # It was trained on what people do: other words for the same come closer than other doings.
    texts = ['a woman hugs a man', 'a woman embraces a man', 'a man drives a car']
    a, same, other = model.encode_text(model.tokenize(texts), normalize=True)
    assert a @ same > a @ other + 0.5


def test_repr_says_what_it_is(model, folder, params):
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert repr(model) == (
        f"CLIPModel('tiny', embed_dim=8, image_size=16, dtype='float32', parameters={count:_})"
    )
    assert "dtype='bfloat16'" in repr(cpad_jax.load_clip(folder, dtype='bfloat16'))


# Inside jax.jit, jax.grad and jax.vmap.


def test_encoders_may_be_jitted(model, seventy):
    pixels, images, _ = seventy
    encode = jax.jit(model.encode_image, static_argnames='normalize')
    out = encode(pixels[:3])
    assert isinstance(out, jax.Array) and out.shape == (3, 8)
    np.testing.assert_allclose(out, images[:3], atol=1e-5)
    np.testing.assert_allclose(
        encode(pixels[:3], normalize=True), model.encode_image(pixels[:3], True), atol=1e-5
    )
    ids = model.tokenize(['a cat', 'two people in a kitchen'])
    np.testing.assert_allclose(
        jax.jit(lambda ids: model.encode_text(ids, normalize=True))(ids),
        model.encode_text(ids, normalize=True), atol=1e-5,
    )  # fmt: skip
    one = jax.vmap(lambda image: model.encode_image(image[None])[0])(pixels[:3])
    np.testing.assert_allclose(one, images[:3], atol=1e-5)


def test_gradients_with_respect_to_pixels(model, seventy):
    pixels = seventy[0][:1]
    text = model.encode_text(model.tokenize('a cat'), normalize=True)[0]

    def similarity(pixels):
        return (model.encode_image(pixels, normalize=True) @ text).sum()

    gradient = jax.grad(similarity)(pixels)
    # The slope along the gradient, by central differences.
    step = 1e-2 * gradient / np.linalg.norm(gradient)
    slope = (similarity(pixels + step) - similarity(pixels - step)) / 2e-2
    np.testing.assert_allclose(slope, np.linalg.norm(gradient), rtol=0.02)
    assert slope > 1e-3


def test_gradients_with_respect_to_parameters(model, seventy):
    def energy(params):
        arguments = seventy[0][:2], True
        out = model.model.apply({'params': params}, *arguments, method='encode_image')
        return (out[0] @ out[1]) ** 2

    gradient = jax.jit(jax.grad(energy))(model.params)
    assert jax.tree.structure(gradient) == jax.tree.structure(model.params)
    assert np.abs(gradient['visual']['proj']['kernel']).max() > 1e-4
    assert not np.abs(gradient['logit_scale']).any()


@pytest.mark.parametrize(
    'call, words',
    [
        (lambda m, x: m.encode_image(x, x.sum() > 0), 'static_argnames="normalize"'),
        (lambda m, x: m.encode_text(x[..., 0, 0].astype(int), x.sum() > 0), 'static_argnames'),
        (lambda m, x: m.encode_image(x[..., 0]), r'encode_image\(clip.preprocess\(images\)\)'),
        (lambda m, x: m.encode_text(x), r'encode_text\(clip.tokenize\(texts\)\)'),
        (lambda m, x: m.preprocess(x), 'call it before, and pass its pixels'),
        (lambda m, x: m.preprocess([x[0], x[0]]), 'call it before, and pass its pixels'),
        (lambda m, x: m.preprocess_frames(x), 'call it before, and pass its pixels'),
    ],
)
def test_what_cannot_be_traced_is_refused_in_one_line(model, seventy, call, words):
    for transform in (jax.jit, jax.vmap):
        with pytest.raises(UserError, match=words) as error:
            transform(lambda x: call(model, x))(seventy[0][:2][None])
        assert '\n' not in str(error.value)
