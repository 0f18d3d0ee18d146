import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

import cpad_jax
from cpad_jax.features.store import IdentityFeatures
from cpad_jax.models import clip_pad, zoo
from cpad_jax.models.clip import CLIP
from cpad_jax.models.pretrained import CLIPModel
from cpad_jax.models.weights import folder as weights_folder
from cpad_jax.text.tokenizer import tokenize
from cpad_jax.training import batches, identity, loop
from tests.support.train_options import USUAL

CONFIG = zoo.get('testing')
PEOPLE = 6


def make_config(backbone='testing', **train):
    return ml_collections.ConfigDict({
        'seed': 0, 'dtype': 'float32', 'backbone': backbone, 'features': {'face': 'clip'},
        'model': {
            'num_tokens': 1, 'adapter_width': 32, 'adapter_layers': 1, 'rank': 2,
            'default_token': True, 'name_memory': True, 'name_width': 32,
        },
        'train': {
            **USUAL,
            'steps': 200, 'people_per_batch': 4, 'images_per_person': 2, 'max_references': 2,
            'learning_rate': 5e-3, 'low_rank_learning_rate': 2e-2,
            'weight_decay': 0.0, 'warmup_steps': 5, 'name_steps': 100, 'temperature': 0.07,
            'remat': False,
            'checkpoint_every': 1000, 'log_every': 20,
            'loss': {'identity': 1.0, 'composition': 0.5, 'composition_length': 0.1,
                     'cross_form_consistency': 0.7, 'name_distillation': 0.3},
            'forms': {'text': 1, 'image': 1, 'text_image': 1}, **train,
        },
    })  # fmt: skip


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('clip')
    model = CLIP(CONFIG)
    inputs = jnp.zeros((1, 32, 32, 3)), jnp.zeros((1, 8), int)
    params = jax.jit(model.init)(jax.random.key(0), *inputs)
    weights_folder.save_clip(folder, CONFIG, params['params'])
    return folder


@pytest.fixture(scope='module')
def clip(folder):
    return cpad_jax.load_clip(folder)


@pytest.fixture(scope='module')
def features():
    """People whose photos scatter around a face and an embedding of their own."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(PEOPLE), 4)
    draw = rng.normal(size=(PEOPLE, 32))[labels]
    return IdentityFeatures(
        faces=(5 + draw + 0.2 * rng.normal(size=(24, 32))).astype(np.float16),
        images=(draw[:, ::-1] + 0.2 * rng.normal(size=(24, 32))).astype(np.float16),
        labels=labels,
        image_ids=np.array([f'photo {i}' for i in range(24)]),
        names=np.array(['Ada', 'Bela', 'Clara', 'Dora', 'Emil', 'Finn']),
        identities=np.arange(PEOPLE),
    )


@pytest.fixture(scope='module')
def task(clip, features, folder):
    return identity.IdentityLearning(make_config(str(folder)), clip, features)


@pytest.fixture(scope='module')
def params(task):
    return task.init_params(jax.random.key(0))


@pytest.fixture(scope='module')
def gradients(task, params):
    """Gradients by what is learned and by the frozen tower, at parameters where all matters."""
    rng = np.random.default_rng(1)
    moved = jax.tree.map(lambda x: x + 0.05 * rng.normal(size=np.shape(x)).astype('f'), params)
    batch = next(task.batches(0))
    grad = jax.jit(jax.grad(task.loss, has_aux=True))
    grads, metrics = grad(moved, batch, jax.random.key(0), task.frozen)
    return batch, moved, grads, metrics


def test_gradients_reach_everything_that_is_learned(task, gradients, params):
    _, _, grads, _ = gradients
    for name, grad in weights_folder.flatten(grads).items():
        assert np.abs(grad).max() > 0, name
    labels = weights_folder.flatten(task.label_params(params))
    assert {name.split('/')[0] for name in labels} == {'adapter', 'default_token', 'low_rank'}
    frozen = {name for name, label in labels.items() if label == 'frozen'}
    assert frozen == {'adapter/centre', 'adapter/spread'}
    assert all(label in (name.split('/')[0], 'frozen') for name, label in labels.items())
    # Nothing of CLIP is among what the optimiser and the checkpoints hold.
    assert not any('resblocks' in name and 'low_rank' not in name for name in labels)
    assert set(task.frozen) == {'text', 'logit_scale'}


def test_remat_changes_memory_and_not_gradients(clip, features, folder, gradients):
    batch, moved, grads, _ = gradients
    task = identity.IdentityLearning(make_config(str(folder), remat=True), clip, features)
    grad = jax.grad(task.loss, has_aux=True)
    again, _ = jax.jit(grad)(moved, batch, jax.random.key(0), task.frozen)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), grads, again)
    traced = str(jax.make_jaxpr(grad)(moved, batch, jax.random.key(0), task.frozen))
    # Three passes: photos, compositions without names, compositions.
    assert traced.count('prevent_cse=True') == 3 * CONFIG.text.layers


def test_loss_is_the_weighted_sum_of_what_the_product_computes(clip, task, gradients):
    batch, moved, _, metrics = gradients
    tokens, low_rank = task.cpad.apply({'params': moved}, batch['features'], batch['weights'])
    queries = clip_pad.encode_query(task.clip, task.frozen, batch['ids'], tokens, low_rank)
    image = batch['image'] / np.linalg.norm(batch['image'], axis=1, keepdims=True)
    logits = np.asarray(queries, np.float64) @ image.T / 0.07
    same = batch['identity'][:, None] == batch['identity']
    log_rows = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    log_columns = logits - np.log(np.exp(logits).sum(0, keepdims=True))
    expected = -0.5 * sum((log * same / 2).sum() / 8 for log in (log_rows, log_columns))
    assert float(metrics['loss_identity']) == pytest.approx(expected, rel=1e-4)
    found = batch['identity'][logits.argmax(1)] == batch['identity']
    assert float(metrics['accuracy']) == pytest.approx(found.mean())
    row = batch['composition_row']
    ends = [
        clip_pad.encode_query(
            task.clip, task.frozen, batch['composition_ids'][:, i], tokens[row], low_rank
        )
        for i in range(2)
    ]
    step, wanted = np.asarray(ends[0] - ends[1]), batch['composition_step']
    cosine = (step * wanted).sum(1) / np.linalg.norm(step, axis=1) / np.linalg.norm(wanted, axis=1)
    assert float(metrics['loss_composition']) == pytest.approx((1 - cosine).mean(), rel=1e-4)
    shown, _ = task.cpad.apply({'params': moved}, batch['taught_features'], batch['taught_weights'])
    taught = clip_pad.encode_query(task.clip, task.frozen, batch['taught_ids'], shown, low_rank)
    agreement = 1 - (np.asarray(ends[0]) * np.asarray(taught)).sum(1).mean()
    assert float(metrics['loss_cross_form_consistency']) == pytest.approx(agreement, rel=1e-4)
    # Plain CLIP of the names: a row without [TOK] takes neither token nor update.
    plain = clip.encode_text(np.asarray(batch['named_ids']), normalize=True)
    apart = 1 - (np.asarray(taught) * plain).sum(1)
    known = np.asarray(batch['named_known'])
    named = (apart * known).sum() / max(known.sum(), 1)
    assert float(metrics['loss_name_distillation']) == pytest.approx(named, rel=1e-4, abs=1e-6)
    loss, _ = task.loss(moved, batch, jax.random.key(0))
    total = sum(weight * metrics[f'loss_{name}'] for name, weight in task.config.train.loss.items())
    assert float(loss) == pytest.approx(float(total), rel=1e-5)


def test_composition_steps_are_plain_clip(clip):
    steps = identity.composition_steps(clip)
    phrase = batches.composition_phrases()[3]
    ends = [
        clip.encode_text(tokenize([text], 32), normalize=True)[0]
        for text in (phrase.format('a person'), 'a photo of a person')
    ]
    np.testing.assert_allclose(steps[3], ends[0] - ends[1], atol=1e-5)


def test_starts_from_the_word_person_and_the_measured_faces(clip, params, features):
    word = clip.params['text']['token_embedding']['embedding'][tokenize('person')[0, 1]]
    np.testing.assert_array_equal(params['default_token'], [word])
    faces = features.faces.astype(np.float64)
    faces /= np.linalg.norm(faces, axis=1, keepdims=True)
    np.testing.assert_allclose(params['adapter']['centre'], faces.mean(0), atol=1e-6)
    spread = np.sqrt(np.mean((faces - faces.mean(0)) ** 2))
    assert float(params['adapter']['spread']) == pytest.approx(spread, rel=1e-4)
    table = np.asarray(clip.params['text']['token_embedding']['embedding'])
    scale = float(np.exp(params['adapter']['log_scale']))
    used = identity.phrase_ids(clip)
    assert {tokenize('portrait')[0, 1], tokenize('beach')[0, 1]} <= set(used)
    assert 0 < used.min() and used.max() < 49406 and len(used) < 200
    assert scale == pytest.approx(np.linalg.norm(table[used], axis=1).mean(), rel=1e-4)


def test_default_token_can_be_left_as_it_is(task, params):
    config = task.config.copy_and_resolve_references()
    config.model.default_token = False
    fixed = object.__new__(identity.IdentityLearning)
    fixed.config = config
    assert fixed.label_params(params)['default_token'] == 'frozen'
    assert task.label_params(params)['default_token'] == 'default_token'


def test_learns_people_by_name_and_by_face(task, features, folder, tmp_path):
    learned = loop.run(task, task.config, tmp_path)
    task.export(learned, tmp_path / 'model')
    model = cpad_jax.load(tmp_path)
    names = features.names.tolist()
    gallery = np.stack(
        [features.images[features.labels == i].astype('f').mean(0) for i in range(PEOPLE)]
    )
    gallery /= np.linalg.norm(gallery, axis=1, keepdims=True)

    def right(texts, tokens):
        return (np.argmax(model.encode_queries(texts, tokens) @ gallery.T, axis=1) ==
                np.arange(PEOPLE)).mean()  # fmt: skip

    photo = features.faces[::4].astype(np.float32)
    tokens = model.tokens(photo[:, None], np.ones((PEOPLE, 1)))
    default = np.stack([model.default_token] * PEOPLE)
    by_name = np.stack([model.person(name).tokens for name in names])
    both = model.with_names(names, tokens)
    memory = np.stack([model.person(name, memory=True).tokens for name in names])
    named = [f'a photo of {name} [TOK]' for name in names]
    assert right(named, default) >= 5 / 6
    assert right(['a photo of [TOK]'] * PEOPLE, by_name) >= 5 / 6
    assert right(['a photo of [TOK]'] * PEOPLE, both) >= 5 / 6
    assert right(['a photo of [TOK]'] * PEOPLE, tokens) >= 5 / 6
    assert right(['a photo of [TOK]'] * PEOPLE, memory) >= 5 / 6
    assert right(named, tokens) >= 5 / 6
    assert right(['a photo of [TOK]'] * PEOPLE, default) <= 2 / 6  # Nothing says who.


def test_name_memory_is_the_mean_token(task, params, features, monkeypatch):
    monkeypatch.setattr(identity, '_CHUNK', 5)
    memory = identity.name_memory(task.cpad, params, features)
    faces = features.faces[features.labels == 2].astype(np.float32)
    tokens, _ = task.cpad.apply({'params': params}, faces[:, None], np.ones((4, 1)))
    mean = np.asarray(tokens).mean(0)
    length = np.linalg.norm(tokens[0], axis=-1)
    np.testing.assert_allclose(memory[2], length * mean / np.linalg.norm(mean), rtol=1e-4)
    assert memory.shape == (PEOPLE, 1, 64)


def test_checkpoints_know_their_backbone(clip, task):
    assert task.backbone_sha256 == clip.sha256
    assert isinstance(clip, CLIPModel)
