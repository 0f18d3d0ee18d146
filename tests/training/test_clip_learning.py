import itertools

import jax
import ml_collections
import numpy as np
import pytest

import cpad_jax
from cpad_jax.errors import UserError
from cpad_jax.features.store import IdentityFeatures
from cpad_jax.models import clip_pad
from cpad_jax.models.weights import folder
from cpad_jax.training import clip_learning, loop, validation_curve
from cpad_jax.training.clip_labels import ClipLabels
from cpad_jax.training.compound_batches import LabelledClips
from cpad_jax.training.compound_captions import CompoundCaptions
from tests.support import tiny_cpad
from tests.support.train_options import USUAL

PEOPLE, WIDTH = 5, 32
ACTIONS, PLACES = ['hug', 'eat', 'run'], ['kitchen', 'street']


def make_config(**train):
    return ml_collections.ConfigDict({
        'seed': 0, 'start_from': 'runs/x', 'model': {'clip_width': 8},
        'train': {
            **USUAL,
            'steps': 60, 'people_per_batch': 4, 'clips_per_person': 3, 'max_references': 2,
            'temperature': 0.07, 'remember': 0.1, 'word_steps': 2, 'learning_rate': 1e-2,
            'weight_decay': 0.0, 'warmup_steps': 2,
            'checkpoint_every': 20, 'evaluate_every': 20, 'log_every': 20, **train,
        },
    })  # fmt: skip


class Phrases(CompoundCaptions):
    """Short captions: the tiny tower reads eight tokens."""

    def __init__(self, who='[TOK]'):
        self.texts, self._numbers = [], {}
        for action in range(-1, len(ACTIONS)):
            for place in range(-1, len(PLACES)):
                words = [ACTIONS[action]] * (action >= 0) + [PLACES[place]] * (place >= 0)
                self._numbers[action, place] = range(len(self.texts), len(self.texts) + 1)
                self.texts.append(' '.join([who, *words]))


@pytest.fixture(scope='module')
def model():
    return tiny_cpad.make()


def make_clips(seed, count=80, known=PEOPLE):
    """Clips of one person each, which show who, what and where by directions of their own."""
    rng = np.random.default_rng(seed)
    person, action, place = (
        rng.integers(n, size=count) for n in (PEOPLE, len(ACTIONS), len(PLACES))
    )
    look, act, where = (np.random.default_rng(1).normal(size=(6, WIDTH)) for _ in range(3))
    embedded = look[person] + np.roll(act, 1, axis=1)[action] + np.roll(where, 2, axis=1)[place]
    embedded = embedded + 0.1 * rng.normal(size=embedded.shape)
    embedded /= np.linalg.norm(embedded, axis=1, keepdims=True)
    doing = np.eye(len(ACTIONS), dtype=bool)[action][:, None]
    labels = ClipLabels(person[:, None], doing, place)
    return LabelledClips(embedded.astype(np.float32), labels, known)


@pytest.fixture(scope='module')
def photos():
    labels = np.repeat(np.arange(PEOPLE), 3)
    faces = np.random.default_rng(1).normal(size=(6, WIDTH))[labels]
    names = np.array([f'P{i}' for i in range(PEOPLE)])
    return IdentityFeatures(
        faces.astype(np.float16), faces, labels, labels.astype(str), names, np.arange(PEOPLE)
    )


def make_task(model, photos, **train):
    captions, clips = (Phrases(), Phrases('somebody')), (make_clips(0), make_clips(1))
    plain = np.ascontiguousarray(clips[0].inputs[:, ::-1])
    return clip_learning.ClipLearning(make_config(**train), model, photos, *captions, *clips, plain)


def test_batches_have_relevant_clips_and_depend_on_the_step_alone(model, photos):
    task = make_task(model, photos)
    batch = next(task.batches(0))
    # Every query is held against all clips, and about one of them.
    assert batch['relevant'].shape == (12, 80) and batch['relevant'].any(axis=1).all()
    # Every person comes by photos, whose token stands for [TOK].
    assert (batch['photo_weights'] > 0).any(axis=1).all()
    token = model.clip.config.text.person_token
    assert ((batch['ids'] == token).sum(axis=1) == model.saved.config.num_tokens).all()
    _, second = itertools.islice(task.batches(0), 2)
    jax.tree.map(np.testing.assert_array_equal, second, next(task.batches(1)))


def test_the_update_alone_learns_and_the_best_is_exported(model, photos, tmp_path):
    task = make_task(model, photos)
    start = task.evaluator(tmp_path / 'start')(0, task.init_params(jax.random.key(0)))
    params = loop.run(task, task.config, tmp_path, task.evaluator(tmp_path))
    curve = validation_curve.read(tmp_path)
    assert [entry['step'] for entry in curve] == [20, 40, 60]
    assert max(entry['map'] for entry in curve) > start['map'] + 0.15
    step, best = validation_curve.best(task, task.config, tmp_path, params)
    assert step == max(curve, key=lambda entry: entry['map'])['step']

    task.export(best, tmp_path / 'model')
    learned = cpad_jax.load(tmp_path / 'model', model.clip)
    there, before = (folder.flatten(m.saved.params) for m in (learned, model))
    moved = {name for name in before if np.abs(there[name] - before[name]).max() > 0}
    assert moved and {name.split('/')[0] for name in moved} == {'low_rank'}
    assert {name.split('/')[0] for name in set(there) - set(before)} == {'clip_adapter'}
    assert learned.saved.config.clip_width == 8
    # The clip adapter is for clips as plain CLIP sees them.
    np.testing.assert_allclose(there['clip_adapter/centre'], task._plain.mean(axis=0), atol=1e-6)
    assert (learned.names, learned.face_feature) == (model.names, model.face_feature)
    np.testing.assert_array_equal(learned.saved.background, model.saved.background)


def test_the_weight_of_forgetting_keeps_a_photo_of_tok_in_place(model, photos):
    def forgetting(remember):
        task = make_task(model, photos, remember=remember, steps=30)
        params, batch = task.init_params(None), next(task.batches(0))
        assert task.loss(params, batch, None)[1]['forgotten'] < 1e-6  # Nothing has moved yet.
        step = jax.jit(jax.grad(lambda p: task.loss(p, batch, None)[0]))
        for _ in range(30):
            params = jax.tree.map(lambda p, g: p - 0.3 * g, params, step(params))
        return float(task.loss(params, batch, None)[1]['forgotten'])

    assert forgetting(10.0) < 0.3 * forgetting(0.0)


def test_a_finetuned_model_gets_a_new_video_adapter(model, photos, tmp_path):
    task = make_task(model, photos)
    task.export(task.init_params(None), tmp_path / 'model')
    taught = cpad_jax.load(tmp_path / 'model', model.clip)
    task = make_task(taught, photos)
    task.config.model.clip_width = 0
    task.export(task.init_params(None), tmp_path / 'again')
    assert 'clip_adapter' not in cpad_jax.load(tmp_path / 'again', model.clip).saved.params


def test_validation_queries_are_encoded_as_those_of_users(model, photos, tmp_path):
    task = make_task(model, photos)
    queries = task.sampler.batch(task.sampler.validation, np.random.default_rng(2))
    batch = task.batch(queries)
    params = task.init_params(jax.random.key(0))
    tokens = model.tokens(batch['photos'], batch['photo_weights'])
    expected = clip_pad.encode_query(
        model.clip.model, model.clip.params, batch['ids'], tokens, model.low_rank
    )
    got = task._encode_queries(params, batch, task.frozen)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


def test_unfit_clips_and_models_are_refused(model, photos, monkeypatch):
    with pytest.raises(UserError, match='no person in the training clips is among the people'):
        clip_learning.ClipLearning(
            make_config(), model, photos, Phrases(), Phrases(), make_clips(0, known=0),
            make_clips(1), make_clips(0).inputs,
        )  # fmt: skip
    monkeypatch.setattr(type(model), 'low_rank', None)
    with pytest.raises(UserError, match='without an update of the text tower'):
        make_task(model, photos)
