import shutil
import types

import jax
import ml_collections
import numpy as np
import pytest

from cpad_jax import digests
from cpad_jax.errors import UserError
from cpad_jax.features.store import IdentityFeatures
from cpad_jax.methods.ce import export, training
from cpad_jax.methods.ce.features import ClipExperts
from cpad_jax.training import loop, losses, validation_curve
from cpad_jax.training.clip_labels import ANY, ClipLabels, label_clips
from cpad_jax.training.compound_batches import LabelledClips
from cpad_jax.training.compound_captions import ClipPersonSampler, ReferenceSampler, sample_query
from tests.support.train_options import USUAL

PEOPLE, ACTIONS, PLACES, WIDTH = 6, 3, 2, 8


def make_config(**train):
    return ml_collections.ConfigDict({
        'seed': 0, 'backbone': 'tiny',
        'features': {'face': 'clip', 'frames_per_clip': 4, 'faces_per_clip': 2},
        'model': {'width': 16, 'clusters': 4, 'ghosts': 1},
        'train': {
            **USUAL,
            'steps': 60, 'people_per_batch': 4, 'clips_per_person': 3, 'max_references': 2,
            'no_person': 0.25, 'margin': 0.2, 'learning_rate': 1e-2, 'weight_decay': 0.0,
            'warmup_steps': 2, 'checkpoint_every': 20, 'evaluate_every': 20, 'log_every': 20,
            **train,
        },
    })  # fmt: skip


class Captions:
    """One caption for each pair of action and place: the pair's own vectors as its words."""

    def __init__(self):
        count = (ACTIONS + 1) * (PLACES + 1)
        self.words = np.random.default_rng(9).normal(size=(count, 3, WIDTH)).astype(np.float16)
        self.word_mask = np.ones((count, 3), bool)

    def draw(self, action, place, rng):
        return (action + 1) * (PLACES + 1) + place + 1


def make_clips(seed, count=60):
    """Clips of one person each, whose experts say plainly who, what and where."""
    rng = np.random.default_rng(seed)
    person, action, place = (rng.integers(n, size=count) for n in (PEOPLE, ACTIONS, PLACES))
    look, act, where = (np.random.default_rng(1).normal(size=(6, WIDTH)) for _ in range(3))
    noise = 0.1 * rng.normal(size=(3, count, WIDTH))
    frames = np.roll(act, 1, axis=1)[action] + where[place] + noise[0]
    features = {
        'frames': frames,
        'faces': look[person] + noise[1],
        'place': where[place] + noise[2],
    }
    features = {name: array.astype(np.float32) for name, array in features.items()}
    present = np.ones((count, 3), bool)
    present[::10, 1] = False
    doing = np.eye(ACTIONS, dtype=bool)[action][:, None]
    truth = ClipLabels(person[:, None], doing, place)
    return LabelledClips(ClipExperts(features, present), truth, PEOPLE)


@pytest.fixture(scope='module')
def photos():
    labels = np.repeat(np.arange(PEOPLE), 3)
    look = np.random.default_rng(1).normal(size=(6, WIDTH))
    faces = look[labels] + 0.1 * np.random.default_rng(5).normal(size=(len(labels), WIDTH))
    names = np.array([f'P{i}' for i in range(PEOPLE)])
    return IdentityFeatures(
        faces.astype(np.float16), faces, labels, labels.astype(str), names, np.arange(PEOPLE)
    )


@pytest.fixture
def task(photos):
    return make_task(photos)


def make_task(photos, **train):
    clip = types.SimpleNamespace(sha256='a' * 64)
    clips = make_clips(0), make_clips(1)
    return training.CollaborativeExperts(make_config(**train), clip, photos, Captions(), *clips)


def test_margin_loss_equals_values_worked_out_by_hand():
    scores = np.array([[0.9, 0.4, 0.85], [0.8, 0.5, 0.1], [0.0, 0.45, 0.6]], np.float32)
    true = np.eye(3, dtype=bool)
    # Against the query's own clip: 0.05, 0.4 and 0.05 are missing; against the clip's own query:
    # 0.0 (0.8 to 0.9), 0.35 (0.85 to 0.6), and 0.0 + 0.05 (0.4 and 0.45 to 0.5).
    expected = (0.05 + 0.4 + 0.0 + 0.0 + 0.35 + 0.05) / 12
    assert float(losses.max_margin(scores, true, 0.1)) == pytest.approx(expected, abs=1e-6)
    # A clip that answers a query, too, is no negative of it.
    true[1, 0] = true[0, 2] = True
    assert float(losses.max_margin(scores, true, 0.1)) == pytest.approx(0.05 / 8, abs=1e-6)


def test_relevance_is_of_the_person_who_does_it():
    record = {'place': 1, 'people': [
        {'person_id': 'a', 'actions': [0, 2]}, {'person_id': 'other', 'actions': [1]},
    ]}  # fmt: skip
    other = {'place': ANY, 'people': [{'person_id': 'b', 'actions': []}]}
    truth = label_clips([record, other, {'place': 0, 'people': []}], {'a': 0, 'b': 1}, ACTIONS)
    assert truth.person.tolist() == [[0, 2], [1, -1], [-1, -1]]
    queries = [
        (0, 2, 1), (0, 1, 1), (ANY, 1, 1), (0, ANY, 1), (0, ANY, 0), (1, ANY, ANY),
        (ANY, ANY, 0),
    ]  # fmt: skip
    result = truth.relevant(*np.array(queries).T)
    assert result[:, 0].tolist() == [True, False, True, True, False, False, False]
    assert result[:, 1].tolist() == [False] * 5 + [True, False]
    # Nobody is in the third: it answers nothing.
    assert not result[:, 2].any()
    np.testing.assert_array_equal(
        truth[np.array([1, 0])].relevant(*np.array(queries).T), result[:, 1::-1]
    )


def test_a_query_is_relevant_to_the_clip_it_was_drawn_from(task):
    for step in range(5):
        batch = task.batch(
            task.sampler.training,
            task.sampler.batch(task.sampler.training, np.random.default_rng(step)),
        )
        assert batch['relevant'].shape == (12, 12) and np.diagonal(batch['relevant']).all()
        no_person = ~(batch['photo_weights'] > 0).any(axis=1)
        # Some queries are without a person, and more clips are relevant to them.
        assert no_person.sum() < 12
    again = next(task.batches(3))
    other = next(iter(make_task_batches(task, 3)))
    jax.tree.map(np.testing.assert_array_equal, again, other)


def make_task_batches(task, step):
    batches = task.batches(0)
    for _ in range(step):
        next(batches)
    return batches


def test_queries_have_action_place_or_both():
    clips = make_clips(0)
    rng = np.random.default_rng(0)
    which, who = clips.sampler.draw(PEOPLE, 20, rng)
    queries = sample_query(clips.labels, which, who, 0.5, rng)
    forms = {(a == ANY, p == ANY) for a, p in zip(queries.action, queries.place, strict=True)}
    assert forms == {(False, False), (True, False), (False, True)}
    assert 0.3 < (queries.person == ANY).mean() < 0.7
    assert (
        clips.labels[which].relevant(queries.person, queries.action, queries.place).diagonal().all()
    )


def test_photos_are_of_the_person(photos):
    drawer = ReferenceSampler(photos, references=2)
    rng = np.random.default_rng(0)
    faces, weights = drawer.draw(np.array([4, ANY, 2]), rng)
    assert faces.shape == (3, 2, WIDTH) and weights[1].tolist() == [0, 0]
    own = photos.faces[photos.labels == 4].astype(np.float32)
    assert (np.abs(own - faces[0, 0]).max(axis=1) == 0).any()
    first, _ = drawer.draw(np.array([2]), None)
    np.testing.assert_array_equal(first[0], photos.faces[6:8].astype(np.float32))


def test_only_people_with_photos_are_drawn():
    pairs = ClipPersonSampler(make_clips(0).labels, known=2)
    _, who = pairs.draw(8, 3, np.random.default_rng(0))
    assert len(pairs) == 2 and set(who) == {0, 1}


def test_clips_of_unknown_people_are_refused(photos):
    clips = make_clips(0)
    cohort = LabelledClips(clips.inputs, clips.labels, known=0)
    clip = types.SimpleNamespace(sha256='')
    with pytest.raises(UserError, match='no person in the validation clips is among the people'):
        training.CollaborativeExperts(make_config(), clip, photos, Captions(), clips, cohort)


def test_loss_falls_training_resumes_and_the_best_step_is_exported(photos, tmp_path, monkeypatch):
    whole = make_task(photos)
    params = loop.run(whole, whole.config, tmp_path / 'a', whole.evaluator(tmp_path / 'a'))
    curve = validation_curve.read(tmp_path / 'a')
    assert [entry['step'] for entry in curve] == [20, 40, 60]
    start = whole.evaluator(tmp_path / 'start')(0, whole.init_params(jax.random.key(0)))
    assert curve[-1]['loss'] < 0.5 * start['loss'] and curve[-1]['map'] > start['map'] + 0.2
    assert set(curve[0]) == {'step', 'map', 'hit@1', 'loss', 'training_loss'}

    # Stopped after step 40, and started again.
    part = make_task(photos)
    evaluate = part.evaluator(tmp_path / 'b')

    def stop(step, params):
        if step == 60:
            raise KeyboardInterrupt
        return evaluate(step, params)

    with pytest.raises(KeyboardInterrupt):
        loop.run(part, part.config, tmp_path / 'b', stop)
    again = make_task(photos)
    resumed = loop.run(again, again.config, tmp_path / 'b', again.evaluator(tmp_path / 'b'))
    jax.tree.map(np.testing.assert_array_equal, resumed, params)
    assert validation_curve.read(tmp_path / 'b') == curve

    step, _ = validation_curve.best(whole, whole.config, tmp_path / 'a', params)
    assert step == max(curve, key=lambda e: e['map'])['step']
    # Were an earlier one the best, that one would be taken.
    for entry in curve:
        entry['map'] = float(entry['step'] == 40)
    digests.write(tmp_path / 'a' / validation_curve.FILE, {'entries': curve})
    step, earlier = validation_curve.best(whole, whole.config, tmp_path / 'a', params)
    assert step == 40 == validation_curve.chosen_step(tmp_path / 'a')
    # What is not kept cannot have been chosen, and without a curve nothing was.
    shutil.rmtree(tmp_path / 'a' / 'checkpoints' / '40')
    assert validation_curve.chosen_step(tmp_path / 'a') != 40
    assert validation_curve.chosen_step(tmp_path / 'start') is None
    assert np.abs(earlier['weigh']['kernel'] - params['weigh']['kernel']).max() > 0

    whole.export(params, tmp_path / 'model')
    saved = export.load_model(tmp_path / 'model', 'a' * 64)
    assert (saved.backbone, saved.frames_per_clip, saved.faces_per_clip) == ('tiny', 4, 2)
    expected = whole.calibrated(params)
    jax.tree.map(np.testing.assert_array_equal, saved.variables, jax.device_get(expected))


def test_measured_constants_are_frozen(task):
    labels = task.label_params(task.init_params(jax.random.key(0)))
    groups = {name: set(jax.tree.leaves(tree)) for name, tree in labels.items()}
    assert groups['centre_faces'] == groups['spread_place'] == {'frozen'}
    assert groups['gating'] == groups['netvlad'] == {'ce'}
