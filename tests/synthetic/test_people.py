import numpy as np
import pytest

from cpad_jax.synthetic import heads, names, people


def test_names_are_unique_over_both_pools():
    for gender in ('woman', 'man'):
        every = {names.name(number, gender) for number in range(2 * names.CAPACITY)}
        assert len(every) == 2 * names.CAPACITY
    with pytest.raises(ValueError, match='beyond'):
        names.name(2 * names.CAPACITY, 'woman')


def test_both_pools_use_the_same_last_names():
    def last(index):
        return people.person(index).name.split()[1]

    seen = {last(i) for i in range(1500)}
    unseen = {last(people.UNSEEN_OFFSET + i) for i in range(1500)}
    assert len(seen & unseen) > 0.9 * len(seen | unseen)


def test_a_person_is_a_function_of_their_number():
    drawn = people.person(17)
    people.person.cache_clear()
    assert people.person(17) == drawn
    assert drawn.person_id == 'n000018' and drawn.seen
    assert not people.person(people.UNSEEN_OFFSET).seen
    # Pinned: another numpy, another machine must draw the same people.
    assert drawn.name == 'Ada Sommer'
    assert (drawn.looks.hair_style, drawn.looks.hair_colour) == ('short', 'black')


def test_similarity_counts_common_attributes():
    a = people.person(0).looks
    assert people.similarity(a, a) == 1.0
    scores = [people.similarity(a, people.person(i).looks) for i in range(1, 200)]
    assert 0 <= min(scores) < 0.34 and 0.5 < max(scores) <= 1.0


def test_a_head_has_face_landmarks_in_their_order():
    looks = people.person(3).looks
    outfit = people.draw_outfit(np.random.default_rng(0), looks)
    head = heads.draw_head(looks, outfit, heads.Face(), 128)
    assert head.sprite.shape == (128, 128, 4) and head.sprite.dtype == np.uint8
    left_eye, right_eye, nose, left_mouth, right_mouth = head.landmarks
    assert left_eye[0] < nose[0] < right_eye[0] and left_mouth[0] < right_mouth[0]
    assert left_eye[1] < nose[1] < left_mouth[1]
    ymin, xmin, ymax, xmax = head.box
    assert all(ymin < y < ymax and xmin < x < xmax for x, y in head.landmarks)
    turned = heads.draw_head(looks, outfit, heads.Face(yaw=0.5), 128)
    # A turn to the right of the picture takes the nose along, further than the eyes.
    assert turned.landmarks[2, 0] - nose[0] > 8


def test_two_people_and_two_expressions_look_different():
    rng = np.random.default_rng(0)
    outfit = people.draw_outfit(rng, people.person(0).looks)

    def sprite(index, **face):
        return heads.draw_head(people.person(index).looks, outfit, heads.Face(**face), 96).sprite

    same = np.abs(sprite(0).astype(int) - sprite(0).astype(int)).mean()
    smile = np.abs(sprite(0).astype(int) - sprite(0, expression='smile').astype(int)).mean()
    other = np.abs(sprite(0).astype(int) - sprite(1).astype(int)).mean()
    assert same == 0 and 0 < smile < other
