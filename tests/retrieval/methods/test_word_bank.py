import numpy as np
import pytest
import tiny_cpad

from cpad_jax.retrieval.methods import word_bank
from cpad_jax.retrieval.scenarios import Query
from cpad_jax.text import prompts

EAT, KITCHEN = ('Eat', None), (None, 'INT-kitchen')
DOING = [f'a person {phrase}' for phrase in prompts.ACTION_PHRASES.values()]
WHERE = [f'a person {phrase}' for phrase in prompts.PLACE_PHRASES.values()]


@pytest.fixture(scope='module')
def clip():
    return tiny_cpad.make().clip


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def embed(clip, texts):
    return clip.encode_text(clip.tokenize(texts), normalize=True).astype(np.float64)


def gallery(count=9):
    return unit(np.random.default_rng(3).normal(size=(count, 32)))


def test_shares_by_hand(clip):
    clips = gallery()
    bank = word_bank.WordBank(clip, clips)
    for words, texts in zip(word_bank.BANKS, (DOING, WHERE), strict=True):
        assert len(words) == len(texts)
        found = bank.posterior(words)
        scores = embed(clip, texts) @ clips.T.astype(np.float64)
        scores /= 0.3 * scores.std(axis=1).mean()
        expected = scores - np.log(np.exp(scores).sum(axis=0))
        np.testing.assert_allclose(found, expected, atol=1e-4)
        np.testing.assert_allclose(np.exp(found).sum(axis=0), 1, atol=1e-9)


def test_what_is_done_and_where_are_judged_apart(clip):
    bank = word_bank.WordBank(clip, gallery())
    eats, kitchen, both = bank.posterior([EAT, KITCHEN, ('Eat', 'INT-kitchen')])
    np.testing.assert_allclose(both, eats + kitchen)
    assert np.abs(eats - kitchen).max() > 0.1


def test_queries_are_asked_without_the_person(clip):
    bank = word_bank.WordBank(clip, gallery())
    query = Query('', 'action', 'a', 'Ada', True, 'Eat', None, (0,), ())
    np.testing.assert_array_equal(bank([query]), bank.posterior([EAT]))


def test_a_clip_that_is_near_to_every_text_is_not_preferred(clip):
    texts = embed(clip, DOING)
    eats = texts[prompts.ALL_ACTIONS.index('Eat')]
    # The first clip lies amid all texts, and nearer to this one than the second clip does, which is
    # far from the others.
    shared = texts.mean(axis=0)
    own = eats - shared
    clips = unit(np.stack([shared + 0.1 * own, own - 0.2 * shared, -own]))
    assert (eats @ clips.T).argmax() == 0
    assert word_bank.WordBank(clip, clips).posterior([EAT]).argmax() == 1


def test_one_clip_says_that_all_texts_are_alike(clip):
    bank = word_bank.WordBank(clip, gallery(1))
    np.testing.assert_allclose(bank.posterior([EAT, KITCHEN]), [[-np.log(13)], [-np.log(10)]])
