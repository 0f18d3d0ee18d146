"""Pic2Word and PALAVRA, and the network that both learn."""

import dataclasses
import types

import numpy as np
import pytest

from cpad_jax.methods import palavra, pic2word, pseudo_words, reference_photos, registry
from cpad_jax.ranking import scorers
from tests.support import drawn_photos

MODULES = {'pic2word': pic2word, 'palavra': palavra}


@pytest.fixture(autouse=True, scope='module')
def small():
    """Networks that are learned at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference_photos, 'PEOPLE', 8)
        for module in MODULES.values():
            recipe = dataclasses.replace(
                module.RECIPE, hidden_width=48, steps=200, rate=1e-2, warmup=5, batch=32
            )
            patch.setattr(module, 'RECIPE', recipe)
        yield


@pytest.fixture(scope='module')
def setting(tmp_path_factory):
    return drawn_photos.setting(tmp_path_factory.mktemp('words'))


@pytest.fixture(scope='module', params=list(MODULES))
def row(request, setting):
    """The name of a method, its scorer, and what it says of the drawn people."""
    (scorer,) = registry.make([request.param], setting)
    assert isinstance(scorer, scorers.Cosine)
    assert scorer.method == MODULES[request.param].METHOD
    return request.param, scorer, introduced(setting, scorer)


def kept_in(setting, folder):
    return dataclasses.replace(setting, store=types.SimpleNamespace(directory=folder))


def introduced(setting, scorer, count=3):
    words = scorer.encoder.words(drawn_photos.queries(count)[::2])
    assert words.shape == (drawn_photos.PEOPLE, 1, setting.model.clip.config.text.width)
    return pseudo_words.encode_texts(setting.model.clip, ['a photo of [TOK]'] * len(words), words)


def test_texts_of_a_person_are_nearest_to_their_photos(row, setting):
    _, scorer, texts = row
    near = drawn_photos.nearness(texts)
    own, others = np.diag(near), (near.sum(axis=1) - np.diag(near)) / (len(near) - 1)
    assert (own > others + 0.25).all()
    sampled = drawn_photos.queries()
    queries = scorer.encoder.encode(scorer.method, sampled)
    np.testing.assert_allclose(np.linalg.norm(queries, axis=1), 1, atol=1e-5)
    assert np.abs(queries[0::2] - queries[1::2]).max(axis=1).min() > 1e-3
    other = [dataclasses.replace(q, references=('0/0',)) for q in sampled[2:]]
    assert np.abs(scorer.encoder.encode(scorer.method, other) - queries[2:]).max(1).min() > 1e-3


def test_training_lowers_the_distance_to_photos(row, setting, tmp_path, monkeypatch):
    """Texts of people are nearer to their photos than before the first step."""
    name, _, texts = row
    recipe = dataclasses.replace(MODULES[name].RECIPE, steps=0)
    monkeypatch.setattr(MODULES[name], 'RECIPE', recipe)
    monkeypatch.setattr(palavra, 'STEPS', 0)
    palavra._optimise.clear_cache()
    (scorer,) = registry.make([name], kept_in(setting, tmp_path))
    before = np.diag(drawn_photos.nearness(introduced(setting, scorer)))
    palavra._optimise.clear_cache()
    assert (np.diag(drawn_photos.nearness(texts)) > before).all()


def test_a_network_is_cached_and_trained_anew_for_other_photos_or_seeds(
    row, setting, tmp_path, monkeypatch
):
    name, _, texts = row
    (again,) = registry.make([name], kept_in(setting, tmp_path))
    np.testing.assert_allclose(introduced(setting, again), texts, atol=1e-5)

    def refuse(*_):
        raise AssertionError('learned again')

    with monkeypatch.context() as patch:
        patch.setattr(pseudo_words.Network, 'fit', refuse)
        (kept,) = registry.make([name], setting)
        np.testing.assert_array_equal(introduced(setting, kept), texts)
        for changed in ({'photos': 3}, {'seed': 1}):
            with pytest.raises(AssertionError, match='learned again'):
                registry.make([name], drawn_photos.setting(setting.store.directory, **changed))
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100])  # Half a file is none.
    (repaired,) = registry.make([name], kept_in(setting, tmp_path))
    np.testing.assert_allclose(introduced(setting, repaired), texts, atol=1e-5)


def test_a_word_of_palavra_is_optimised_from_its_initial_token(setting):
    network = pseudo_words.learned(palavra.RECIPE, setting, by_person=True)
    (scorer,) = registry.make(['palavra'], setting)
    sampled = drawn_photos.queries()[::2]
    guess = reference_photos.PerPerson(setting.pictures, 4, network.words, '')(sampled)
    after = introduced(setting, scorer)
    before = pseudo_words.encode_texts(
        setting.model.clip, ['a photo of [TOK]'] * len(sampled), guess
    )
    photos = drawn_photos.REFERENCES[:, :3]
    photos = (photos / np.linalg.norm(photos, axis=-1, keepdims=True)).mean(axis=1)
    photos /= np.linalg.norm(photos, axis=-1, keepdims=True)
    others = palavra._negatives(setting.training_photos, 0).mean(axis=0)
    gain = [(texts * photos).sum(axis=1) - texts @ others for texts in (before, after)]
    assert (gain[1] > gain[0]).all()
