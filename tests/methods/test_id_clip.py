import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cpad_jax.features.store import IdentityFeatures
from cpad_jax.methods import id_clip, registry
from cpad_jax.models import clip_pad
from cpad_jax.models.person_adapter import unit
from cpad_jax.ranking.query import Query
from cpad_jax.training import losses
from tests.support import tiny_cpad

PEOPLE = 6


@pytest.fixture(scope='module')
def clip():
    return tiny_cpad.make().clip


@pytest.fixture(scope='module')
def features():
    """People whose photos scatter around a face and an embedding of their own."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(PEOPLE), 4)
    draw = rng.normal(size=(PEOPLE, 32))[labels]
    images = draw[:, ::-1] + 0.2 * rng.normal(size=(24, 32))
    return IdentityFeatures(
        faces=(5 + draw + 0.2 * rng.normal(size=(24, 32))).astype(np.float16),
        images=(images / np.linalg.norm(images, axis=1, keepdims=True)).astype(np.float16),
        labels=labels,
        image_ids=np.array([f'photo {i}' for i in range(24)]),
        names=np.array(['Ada', 'Bela', 'Clara', 'Dora', 'Emil', 'Finn']),
        identities=np.arange(PEOPLE),
    )


@pytest.fixture(scope='module')
def result(clip, features):
    return id_clip.learn(clip, features, steps=300, rate=2e-3, seed=0)


def run_query(person, place=None, count=2):
    references = tuple(f'photo {4 * person + i}' for i in range(count))
    return Query('q', 'place', str(person), 'X', True, None, place, (person,), references)


def by_id(features):
    return dict(zip(features.image_ids, features.faces.astype(np.float32), strict=True))


def test_a_query_ranks_its_person_first(clip, features, result):
    encoder = id_clip.Encoder(clip, result, by_id(features))
    gallery = features.images.astype(np.float32)[3::4]  # Photos that the queries do not show.
    queries = [run_query(person) for person in range(PEOPLE)]
    embedded = encoder.encode(id_clip.METHOD, queries)
    assert (np.argmax(embedded @ gallery.T, axis=1) == np.arange(PEOPLE)).mean() >= 5 / 6
    np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), 1, rtol=1e-5)
    untrained = id_clip.learn(clip, features, steps=1, rate=0.0, seed=0)
    blind = id_clip.Encoder(clip, untrained, by_id(features)).encode(id_clip.METHOD, queries)
    assert (np.argmax(blind @ gallery.T, axis=1) == np.arange(PEOPLE)).mean() <= 3 / 6


def test_the_translator_equals_values_worked_out_by_hand(clip, features, result):
    """Linear, ReLU, Linear, no biases, of the centred mean of unit features; then plain CLIP."""
    hidden, out = (np.asarray(result['translator'][n]['kernel']) for n in ('hidden', 'out'))
    assert set(result['translator']['hidden']) == set(result['translator']['out']) == {'kernel'}
    assert hidden.shape == (32, 64) and out.shape == (64, 64)
    faces = features.faces[4:6].astype(np.float64)
    faces /= np.linalg.norm(faces, axis=1, keepdims=True)
    every = features.faces.astype(np.float64)
    centre = (every / np.linalg.norm(every, axis=1, keepdims=True)).mean(0)
    np.testing.assert_allclose(result['centre'], centre, atol=1e-6)
    face = faces.mean(0) - centre
    token = np.maximum(face / np.linalg.norm(face) @ hidden, 0) @ out
    encoder = id_clip.Encoder(clip, result, by_id(features))
    tokens = encoder.tokens([run_query(1).references, run_query(2, count=1).references])
    np.testing.assert_allclose(tokens[0, 0], token, atol=1e-4)
    ids = clip.tokenize(['[TOK] in a kitchen'])
    embed = jax.jit(lambda params: clip_pad.encode_query(clip.model, params, ids, tokens[:1]))
    encoded = encoder.encode(id_clip.METHOD, [run_query(1, 'INT-kitchen')])
    np.testing.assert_allclose(encoded, embed(clip.params), atol=1e-4)


def test_batches_have_another_photo_of_the_same_person():
    labels = np.array([2, 0, 1, 2, 0, 2, 1, 3] * 9)
    drawn = id_clip.draw_batches(labels, 5, np.random.default_rng(0))
    assert all(rows.shape == (5, 32) for rows in drawn.values())
    np.testing.assert_array_equal(labels[drawn['image']], labels[drawn['face']])
    assert (drawn['image'] != drawn['face']).all()
    # Each photo once per epoch: two batches of 32 from 72 photos.
    assert len(set(drawn['image'][:2].ravel())) == len(set(drawn['image'][2:4].ravel())) == 64
    assert len({*zip(drawn['image'].ravel(), drawn['face'].ravel(), strict=True)}) > 140
    assert set(drawn['phrase'].ravel()) == {0, 1, 2}
    alone = id_clip.draw_batches(np.arange(40), 1, np.random.default_rng(0))
    np.testing.assert_array_equal(alone['image'], alone['face'])


def test_a_step_is_adamw_on_symmetric_infonce(clip, features):
    """One step of `learn` against the same step written out."""
    faces = features.faces.astype(np.float32)
    before = id_clip.learn(clip, features, steps=1, rate=0.0, seed=3)
    after = id_clip.learn(clip, features, steps=1, rate=1e-2, seed=3)
    drawn = id_clip.draw_batches(features.labels, 1, np.random.default_rng((3, 11)))
    image, face, phrase = (drawn[name][0] for name in ('image', 'face', 'phrase'))
    texts = ['An image with [TOK]', 'A picture of [TOK]', '[TOK]']
    ids = clip.tokenize(texts)[phrase]
    inputs = unit(unit(faces[face]) - before['centre'])

    def loss(params):
        tokens = jnp.maximum(inputs @ params['hidden']['kernel'], 0) @ params['out']['kernel']
        encoded = clip_pad.encode_query(clip.model, clip.params, ids, tokens[:, None])
        logits = encoded @ unit(features.images[image].astype(np.float32)).T / 0.07
        same = features.labels[image][:, None] == features.labels[image]
        return losses.multi_positive(logits, same)

    grads = jax.jit(jax.grad(loss))(before['translator'])
    optimiser = optax.adamw(1e-2, weight_decay=0.01)
    updates, _ = optimiser.update(grads, optimiser.init(before['translator']), before['translator'])
    expected = optax.apply_updates(before['translator'], updates)
    for name in ('hidden', 'out'):
        # Adam's first step is a sign: compare where the gradient is not nearly zero.
        clear = np.abs(grads[name]['kernel']) > 1e-4
        assert clear.mean() > 0.3
        np.testing.assert_allclose(
            after['translator'][name]['kernel'][clear], expected[name]['kernel'][clear], atol=1e-4
        )


def test_the_translator_is_cached_under_all_it_depends_on(clip, features, tmp_path, monkeypatch):
    model = types.SimpleNamespace(clip=clip)
    gallery = features.images.astype(np.float32)

    def setting(fingerprint='f', face='clip', seed=0):
        config = types.SimpleNamespace(
            dtype='float32', seed=seed, features=types.SimpleNamespace(face=face)
        )
        return types.SimpleNamespace(
            config=config, store=types.SimpleNamespace(directory=tmp_path), model=model,
            photos=by_id(features),
            trained=types.SimpleNamespace(fingerprint=fingerprint), training_photos=features,
            plain_gallery=gallery,
        )  # fmt: skip

    calls = []
    learn = id_clip.learn

    def counted(*args, **kwargs):
        calls.append(kwargs)
        return learn(*args, **kwargs)

    monkeypatch.setattr(id_clip, 'learn', counted)
    (first,) = registry.make(['id_clip'], setting())
    (again,) = registry.make(['id_clip'], setting())
    # Ten epochs of one batch, as large as the photos allow.
    assert calls == [{'steps': 10, 'rate': 5e-5, 'seed': 0}]
    queries = [run_query(person) for person in range(PEOPLE)]
    np.testing.assert_array_equal(
        first.encoder.encode(id_clip.METHOD, queries), again.encoder.encode(id_clip.METHOD, queries)
    )
    assert first.method.key == 'Id-CLIP/image' and first.gallery is gallery
    registry.make(['id_clip'], setting(fingerprint='g'))
    registry.make(['id_clip'], setting(face='colour_histogram'))
    registry.make(['id_clip'], setting(seed=1))
    assert len(calls) == len(list(tmp_path.iterdir())) == 4
