import dataclasses

import numpy as np
import pytest
import tiny_cpad

from cpad_jax.errors import UserError
from cpad_jax.retrieval import nothing_matches, queries
from cpad_jax.retrieval.nothing_matches import Background
from cpad_jax.retrieval.scenarios import Query

EAT, RUN = ('Eat', None), ('Run', None)
ACTIONS, PLACES = ('Eat', 'Run'), ('INT-car',)


def query(person, action, *relevant):
    return Query(f'{person}{action}', 'action', person, person, True, action, None, relevant, ())


def clip(*people):
    people = [{'person_id': who, 'actions': own} for who, own in people]
    return {'place': 0, 'people': people, 'actions': []}


def test_halves_ask_other_people_and_other_words():
    scores = np.array([[3.0, 3]])
    background = Background({EAT: np.array([[0.0, 2], [2, 4]]), RUN: np.zeros((2, 2))})
    own = {
        'p': Background({EAT: scores, RUN: np.array([[2.0, 2]]), ('Kiss', None): np.ones((1, 2))})
    }
    found = nothing_matches.calibrate(scores, [EAT], ['p'], background, own)
    # Others who eat: mean 1 and 3, spread 1. The person otherwise: 2 and 1, mean 1.5, spread 0.5.
    np.testing.assert_allclose(found['by halves and query'], [[min(2, 3), min(0, 3)]])
    np.testing.assert_allclose(found['the score itself'], scores)
    # Of all words: 0 2 0 0, mean 0.5; 2 4 0 0, mean 1.5.
    np.testing.assert_allclose(
        found['by clip'], [[2.5 / np.std([0, 2, 0, 0]), 1.5 / np.std([2, 4, 0, 0])]]
    )


def test_every_calibration_is_asked_with_and_without_answers():
    scores = np.array([[9.0, 1, 2, 3], [0, 5, 1, 0]])
    named = dict.fromkeys(
        [nothing_matches.NONE, nothing_matches.BY_CLIP, nothing_matches.HALVES], scores
    )
    found = nothing_matches.all_trials(named, [(0,), (0,)])
    assert tuple(found) == nothing_matches.CALIBRATIONS
    assert found['the score itself'].nothing.tolist() == [3, 5]
    # Without its answer a gallery has another mean and spread: 1 2 3.
    assert found['by query'].nothing[0] == pytest.approx(1 / np.std([1, 2, 3]))
    assert found['by query'].matching[0] == pytest.approx((9 - 3.75) / np.std([9, 1, 2, 3]))
    assert found['by query'].found.tolist() == [True, False]


def test_rows_say_what_false_alarms_show():
    clips = [clip(('a', [0])), clip(('a', [1])), clip(('b', [0])), clip(('c', [1]))]
    asked = [query('a', 'Eat', 0), query('b', 'Eat', 2), query('c', 'Run', 3)]
    scores = np.array([[9.0, 7, 0, 1], [8, 0, 9, 1], [0, 1, 8, 7]])
    found = nothing_matches.all_trials(dict.fromkeys(('the score itself', 'by clip',
        'by halves and query'), scores), [q.relevant for q in asked])  # fmt: skip
    row = nothing_matches.rows(found, asked, clips, ACTIONS, PLACES, 20, 0)[0]
    # With answers 9 9 8, without 7 8 8: from 9 up one of three is missed and nothing accepted, from
    # 8 up none is missed and two are; on the line between them both are 2/9.
    assert row['equal_error_rate'] == pytest.approx(2 / 9)
    assert row['hit@1'] == pytest.approx(2 / 3) and row['floor'] == pytest.approx(1 / 6)
    assert (row['num_queries'], row['num_people']) == (3, 3)
    assert (row['missed_at_0.01'], row['missed_at_0.2']) == (pytest.approx(1 / 3),) * 2
    kinds = [nothing_matches._kind(asked[0], one, ACTIONS, PLACES) for one in clips[1:]]
    assert kinds == ['the person otherwise', 'others doing it', 'neither']


@pytest.fixture(scope='module')
def model():
    model = tiny_cpad.make()
    rng = np.random.default_rng(0)
    names = [f'Person {n}' for n in range(6)]
    memory = rng.normal(size=(6, 2, 64)).astype(np.float32)
    model.saved = dataclasses.replace(model.saved, names=names, memory=memory)
    return model


def test_strangers_are_in_no_clip(model):
    there = ['Person 1', 'Person 4']
    drawn = nothing_matches.strangers(model, there, 99, 0)
    np.testing.assert_array_equal(drawn, model.saved.memory[[0, 2, 3, 5]])
    assert len(nothing_matches.strangers(model, there, 3, 0)) == 3
    with pytest.raises(UserError, match='1 of 6 people that were learned are in no clip'):
        nothing_matches.strangers(model, [f'Person {n}' for n in range(5)], 3, 0)
    with pytest.raises(UserError, match='train with config.model.name_memory=True'):
        nothing_matches.strangers(tiny_cpad.make(), there, 3, 0)


def test_background_and_queries_come_together(model):
    rng = np.random.default_rng(1)
    gallery = rng.normal(size=(5, 32)).astype(np.float32)
    gallery /= np.linalg.norm(gallery, axis=1, keepdims=True)
    words = [EAT, RUN, ('Kiss', None)]
    background = nothing_matches.ask_for(model, model.saved.memory, words, gallery)
    assert background.all.shape == (18, 5)
    expected = model.encode_queries(['[TOK] running away'], model.saved.memory[2:3]) @ gallery.T
    np.testing.assert_allclose(background.scores[RUN][2:3], expected, atol=1e-5)
    photos = {f'{who}{n}': rng.normal(size=32).astype(np.float32) for who in 'ab' for n in (1, 2)}
    encoder = queries.QueryEncoder(
        model, {}, photos, {who: (f'{who}1', f'{who}2') for who in 'ab'}, 2, {}
    )
    asked = [
        dataclasses.replace(query(who, action, 0), references=(f'{who}1', f'{who}2'))
        for who in 'ab' for action in ('Eat', 'Run')
    ]  # fmt: skip
    found = nothing_matches.evaluate(model, encoder, gallery, asked, background)
    scores = encoder.encode(queries.PAD_TEXT_IMAGE, asked) @ gallery.T
    np.testing.assert_allclose(found['the score itself'].matching, scores.max(1), atol=1e-6)
    others = encoder.encode(
        queries.PAD_TEXT_IMAGE, [dataclasses.replace(asked[3], action=a) for a in ('Eat', 'Kiss')]
    ) @ gallery.T  # fmt: skip
    halves = [
        (scores[3] - some.mean(0)) / some.std(0) for some in (background.scores[RUN], others)
    ]  # fmt: skip
    least = np.minimum(*halves)
    expected = (least.max() - least.mean()) / least.std()
    assert found['by halves and query'].matching[3] == pytest.approx(expected, rel=1e-3)
