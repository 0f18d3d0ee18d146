import numpy as np

from cpad_jax.synthetic import attributes, caption_shards, captions, people, world
from cpad_jax.text import prompts
from cpad_jax.text.tokenizer import EOT, tokenize


def _many_captions(count=300):
    rng = np.random.default_rng(0)
    texts = []
    for _ in range(count):
        place = str(rng.choice(prompts.PLACES))
        cast = [int(i) for i in rng.permutation(600)[:3]]
        performers = world.draw_performers(rng, place, cast)
        texts += [t for t, _ in captions.scene_captions(rng, performers, place, 300)]
        outfit = people.draw_outfit(rng, people.person(cast[0]).looks)
        texts += [t for t, _ in captions.portrait_captions(rng, cast[0], outfit, 300)]
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
    held_out = caption_shards.held_out_pairs()
    assert len(held_out) == 91 // 4
    rng = np.random.default_rng(0)
    for _ in range(400):
        place = str(rng.choice(prompts.PLACES))
        for performer in world.draw_performers(rng, place, [1, 2, 3], held_out):
            assert all((prompts.ACTIONS[a], place) not in held_out for a in performer.actions)


def test_shards_repeat_and_differ(monkeypatch):
    monkeypatch.setattr(caption_shards, 'SHARD_SIZE', 12)
    drawn = caption_shards.make_shard(0, 0, 300, 48)
    for one, same in zip(drawn, caption_shards.make_shard(0, 0, 300, 48), strict=True):
        np.testing.assert_array_equal(one.picture, same.picture)
        assert one.captions == same.captions and one.people == same.people
    assert len(drawn) == 12 and all(len(one.captions) == captions.COUNT for one in drawn)
    other = caption_shards.make_shard(1, 0, 300, 48)
    assert not np.array_equal(drawn[0].picture, other[0].picture)


def test_every_caption_is_true_of_its_own_picture(monkeypatch):
    monkeypatch.setattr(caption_shards, 'SHARD_SIZE', 60)
    drawn = caption_shards.make_shard(3, 0, 300, 48)
    pictured = np.stack(
        [attributes.pack(one.people, attributes.MAX_PEOPLE, attributes.ABSENT) for one in drawn]
    )
    stated = np.array([
        [
            attributes.pack(rows, attributes.MAX_SUBJECTS, attributes.ANY)
            for _, rows in one.captions
        ]
        for one in drawn
    ])  # fmt: skip
    for kind in range(captions.COUNT):
        true = np.asarray(attributes.caption_matches(stated[:, kind], pictured))
        assert true.diagonal().all()
        assert true.mean() < 0.5  # And not of most others.


def test_stated_attributes_are_those_in_the_words():
    rng = np.random.default_rng(3)
    mentions = 0
    for _ in range(60):
        performers = world.draw_performers(rng, 'INT-kitchen', [1, 2, 3])
        for text, (stated, *_) in captions.scene_captions(rng, performers, 'INT-kitchen', 300)[:2]:
            for colour in people.HAIR_COLOURS:
                number = attributes.code('hair_colour', colour)
                if stated.get('hair_colour') == number:
                    assert colour in text
                    mentions += 1
            words = text.split()
            assert ('young' in words) <= (stated.get('age') == attributes.code('age', 'young'))
            assert ('glasses' in words) >= bool(stated.get('any_glasses', 0))
    assert mentions > 40


def test_the_last_caption_of_a_scene_names_no_person():
    rng = np.random.default_rng(3)
    for _ in range(50):
        performers = world.draw_performers(rng, 'INT-kitchen', [1, 2, 3])
        *_, (text, (stated,)) = captions.scene_captions(rng, performers, 'INT-kitchen', 300)
        assert text.startswith(('a person ', 'someone ', 'one person '))
        assert set(stated) == {'doing', 'place'}
