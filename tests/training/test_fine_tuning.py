import jax
import numpy as np
import pytest

import cpad_jax
from cpad_jax.errors import UserError
from cpad_jax.models import clip_pad
from cpad_jax.training import fine_tuning
from tests.support import tiny_cpad


@pytest.fixture(scope='module')
def model():
    return tiny_cpad.make()


@pytest.fixture(scope='module')
def shown():
    """Embeddings of five photos that have something in common."""
    rng = np.random.default_rng(5)
    return (rng.normal(size=32) + 0.3 * rng.normal(size=(5, 32))).astype(np.float32)


@pytest.fixture(scope='module')
def guess(model):
    face = np.random.default_rng(6).normal(size=(1, 1, 32))
    return model.tokens(face, np.ones((1, 1)))[0]


@pytest.fixture(scope='module')
def tuned(model, guess, shown):
    """What came out with a token alone, and with a rank-one update."""
    tuner = fine_tuning.FineTuner(model)
    return [tuner.fit(guess, shown, 'Orla Brandt', rank_one) for rank_one in (False, True)]


def nearness(model, person, shown):
    said = model.encode_query('a photo of [TOK]', person)
    return (shown @ said / np.linalg.norm(shown, axis=1)).mean()


def test_the_loss_falls_and_it_stops_by_itself(monkeypatch, model, guess, shown, tuned):
    for found in tuned:
        assert min(found.losses) < found.losses[0] - 0.1
    # It goes on for as long as it gains, and then no further than patience says.
    monkeypatch.setattr(fine_tuning, 'MAX_STEPS', 1000)
    losses = np.array(fine_tuning.FineTuner(model).fit(guess, shown).losses)
    assert fine_tuning.PATIENCE < len(losses) < 500
    mark = losses[-1 - fine_tuning.PATIENCE] * (1 - fine_tuning.GAIN)
    assert (losses[-fine_tuning.PATIENCE :] >= mark).all()
    starts = range(len(losses) - fine_tuning.PATIENCE - 1)
    spans = [losses[i + 1 : i + 1 + fine_tuning.PATIENCE].min() / losses[i] for i in starts]
    assert max(spans) < 1 - fine_tuning.GAIN / 2


def test_never_more_than_so_many_steps(monkeypatch, model, guess, shown):
    monkeypatch.setattr(fine_tuning, 'MAX_STEPS', 3)
    assert len(fine_tuning.FineTuner(model).fit(guess, shown).losses) == 3


def test_words_come_nearer_to_the_photos(model, guess, shown, tuned):
    start = cpad_jax.models.person.Person(None, guess, 'image')
    before = nearness(model, start, shown)
    for found in tuned:
        assert nearness(model, found.person, shown) > before + 0.02
        assert (found.person.form, found.person.num_images) == ('fine-tuned', 5)


def test_an_update_of_rank_one_is_learned_where_it_is_wanted(tuned):
    alone, both = (found.person for found in tuned)
    assert alone.update is None
    layer = both.update['resblocks.1']['value']
    assert layer['a'].shape == (64, 1) and layer['b'].shape == (1, 64)
    assert np.abs(layer['b']).max() > 0
    assert min(tuned[1].losses) < min(tuned[0].losses)


def test_a_stronger_pull_stays_nearer_to_the_guess(monkeypatch, model, guess, shown, tuned):
    monkeypatch.setattr(fine_tuning, 'PULL', 100.0)
    held = fine_tuning.FineTuner(model).fit(guess, shown).person
    ways = [np.linalg.norm(tokens - guess) for tokens in (held.tokens, tuned[0].person.tokens)]
    assert 0 < ways[0] < 0.3 * ways[1]


def test_the_model_is_not_changed(model, guess, shown):
    def taken():
        trees = (model.clip.params, model.saved.params, model._params)
        return [np.array(leaf) for leaf in jax.tree.leaves(trees)]

    before = taken()
    other = cpad_jax.models.person.Person(None, guess, 'image')
    texts = ['a person in a park', '[TOK] in a park']
    asked = model.encode_query(texts[0]), model.encode_query(texts[1], other)
    person = fine_tuning.FineTuner(model).fit(guess, shown, rank_one=True).person
    changed = model.encode_query(texts[1], person)
    assert np.abs(changed - asked[1]).max() > 1e-3
    for one, two in zip(before, taken(), strict=True):
        np.testing.assert_array_equal(one, two)
    # Nobody else is asked for in another way, and a query without [TOK] knows of no update.
    np.testing.assert_array_equal(model.encode_query(texts[0]), asked[0])
    np.testing.assert_array_equal(model.encode_query(texts[1], other), asked[1])
    mixed = model.encode_queries(texts, np.stack([person.tokens] * 2), person.update)
    np.testing.assert_array_equal(mixed[0], asked[0])
    np.testing.assert_allclose(mixed[1], changed, atol=1e-6)


def test_a_seed_decides(model, guess, shown, tuned):
    again = fine_tuning.FineTuner(model).fit(guess, shown, rank_one=True).person
    other = fine_tuning.FineTuner(model, seed=1).fit(guess, shown, rank_one=True).person
    for one, two in zip(
        jax.tree.leaves((again.tokens, again.update)),
        jax.tree.leaves((tuned[1].person.tokens, tuned[1].person.update)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)
    assert np.abs(other.tokens - again.tokens).max() > 1e-5


def test_two_updates_add_up():
    rng = np.random.default_rng(0)

    def layer(rank):
        return {'a': rng.normal(size=(4, rank)), 'b': rng.normal(size=(rank, 6))}

    shared = {'resblocks.0': {'value': layer(3), 'out': layer(3)}}
    own = {'resblocks.0': {'value': layer(1)}, 'resblocks.1': {'value': layer(1)}}
    both = clip_pad.with_update(shared, own)
    one, two, three = (u['resblocks.0']['value'] for u in (shared, own, both))
    np.testing.assert_allclose(
        three['a'] @ three['b'], one['a'] @ one['b'] + two['a'] @ two['b'], rtol=1e-5
    )
    assert both['resblocks.0']['out'] is shared['resblocks.0']['out']
    assert both['resblocks.1'] == own['resblocks.1']
    assert clip_pad.with_update(shared, None) is shared and clip_pad.with_update(None, None) is None


def test_photos_and_clips(model):
    rng = np.random.default_rng(7)
    pictures = [rng.integers(0, 256, (40, 40, 3), dtype=np.uint8) for _ in range(5)]
    clip = np.stack(pictures[3:])
    guess = model.person('Anna', pictures, cropped=True)
    person = cpad_jax.fine_tune(model, guess, pictures[:4], [clip])
    assert (person.name, person.num_images) == ('Anna', 5)
    embedded = model.clip.encode_image(model.clip.preprocess(pictures[:4]))
    expected = np.stack([model.encode_clip(clip), *embedded])
    expected = fine_tuning.FineTuner(model).fit(guess.tokens, expected).person
    np.testing.assert_allclose(person.tokens, expected.tokens, atol=1e-5)


def test_what_is_needed(model, guess, shown):
    with pytest.raises(UserError, match='needs photos or clips of the person'):
        cpad_jax.fine_tune(model, model.person('Orla Brandt'))
    with pytest.raises(UserError, match='keeps no photos of other people'):
        fine_tuning.FineTuner(tiny_cpad.make(background=False))
    others = np.random.default_rng(8).normal(size=(40, 32))
    given = fine_tuning.FineTuner(model, others).fit(guess, shown).person
    assert np.abs(given.tokens - guess).max() > 1e-3


def test_the_nearest_of_the_others_may_be_the_person(model, guess, shown):
    others = np.random.default_rng(9).normal(size=(39, 32))
    # However near the one that is left out comes, nothing changes.
    found = [
        fine_tuning.FineTuner(model, np.concatenate([others, [near]])).fit(guess, shown).person
        for near in (shown.mean(axis=0), shown[0])
    ]
    np.testing.assert_allclose(found[0].tokens, found[1].tokens, atol=1e-6)
