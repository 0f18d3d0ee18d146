import dataclasses

import jax
import numpy as np
import pytest

from cpad_jax.methods import querybank
from cpad_jax.models.clip_pad_api import PersonalizedCLIP
from cpad_jax.models.video_adapter import VideoAdapter
from cpad_jax.ranking.query import Query
from cpad_jax.text import prompts
from tests.support import tiny_cpad

EAT, KITCHEN = ('Eat', None), (None, 'INT-kitchen')
DOING = [f'a person {phrase}' for phrase in prompts.ACTION_PHRASES.values()]
WHERE = [f'a person {phrase}' for phrase in prompts.PLACE_PHRASES.values()]


@pytest.fixture(scope='module')
def model():
    return tiny_cpad.make()


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def embed(model, texts):
    ids = model.clip.tokenize(texts)
    return model.clip.encode_text(ids, normalize=True).astype(np.float64)


def gallery(count=9):
    return unit(np.random.default_rng(3).normal(size=(count, 32)))


def shares(scores, temperature=0.3):
    scaled = scores / (temperature * scores.std(axis=1).mean())
    return scaled - np.log(np.exp(scaled).sum(axis=0))


QUERIES = ([(action, None) for action in prompts.ALL_ACTIONS], [(None, p) for p in prompts.PLACES])


def test_posteriors_of_the_closed_bank_equal_values_worked_out_by_hand(model):
    clips = gallery()
    bank = querybank.QueryBank(model, clips, querybank.CLOSED)
    for words, texts in zip(QUERIES, (DOING, WHERE), strict=True):
        result = bank.log_posterior(words)
        expected = shares(embed(model, texts) @ clips.T.astype(np.float64))
        np.testing.assert_allclose(result, expected, atol=1e-4)
        np.testing.assert_allclose(np.exp(result).sum(axis=0), 1, atol=1e-9)


def test_the_open_bank_is_phrases_of_training_and_the_query(model):
    clips = gallery()
    bank = querybank.QueryBank(model, clips, temperature=0.7)
    for words, texts, phrases in zip(QUERIES, (DOING, WHERE), querybank.PHRASES, strict=True):
        # Many more than the queries, and none of them.
        assert len(phrases) > 2 * len(words) and len(set(phrases)) == len(phrases)
        own = [f'a person {phrase}' for phrase in phrases]
        assert not set(own) & set(texts)
        others = embed(model, own) @ clips.T.astype(np.float64)
        scale = 0.7 * others.std(axis=1).mean()
        for word, text in list(zip(words, texts, strict=True))[:3]:
            queries = (embed(model, [text]) @ clips.T.astype(np.float64))[0] / scale
            total = np.exp(others / scale).sum(axis=0) + np.exp(queries)
            (result,) = bank.log_posterior([word])
            np.testing.assert_allclose(result, queries - np.log(total), atol=1e-4)


def test_actions_and_places_have_a_bank_each(model):
    bank = querybank.QueryBank(model, gallery())
    eats, kitchen, both = bank.log_posterior([EAT, KITCHEN, ('Eat', 'INT-kitchen')])
    np.testing.assert_allclose(both, eats + kitchen)
    assert np.abs(eats - kitchen).max() > 0.1


def test_posteriors_do_not_depend_on_the_person(model):
    bank = querybank.QueryBank(model, gallery())
    query = Query('', 'action', 'a', 'Ada', True, 'Eat', None, (0,), ())
    np.testing.assert_array_equal(bank([query]), bank.log_posterior([EAT]))


def test_a_clip_near_every_text_is_not_preferred(model):
    texts = embed(model, DOING)
    eats = texts[prompts.ALL_ACTIONS.index('Eat')]
    # The first clip lies amid all texts, and nearer to this one than the second clip does, which is
    # far from the others.
    shared = texts.mean(axis=0)
    own = eats - shared
    clips = unit(np.stack([shared + 0.1 * own, own - 0.2 * shared, -own]))
    assert (eats @ clips.T).argmax() == 0
    closed = querybank.QueryBank(model, clips, querybank.CLOSED)
    assert closed.log_posterior([EAT]).argmax() == 1


def test_equal_clips_have_equal_posteriors(model):
    bank = querybank.QueryBank(model, gallery(1), querybank.CLOSED)
    np.testing.assert_allclose(bank.log_posterior([EAT, KITCHEN]), [[-np.log(13)], [-np.log(10)]])
    doing, where = map(len, querybank.PHRASES)
    np.testing.assert_allclose(
        querybank.QueryBank(model, gallery(1)).log_posterior([EAT, KITCHEN]),
        [[-np.log(doing + 1)], [-np.log(where + 1)]],
    )  # fmt: skip


def test_the_video_adapter_adapts_the_clips(model):
    width, rng = model.clip.config.embed_dim, np.random.default_rng(4)
    params = VideoAdapter(8).init(jax.random.key(0), np.zeros((1, width)))['params']
    params = jax.tree.map(lambda x: x + rng.normal(size=x.shape).astype(np.float32), params)
    saved = dataclasses.replace(
        model.saved, config=dataclasses.replace(model.saved.config, clip_width=8),
        params={**model.saved.params, 'clip_adapter': params},
    )  # fmt: skip
    taught, clips = PersonalizedCLIP(model.clip, saved), gallery()
    moved = np.asarray(VideoAdapter(8).apply({'params': params}, clips))
    np.testing.assert_allclose(taught.adapt_clips(clips), moved, atol=1e-6)
    assert model.adapt_clips(clips) is clips
    np.testing.assert_allclose(
        querybank.QueryBank(taught, clips).log_posterior([EAT]),
        querybank.QueryBank(model, moved).log_posterior([EAT]), atol=1e-4,
    )  # fmt: skip
