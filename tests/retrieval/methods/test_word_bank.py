import numpy as np
import pytest
import tiny_cpad

from cpad_jax.retrieval.methods import word_bank
from cpad_jax.retrieval.scenarios import Query

EAT = 'a person eating a meal'


@pytest.fixture(scope='module')
def clip():
    return tiny_cpad.make().clip


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def embed(clip, texts):
    return clip.encode_text(clip.tokenize(texts), normalize=True).astype(np.float64)


def gallery(count=9):
    return unit(np.random.default_rng(3).normal(size=(count, 32)))


def test_the_bank_is_all_that_queries_can_say_of_anybody():
    said = word_bank.bank()
    assert len(said) == len(set(said)) == 13 + 10 + 13 * 10
    assert EAT in said and 'a person in a kitchen' in said
    assert 'a person hugging someone inside a car' in said


def test_shares_by_hand(clip, monkeypatch):
    clips = gallery()
    found = word_bank.WordBank(clip, clips).posterior(word_bank.bank())
    scores = embed(clip, word_bank.bank()) @ clips.T.astype(np.float64)
    scores /= 0.3 * scores.std(axis=1).mean()
    expected = scores - np.log(np.exp(scores).sum(axis=0))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(np.exp(found).sum(axis=0), 1, atol=1e-9)
    monkeypatch.setattr(word_bank, '_CLIPS', 2)  # Not all at once.
    again = word_bank.WordBank(clip, clips).posterior(word_bank.bank())
    np.testing.assert_allclose(again, found, atol=1e-9)


def test_a_text_that_is_not_in_the_bank_joins_it(clip):
    clips = gallery()
    (found,) = word_bank.WordBank(clip, clips).posterior(['a person juggling'])
    scores = embed(clip, [*word_bank.bank(), 'a person juggling']) @ clips.T.astype(np.float64)
    scores /= 0.3 * scores[:-1].std(axis=1).mean()
    np.testing.assert_allclose(found, scores[-1] - np.log(np.exp(scores).sum(axis=0)), atol=1e-4)
    assert (found < 0).all()


def test_queries_are_asked_without_the_person(clip):
    bank = word_bank.WordBank(clip, gallery())
    query = Query('', 'action', 'a', 'Ada', True, 'Eat', None, (0,), ())
    np.testing.assert_array_equal(bank([query]), bank.posterior([EAT]))


def test_a_clip_that_is_near_to_every_text_is_not_preferred(clip):
    texts = embed(clip, word_bank.bank())
    eats = texts[word_bank.bank().index(EAT)]
    # The first clip lies amid all texts, and nearer to this one than the second clip does, which is
    # far from the others.
    shared = texts.mean(axis=0)
    own = eats - shared
    clips = unit(np.stack([shared + 0.1 * own, own - 0.2 * shared, -own]))
    assert (eats @ clips.T).argmax() == 0
    assert word_bank.WordBank(clip, clips).posterior([EAT]).argmax() == 1


def test_one_clip_says_that_all_texts_are_alike(clip):
    found = word_bank.WordBank(clip, gallery(1)).posterior([EAT])
    np.testing.assert_allclose(found, -np.log(153))
