import numpy as np
import pytest

from cpad_jax.synthetic import attributes, people
from cpad_jax.synthetic.world import Performer

WOMAN, MAN = (attributes.code('gender', word) for word in ('woman', 'man'))
RED, BLOND = (attributes.code('hair_colour', word) for word in ('red', 'blond'))


def truth(said, *pictures):
    facts = np.stack(
        [attributes.pack(p, attributes.MAX_PEOPLE, attributes.NOBODY) for p in pictures]
    )
    packed = attributes.pack(said, attributes.MAX_SUBJECTS, attributes.UNSAID)
    return np.asarray(attributes.truth(packed[None], facts))[0].tolist()


def somebody(**facts):
    return {'person': 7, 'gender': WOMAN, 'hair_colour': RED, 'doing': 0, 'partner': -1, **facts}


def test_all_that_is_said_must_hold_for_one_person():
    red_woman, blond_man = somebody(), somebody(gender=MAN, hair_colour=BLOND)
    red_man = somebody(gender=MAN)
    said = [{'gender': WOMAN, 'hair_colour': RED}]
    assert truth(said, [red_woman], [blond_man], [red_man]) == [True, False, False]
    # A blond woman and a red-haired man are no red-haired woman.
    blond_woman = somebody(hair_colour=BLOND)
    assert truth(said, [blond_woman, red_man], [blond_man, red_woman]) == [False, True]
    # What says nothing is true of every picture with somebody in it.
    assert truth([{}], [red_man], [blond_man, red_man]) == [True, True]


def test_two_people_must_be_two():
    red_woman, blond_woman = somebody(), somebody(hair_colour=BLOND)
    said = [{'gender': WOMAN}, {'hair_colour': RED}]
    assert truth(said, [red_woman], [red_woman, blond_woman]) == [False, True]
    assert truth(said, [red_woman, somebody(gender=MAN, hair_colour=BLOND)]) == [False]


def test_a_partner_must_be_the_partner():
    hugging = somebody(doing=3, partner=2)
    beside, hugged = somebody(hair_colour=BLOND), somebody(gender=MAN, partner=0)
    said = [{'doing': 3, 'partner': 0}, {'gender': MAN}]
    assert truth(said, [hugging, beside, hugged]) == [True]
    assert truth(said, [hugging, hugged | {'partner': -1}, beside]) == [False]
    blond = [{'doing': 3, 'partner': 0}, {'hair_colour': BLOND}]
    assert truth(blond, [hugging, beside, hugged]) == [False]


def test_facts_of_a_scene():
    performers = (
        Performer(1, (6,), 1, outfit_seed=5),
        Performer(2, (), -1, outfit_seed=6, receives='HugPerson'),
    )
    first, second = attributes.scene_facts(performers, 'INT-shop')
    looks = people.person(1).looks
    assert first['person'] == 1 and first['gender'] == attributes.code('gender', looks.gender)
    assert first['doing'] == 6 and first['partner'] == 1 and second['partner'] == 0
    assert second['doing'] > attributes.IDLE
    assert first['place'] == second['place'] == attributes.code('place', 'INT-shop')


def test_what_cannot_be_seen_is_not_claimed_of_anybody():
    bald = next(i for i in range(500) if people.person(i).looks.hair_style == 'bald')
    outfit = people.draw_outfit(np.random.default_rng(0), people.person(bald).looks)
    facts = attributes.person_facts(bald, outfit)
    assert facts['hair_colour'] == attributes.NOBODY
    for colour in people.HAIR_COLOURS:
        assert truth([{'hair_colour': attributes.code('hair_colour', colour)}], [facts]) == [False]
    with pytest.raises(ValueError):
        attributes.code('hair_colour', 'turquoise')
