import dataclasses

import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.methods import clip_pad
from cpad_jax.protocols.open_set import evaluate
from cpad_jax.protocols.open_set import scores as open_set_scores
from cpad_jax.ranking import method
from cpad_jax.ranking.query import Query
from tests.support import tiny_cpad

EAT, RUN = ('Eat', None), ('Run', None)
ACTIONS, PLACES = ('Eat', 'Run'), ('INT-car',)


def query(person, action, *relevant):
    return Query(f'{person}{action}', 'action', person, person, True, action, None, relevant, ())


def clip(*people):
    people = [{'person_id': who, 'actions': own} for who, own in people]
    return {'place': 0, 'people': people, 'actions': []}


SCORES = np.array([[9.0, 1, 2, 3], [0, 5, 1, 0]])
COHORT = np.array([[4.0, 1, 0, 2], [0, 1, 3, 0]])
OTHERWISE = np.array([[2.0, 0, 1, 0]])


def found(scores=SCORES, relevant=((0,), (0,))):
    everybody = np.concatenate([COHORT, OTHERWISE])
    return evaluate.all_trials(
        scores, relevant, everybody, lambda number: COHORT, lambda number: OTHERWISE
    )


def test_what_to_expect_is_what_background_queries_reach():
    assert evaluate.expected(COHORT, np.ones(4, bool)) == 3.5
    assert evaluate.expected(COHORT, np.array([False, True, True, True])) == 2.5


def test_every_calibration_is_asked_with_and_without_answers():
    trials = found()
    assert tuple(trials) == evaluate.CALIBRATIONS
    assert trials['the score itself'].target.tolist() == [9, 5]
    assert trials['the score itself'].nontarget.tolist() == [3, 5]
    # Without its answer a gallery has another mean and spread: 1 2 3.
    assert trials['by the gallery'].nontarget[0] == pytest.approx(1 / np.std([1, 2, 3]))
    assert trials['by the gallery'].target[0] == pytest.approx((9 - 3.75) / np.std([9, 1, 2, 3]))
    assert trials['by the gallery'].hits.tolist() == [True, False]
    # The first clip's background is 4 0 2: mean 2.
    assert trials['by clip'].target[0] == pytest.approx((9 - 2) / np.std([4, 0, 2]))
    # Strangers reach 4 and 3 at best; without the first clip 2 and 3.
    assert trials['by the cohort'].target.tolist() == [9 - 3.5, 5 - 3.5]
    assert trials['by the cohort'].nontarget.tolist() == [3 - 2.5, 5 - 2.5]
    both = trials['by the cohort and other words']
    assert both.target.tolist() == [9 - 3.5 - 2, 5 - 3.5 - 2]
    assert both.nontarget.tolist() == [3 - 2.5 - 1, 5 - 2.5 - 1]


def test_rows_say_what_false_alarms_show():
    clips = [clip(('a', [0])), clip(('a', [1])), clip(('b', [0])), clip(('c', [1]))]
    asked = [query('a', 'Eat', 0), query('b', 'Eat', 2), query('c', 'Run', 3)]
    scores = np.array([[9.0, 7, 0, 1], [8, 0, 9, 1], [0, 1, 8, 7]])
    trials = found(scores, [q.relevant for q in asked])
    row = evaluate.rows(trials, asked, clips, ACTIONS, PLACES, 20, 0, 'CLIP-PAD')[0]
    # With answers 9 9 8, without 7 8 8: from 9 up one of three is missed and nothing accepted, from
    # 8 up none is missed and two are; on the line between them both are 2/9.
    assert row['equal_error_rate'] == pytest.approx(2 / 9)
    assert row['hit@1'] == pytest.approx(2 / 3) and row['floor'] == pytest.approx(1 / 6)
    assert (row['num_queries'], row['num_people']) == (3, 3)
    assert (row['missed_at_0.01'], row['missed_at_0.2']) == (pytest.approx(1 / 3),) * 2
    kinds = [evaluate._kind(asked[0], one, ACTIONS, PLACES) for one in clips[1:]]
    assert kinds == ['the person otherwise', 'others doing it', 'neither']


@pytest.fixture(scope='module')
def model():
    model = tiny_cpad.make()
    rng = np.random.default_rng(0)
    names = [f'Person {n}' for n in range(6)]
    memory = rng.normal(size=(6, 2, 64)).astype(np.float32)
    model.saved = dataclasses.replace(model.saved, names=names, memory=memory)
    return model


def test_the_cohort_is_in_no_clip(model):
    there = ['Person 1', 'Person 4']
    names, drawn = evaluate.cohort(model, there, 99, 0)
    assert names == ['Person 0', 'Person 2', 'Person 3', 'Person 5']
    np.testing.assert_array_equal(drawn, model.saved.memory[[0, 2, 3, 5]])
    assert list(map(len, evaluate.cohort(model, there, 3, 0))) == [3, 3]
    with pytest.raises(UserError, match='1 of 6 people that were learned are in no clip'):
        evaluate.cohort(model, [f'Person {n}' for n in range(5)], 3, 0)
    with pytest.raises(UserError, match='train with config.model.name_memory=True'):
        evaluate.cohort(tiny_cpad.make(), there, 3, 0)


def test_background_and_queries_come_together(model):
    rng = np.random.default_rng(1)
    gallery = rng.normal(size=(5, 32)).astype(np.float32)
    gallery /= np.linalg.norm(gallery, axis=1, keepdims=True)
    words = [EAT, RUN, ('Kiss', None)]
    photos = {f'{who}{n}': rng.normal(size=32).astype(np.float32) for who in 'ab' for n in (1, 2)}
    encoder = clip_pad.QueryEncoder(
        model, {}, photos, {who: (f'{who}1', f'{who}2') for who in 'ab'}, 2, {}
    )
    asker = open_set_scores.TextScorer(model, encoder, gallery)
    background = evaluate.score_background(asker, model.saved.memory, words)
    assert background.all.shape == (18, 5)
    expected = model.encode_queries(['[TOK] running away'], model.saved.memory[2:3]) @ gallery.T
    np.testing.assert_allclose(background.scores[RUN][2:3], expected, atol=1e-5)
    asked = [
        dataclasses.replace(query(who, action, 0), references=(f'{who}1', f'{who}2'))
        for who in 'ab' for action in ('Eat', 'Run')
    ]  # fmt: skip
    trials = evaluate.evaluate(asker, asked, background)
    scores = encoder.encode(method.PAD_TEXT_IMAGE, asked) @ gallery.T
    np.testing.assert_allclose(trials['the score itself'].target, scores.max(1), atol=1e-6)
    cohort_best = background.scores[RUN].max(1).mean()
    others = encoder.encode(
        method.PAD_TEXT_IMAGE, [dataclasses.replace(asked[3], action=a) for a in ('Eat', 'Kiss')]
    ) @ gallery.T  # fmt: skip
    expected = scores[3].max() - cohort_best
    assert trials['by the cohort'].target[3] == pytest.approx(expected, abs=1e-5)
    both = trials['by the cohort and other words'].target[3]
    assert both == pytest.approx(expected - others.max(1).mean(), abs=1e-5)
