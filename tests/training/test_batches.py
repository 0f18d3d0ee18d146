import collections

import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.features.store import IdentityFeatures
from cpad_jax.text import prompts, training_phrases
from cpad_jax.text.tokenizer import TOK, ClipTokenizer, tokenize
from cpad_jax.training import batches

PEOPLE, D = 12, 8


def make_features(counts=(4,) * PEOPLE, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    return IdentityFeatures(
        faces=rng.normal(size=(len(labels), 6)).astype(np.float16),
        images=rng.normal(size=(len(labels), D)).astype(np.float16),
        labels=labels,
        image_ids=np.array([f'photo {i}' for i in range(len(labels))]),
        names=np.array([f'Name {chr(97 + i)}' for i in range(len(counts))]),
        identities=np.arange(len(counts)),
    )


STEPS = np.random.default_rng(9).normal(size=(len(batches.composition_phrases()), D))
STEPS = STEPS.astype(np.float32)
EVEN = {'text': 1, 'image': 1, 'text_image': 1}


def make(features=None, people=5, images=2, references=3, forms=EVEN, seed=0, context=32, tokens=1):
    return batches.IdentityBatches(
        features or make_features(),
        batches.BatchSizes(people, images, references, forms),
        seed, tokens, ClipTokenizer(context), STEPS, np.arange(PEOPLE) % 3 == 0,
    )  # fmt: skip


def test_references_are_other_photos_of_the_same_person():
    features = make_features()
    draw = make(features)
    counts = collections.Counter()
    for step in range(60):
        batch = draw.batch(step)
        for row, target in enumerate(batch['target']):
            person = batch['identity'][row]
            shown = batch['references'][row][batch['references'][row] >= 0]
            assert features.labels[target] == person
            assert (features.labels[shown] == person).all()
            assert target not in shown and len(set(shown)) == len(shown)
            counts[len(shown), int(batch['form'][row])] += 1
            np.testing.assert_array_equal(batch['weights'][row].sum(), len(shown))
            np.testing.assert_array_equal(
                batch['features'][row, : len(shown)], features.faces[shown]
            )
            np.testing.assert_array_equal(batch['image'][row], features.images[target])
        # Every person of a batch has K different photos to be found.
        pairs = batch['target'].reshape(5, 2)
        assert (pairs[:, 0] != pairs[:, 1]).all()
    assert {n for n, form in counts if form == batches.TEXT} == {0}
    assert {n for n, form in counts if form != batches.TEXT} == {1, 2, 3}


def test_photos_that_teach_are_the_persons_own():
    features = make_features()
    draw = make(features, seed=2)
    for step in range(10):
        batch = draw.batch(step)
        assert batch['taught_features'].shape[:2] == batch['taught_weights'].shape
        for i, row in enumerate(batch['composition_row']):
            own = features.faces[features.labels == batch['identity'][row]]
            shown = batch['taught_features'][i][batch['taught_weights'][i] > 0]
            assert len(shown) >= 1
            assert all((own == face).all(axis=1).any() for face in shown)


def test_batches_start_anywhere():
    draw, again = make(), make()
    whole = draw.iterate(0)
    expected = [next(whole) for _ in range(9)]
    for start in (0, 4):
        tail = again.iterate(start)
        for step in range(start, 9):
            batch = next(tail)
            assert batch.keys() == expected[step].keys()
            for name in batch:
                np.testing.assert_array_equal(batch[name], expected[step][name])
    other = make(seed=1).batch(0)
    assert any((other[name] != expected[0][name]).any() for name in ('target', 'ids'))


def test_everybody_has_a_turn_in_each_epoch():
    draw = make(people=4)
    for epoch in range(3):
        seen = np.concatenate([draw.people(3 * epoch + place) for place in range(3)])
        assert sorted(seen) == list(range(PEOPLE))
    assert (draw.people(0) != draw.people(3)).any()


def test_token_ids_are_those_of_the_whole_text():
    draw = make(seed=3)
    phrases = set(training_phrases.PHOTOS)
    for step in range(20):
        batch = draw.batch(step)
        for row, person in enumerate(batch['identity']):
            name = f'Name {chr(97 + person)} '
            who = '[TOK]' if batch['form'][row] == batches.IMAGE else f'{name}[TOK]'
            texts = [phrase.format(who) for phrase in training_phrases.PHOTOS]
            ids = tokenize(texts, draw.prompts.length)
            match = (ids == batch['ids'][row]).all(axis=1)
            assert match.sum() == 1
            phrases.discard(training_phrases.PHOTOS[np.argmax(match)])
    assert not phrases  # All of them were drawn.


def test_compositions_speak_of_the_row_they_name():
    draw = make(seed=5)
    all_phrases = batches.composition_phrases()
    kinds = collections.Counter()
    for step in range(20):
        batch = draw.batch(step)
        np.testing.assert_array_equal(batch['composition_row'] // 2, np.arange(5))
        for i, row in enumerate(batch['composition_row']):
            person = batch['identity'][row]
            name = '' if batch['form'][row] == batches.IMAGE else f'Name {chr(97 + person)} '
            who = f'{name}[TOK]'
            base = tokenize(training_phrases.BASE.format(who), draw.prompts.length)[0]
            np.testing.assert_array_equal(batch['composition_ids'][i, 1], base)
            (number,) = np.flatnonzero((STEPS == batch['composition_step'][i]).all(axis=1))
            phrase = all_phrases[number]
            moved = tokenize(phrase.format(who), draw.prompts.length)[0]
            np.testing.assert_array_equal(batch['composition_ids'][i, 0], moved)
            taught = tokenize(phrase.format('[TOK]'), draw.prompts.length)[0]
            np.testing.assert_array_equal(batch['taught_ids'][i], taught)
            plain = tokenize(phrase.format(f'Name {chr(97 + person)}'), draw.prompts.length)[0]
            np.testing.assert_array_equal(batch['named_ids'][i], plain)
            assert batch['named_known'][i] == (person % 3 == 0)
            doing, where = len(training_phrases.DOING), len(training_phrases.WHERE)
            kinds[int(number >= doing) + int(number >= doing + where)] += 1
    assert min(kinds[k] for k in range(3)) > 20


def test_several_tokens_and_cut_names():
    features = make_features()
    draw = make(features, tokens=3, forms={'text': 1})
    assert ((draw.batch(0)['ids'] == TOK).sum(axis=1) == 3).all()
    long = make_features()
    names = np.array(['very long name ' * 12] * PEOPLE)
    cut = make(IdentityFeatures(**{**vars(long), 'names': names}), context=24, forms={'text': 1})
    batch = cut.batch(0)
    assert batch['ids'].shape[1] == 24
    assert ((batch['ids'] == TOK).sum(axis=1) == 1).all()
    assert ((batch['ids'] == 49407).sum(axis=1) == 1).all()
    with pytest.raises(UserError, match='config.model.num_tokens is 20'):
        make(tokens=20, context=24)


def test_people_with_few_photos():
    counts = (1, 1, 1, 2, 2, 2)
    features = make_features(counts)
    draw = make(features, people=6, images=3)
    for step in range(10):
        batch = draw.batch(step)
        alone = np.array(counts)[batch['identity']] == 1
        assert (batch['form'][alone] == batches.TEXT).all()
        assert (batch['weights'][alone] == 0).all()
        assert (features.labels[batch['target']] == batch['identity']).all()
    # Without the text form, somebody with one photo cannot be learned.
    photos = make(features, people=3, forms={'image': 1})
    assert set(photos.batch(0)['identity']) == {3, 4, 5}
    with pytest.raises(UserError, match='3 people have 2 or more training photos, fewer than'):
        make(features, people=4, forms={'image': 1})


@pytest.mark.parametrize('forms', [{'text': 0}, {'text': -1, 'image': 2}, {'texts': 1}])
def test_forms_that_make_no_sense(forms):
    with pytest.raises(UserError, match='config.train.forms is'):
        make(forms=forms)


def test_forms_are_drawn_by_weight():
    draw = make(forms={'text': 3, 'image': 1, 'text_image': 0})
    forms = np.concatenate([draw.batch(step)['form'] for step in range(100)])
    assert set(forms) == {batches.TEXT, batches.IMAGE}
    assert np.mean(forms == batches.TEXT) == pytest.approx(0.75, abs=0.05)


def test_phrases_are_not_those_of_evaluation():
    asked = {*prompts.ACTION_PHRASES.values(), *prompts.PLACE_PHRASES.values()}
    own = training_phrases.DOING + training_phrases.WHERE
    assert not asked & set(own)
    shown = [*training_phrases.ACTION_CAPTIONS.values(), *training_phrases.PLACE_CAPTIONS.values()]
    for phrase in (phrase for phrases in shown for phrase in phrases):
        assert not any(text in phrase for text in asked), phrase
    assert tuple(training_phrases.ACTION_CAPTIONS) == prompts.ALL_ACTIONS
    assert tuple(training_phrases.PLACE_CAPTIONS) == prompts.PLACES
    for phrase in (*training_phrases.PHOTOS, *batches.composition_phrases()):
        assert phrase.count('{}') == 1
        assert not any(text in phrase for text in asked), phrase
