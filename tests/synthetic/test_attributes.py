import numpy as np
import pytest

from cpad_jax.synthetic import attributes, people
from cpad_jax.synthetic.world import Performer

WOMAN, MAN = (attributes.code('gender', word) for word in ('woman', 'man'))
RED, BLOND = (attributes.code('hair_colour', word) for word in ('red', 'blond'))


def matches(stated, *pictures):
    pictured = np.stack(
        [attributes.pack(p, attributes.MAX_PEOPLE, attributes.ABSENT) for p in pictures]
    )
    packed = attributes.pack(stated, attributes.MAX_SUBJECTS, attributes.ANY)
    return np.asarray(attributes.caption_matches(packed[None], pictured))[0].tolist()


def person(**values):
    return {'person': 7, 'gender': WOMAN, 'hair_colour': RED, 'doing': 0, 'partner': -1, **values}


def test_one_person_has_all_attributes_that_a_caption_states():
    red_woman, blond_man = person(), person(gender=MAN, hair_colour=BLOND)
    red_man = person(gender=MAN)
    caption = [{'gender': WOMAN, 'hair_colour': RED}]
    assert matches(caption, [red_woman], [blond_man], [red_man]) == [True, False, False]
    # A blond woman and a red-haired man are no red-haired woman.
    blond_woman = person(hair_colour=BLOND)
    assert matches(caption, [blond_woman, red_man], [blond_man, red_woman]) == [False, True]
    # A caption without attributes is true of every picture with a person.
    assert matches([{}], [red_man], [blond_man, red_man]) == [True, True]


def test_two_people_of_a_caption_are_two_people_of_the_picture():
    red_woman, blond_woman = person(), person(hair_colour=BLOND)
    caption = [{'gender': WOMAN}, {'hair_colour': RED}]
    assert matches(caption, [red_woman], [red_woman, blond_woman]) == [False, True]
    assert matches(caption, [red_woman, person(gender=MAN, hair_colour=BLOND)]) == [False]


def test_a_stated_partner_is_the_partner_in_the_picture():
    hugging = person(doing=3, partner=2)
    beside, hugged = person(hair_colour=BLOND), person(gender=MAN, partner=0)
    caption = [{'doing': 3, 'partner': 0}, {'gender': MAN}]
    assert matches(caption, [hugging, beside, hugged]) == [True]
    assert matches(caption, [hugging, hugged | {'partner': -1}, beside]) == [False]
    blond = [{'doing': 3, 'partner': 0}, {'hair_colour': BLOND}]
    assert matches(blond, [hugging, beside, hugged]) == [False]


def test_attributes_of_a_scene():
    performers = (
        Performer(1, (6,), 1, outfit_seed=5),
        Performer(2, (), -1, outfit_seed=6, receives='HugPerson'),
    )
    first, second = attributes.scene_attributes(performers, 'INT-shop')
    looks = people.person(1).looks
    assert first['person'] == 1 and first['gender'] == attributes.code('gender', looks.gender)
    assert first['doing'] == 6 and first['partner'] == 1 and second['partner'] == 0
    assert second['doing'] > attributes.IDLE
    assert first['place'] == second['place'] == attributes.code('place', 'INT-shop')


def test_captions_of_absent_attributes_match_no_person():
    bald = next(i for i in range(500) if people.person(i).looks.hair_style == 'bald')
    outfit = people.draw_outfit(np.random.default_rng(0), people.person(bald).looks)
    values = attributes.person_attributes(bald, outfit)
    assert values['hair_colour'] == attributes.ABSENT
    for colour in people.HAIR_COLOURS:
        assert matches([{'hair_colour': attributes.code('hair_colour', colour)}], [values]) == [
            False
        ]
    with pytest.raises(ValueError):
        attributes.code('hair_colour', 'turquoise')
