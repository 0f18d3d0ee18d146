import numpy as np

from cpad_jax.data.synthetic import captioned, captions, people, world
from cpad_jax.text import prompts
from cpad_jax.text.tokenizer import EOT, tokenize


def _many_captions(count=300):
    rng = np.random.default_rng(0)
    texts = []
    for _ in range(count):
        place = str(rng.choice(prompts.PLACES))
        cast = [int(i) for i in rng.permutation(600)[:3]]
        performers = world.draw_performers(rng, place, cast)
        texts += captions.scene_captions(rng, performers, place, 300)[0]
        outfit = people.draw_outfit(rng, people.person(cast[0]).looks)
        texts += captions.portrait_captions(rng, cast[0], outfit, 300)
    return texts


def test_no_evaluation_phrase_occurs_in_pretraining_captions():
    phrases = (*prompts.ACTION_PHRASES.values(), *prompts.PLACE_PHRASES.values())
    # Every phrase that captions are made from, not only those that were drawn.
    written = [
        phrase
        for table in (captions._DOING, captions._DONE_TO, captions._WHERE)
        for options in table.values()
        for phrase in options
    ]
    for text in (*written, *_many_captions()):
        assert not any(phrase in text for phrase in phrases), text


def test_some_captions_name_people_and_most_do_not():
    texts = _many_captions()
    names = {people.person(i).name for i in range(600)}
    named = sum(any(name in text for name in names) for text in texts) / len(texts)
    assert 0.05 < named < 0.2
    unknown = {people.person(i).name for i in range(300, 600)}
    assert not any(name in text for name in unknown for text in texts)


def test_captions_fit_the_small_clip():
    ids = tokenize(_many_captions(), context_length=77)
    lengths = (ids == EOT).argmax(1) + 1
    assert np.mean(lengths <= 32) > 0.98 and np.median(lengths) < 20


def test_a_quarter_of_the_pairs_is_held_out_of_pretraining():
    held_out = captioned.held_out_pairs()
    assert len(held_out) == 91 // 4
    rng = np.random.default_rng(0)
    for _ in range(400):
        place = str(rng.choice(prompts.PLACES))
        for performer in world.draw_performers(rng, place, [1, 2, 3], held_out):
            assert all((prompts.ACTIONS[a], place) not in held_out for a in performer.actions)


def test_shards_repeat_and_differ(monkeypatch):
    monkeypatch.setattr(captioned, 'SHARD_SIZE', 12)
    pictures, texts, groups = captioned.make_shard(0, 0, 300, 48)
    again, same, _ = captioned.make_shard(0, 0, 300, 48)
    np.testing.assert_array_equal(pictures, again)
    assert texts == same and len(texts) == 12 and all(len(t) == 6 for t in texts)
    other, _, _ = captioned.make_shard(1, 0, 300, 48)
    assert not np.array_equal(pictures, other)
    for own, (place, action) in zip(texts, groups, strict=True):
        if place < 0:
            assert action < 0
            continue
        # The last caption is about place and main action and says nothing about looks.
        assert any(where in own[-1] for where in captions._WHERE[prompts.PLACES[place]])
        assert not any(word in own[-1] for word in (' hair', ' man', ' woman'))


def test_the_last_caption_of_a_scene_names_nobody():
    rng = np.random.default_rng(3)
    for _ in range(50):
        performers = world.draw_performers(rng, 'INT-kitchen', [1, 2, 3])
        texts, action = captions.scene_captions(rng, performers, 'INT-kitchen', 300)
        assert len(texts) == 6 and 0 <= action <= 12
        assert texts[-1].startswith(('a person ', 'someone ', 'one person '))
