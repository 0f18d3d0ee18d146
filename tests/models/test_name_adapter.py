import jax
import jax.numpy as jnp
import numpy as np
import pytest

import cpad_jax
from cpad_jax.models import clip_pad, clip_pad_api, clip_pad_export, name_adapter, zoo
from cpad_jax.models.clip import CLIP
from cpad_jax.models.weights import folder as weights_folder
from cpad_jax.training import name_learning

CONFIG = zoo.get('testing')


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp('clip')
    inputs = jnp.zeros((1, 32, 32, 3)), jnp.zeros((1, 8), int)
    params = jax.jit(CLIP(CONFIG).init)(jax.random.key(0), *inputs)
    weights_folder.save_clip(folder, CONFIG, params['params'])
    return cpad_jax.load_clip(folder)


def test_features_are_what_clip_says_and_the_words(clip, monkeypatch):
    monkeypatch.setattr(name_adapter, '_CHUNK', 2)
    found = name_adapter.name_features(clip, ['Ada Abbott', 'Abbott Ada', 'Ada'])
    assert found.shape == (3, name_adapter.feature_width(CONFIG))
    said, words = np.split(found, [CONFIG.embed_dim], axis=1)
    ids = clip.tokenize(['a photo of Ada Abbott'])
    np.testing.assert_allclose(said[0], clip.encode_text(ids, normalize=True)[0], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(words, axis=1), 1, rtol=1e-5)
    # The words in another order are the same words, but CLIP reads them otherwise.
    np.testing.assert_allclose(words[0], words[1], atol=1e-6)
    assert np.abs(said[0] - said[1]).max() > 1e-3
    table = np.asarray(clip.params['text']['token_embedding']['embedding'])
    own = clip.tokenizer.tokenize(['Ada'])[0]
    own = own[~np.isin(own, clip.tokenizer.tokenize([''])[0])]
    total = table[own].sum(axis=0)
    np.testing.assert_allclose(words[2], total / np.linalg.norm(total), rtol=1e-4)


def test_a_model_reads_every_name_once(clip, monkeypatch):
    config = clip_pad.CPADConfig('clip', 32, adapter_width=16, rank=0, name_width=8)
    inputs = jnp.ones((1, 1, 32)), jnp.ones((1, 1))
    params = clip_pad.CPAD(config, CONFIG).init(jax.random.key(1), *inputs)['params']
    known = jnp.zeros((1, name_adapter.feature_width(CONFIG)))
    adapter = clip_pad.name_adapter(config, CONFIG)
    params['name_adapter'] = adapter.init(jax.random.key(2), known)['params']
    saved = clip_pad_export.SavedCPAD(config, params, 'x', 'a' * 64, ('Ada Abbott', 'Bo'), None)
    model = clip_pad_api.PersonalizedCLIP(clip, saved)
    read = []

    def reads(clip, some):
        read.append(list(some))
        return name_adapter.name_features(clip, some)

    monkeypatch.setattr(clip_pad_api, 'name_features', reads)
    first = model.name_tokens(['Bo', 'nobody', 'Bo'])
    again = model.name_tokens(['bo', 'Ada Abbott', 'Bo'])
    assert read == [['Bo'], ['Ada Abbott']]
    features = name_adapter.name_features(clip, ['Bo', 'Ada Abbott'])
    bo, ada = adapter.apply({'params': params['name_adapter']}, features)
    nobody = model.default_token
    np.testing.assert_allclose(first, [bo, nobody, bo], atol=1e-5)
    np.testing.assert_allclose(again, [bo, ada, bo], atol=1e-5)


def test_name_and_face_is_between_both_and_as_long_as_a_face():
    named = np.array([[[5.0, 0.0]], [[0.0, 1.0]]], np.float32)
    faces = np.array([[[0.0, 2.0]], [[0.0, 3.0]]], np.float32)
    root = 2**0.5
    expected = [[[root, root]], [[0, 3]]]
    np.testing.assert_allclose(name_adapter.name_and_face(named, faces), expected, rtol=1e-5)


@pytest.fixture(scope='module')
def learned():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(40, 12)).astype(np.float32)
    tokens = rng.normal(size=(40, 2, 8)).astype(np.float32)
    tokens *= 3 / np.linalg.norm(tokens, axis=-1, keepdims=True)
    adapter = name_adapter.NameAdapter(num_tokens=2, text_width=8, hidden_width=64)

    def learn(seed, steps=300):
        return name_learning.learn_names(adapter, features, tokens, steps=steps, seed=seed)

    return adapter, features, tokens, learn


def test_every_name_learns_its_own_token(learned, monkeypatch):
    adapter, features, tokens, learn = learned
    monkeypatch.setattr(name_learning, 'BATCH', 16)  # Not all at once.
    params = learn(0)
    said = adapter.apply({'params': params}, features)
    np.testing.assert_allclose(np.linalg.norm(said, axis=-1), 3, rtol=1e-4)
    alike = np.einsum('nkw,mkw->nm', said, tokens) / 18
    assert (alike.argmax(axis=1) == np.arange(40)).all()
    assert np.diag(alike).mean() > 0.9


def test_the_seed_decides(learned):
    learn = learned[3]
    one, again, other = learn(1, 3), learn(1, 3), learn(2, 3)
    jax.tree.map(np.testing.assert_array_equal, one, again)
    assert np.abs(one['out']['kernel'] - other['out']['kernel']).max() > 1e-3


def test_loss_by_hand():
    adapter = name_adapter.NameAdapter(num_tokens=1, text_width=2, hidden_width=4)
    features = np.eye(2, dtype=np.float32)
    tokens = np.array([[[2.0, 0.0]], [[0.0, 2.0]]], np.float32)
    params = name_learning.initial_params(adapter, features, tokens, 0)
    assert float(params['length']) == 2
    np.testing.assert_allclose(params['centre'], [0.5, 0.5])
    np.testing.assert_allclose(params['spread'], [0.5, 0.5])
    said = np.asarray(adapter.apply({'params': params}, features))[:, 0] / 2
    logits = said / name_learning.TEMPERATURE
    cross = np.log(np.exp(logits).sum(axis=1)) - np.diag(logits)
    expected = 1 - np.diag(said).mean() + name_learning.APART * cross.mean()
    found = name_learning.loss(adapter, params, features, jnp.asarray(tokens))
    assert float(found) == pytest.approx(expected, rel=1e-4)
