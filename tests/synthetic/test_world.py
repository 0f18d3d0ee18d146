import collections
import dataclasses

import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.synthetic import people, world
from cpad_jax.text.prompts import ACTIONS, PLACES

SMALL = world.WorldSpec(
    seed=5, movies=6, shows=2, clips_per_title=20, cast_size=5, train_people=40, cast_seen=16,
    cast_unseen=6, photos_per_person=(3,), reference_photos=2, seconds=1.0,
)  # fmt: skip


@pytest.fixture(scope='module')
def small():
    return world.World(SMALL)


def test_a_world_has_the_shape_of_the_benchmark():
    whole = world.World(world.WorldSpec())
    sources = collections.Counter(title.source for title in whole.titles)
    assert sources == {'movie': 69, 'show': 5}
    assert len(whole.clips) == 74 * 34 > 2500
    assert len({clip.clip_id for clip in whole.clips}) == len(whole.clips)
    crowd = collections.Counter(len(clip.performers) for clip in whole.clips)
    assert (crowd[2] + crowd[3]) / len(whole.clips) > 0.7
    done = collections.Counter(a for c in whole.clips for p in c.performers for a in p.actions)
    assert set(done) == set(range(12)) and min(done.values()) > 50
    assert {clip.place for clip in whole.clips} == set(range(10))


def test_a_world_is_a_function_of_its_spec(small):
    again = world.World(SMALL)
    assert again.clips == small.clips and again.titles == small.titles
    other = world.World(dataclasses.replace(SMALL, seed=6))
    assert other.clips != small.clips
    assert SMALL.fingerprint() != dataclasses.replace(SMALL, seed=6).fingerprint()


def test_all_actions_are_possible_in_their_place(small):
    for clip in small.clips:
        place = PLACES[clip.place]
        for performer in clip.performers:
            assert all(ACTIONS[a] in world.PLAUSIBLE[place] for a in performer.actions)
    assert sum(len(possible) for possible in world.PLAUSIBLE.values()) == 91


def test_targets_are_the_people_who_receive_the_action(small):
    directed = 0
    for clip in small.clips:
        for index, performer in enumerate(clip.performers):
            if performer.target < 0:
                continue
            partner = clip.performers[performer.target]
            assert performer.target != index
            action = ACTIONS[performer.actions[0]]
            if action in world.MUTUAL:
                assert partner.target == index and partner.actions == performer.actions
            else:
                assert partner.receives == action and partner.actions == () and partner.target == -1
                directed += 1
    assert directed > 10


def test_clips_hold_the_cast_of_their_title_and_clothes_change(small):
    outfits = collections.defaultdict(set)
    for clip in small.clips:
        for performer in clip.performers:
            assert performer.person in small.titles[clip.title].cast
            outfits[performer.person, clip.title].add(performer.outfit_seed)
    assert sum(len(seeds) == 2 for seeds in outfits.values()) > 0.7 * len(outfits)


def test_photos_of_queries_are_not_those_of_training(small):
    train, references = small.photos('train'), small.photos('references')
    assert len(train) == 40 * 3 and len(references) == 22 * 2
    assert not {p.image_id for p in train} & {p.image_id for p in references}
    assert not {(p.person, p.source) for p in train} & {(p.person, p.source) for p in references}
    assert all(p.person < people.UNSEEN_OFFSET for p in train)
    titles = {title.title_id for title in small.titles}
    assert not titles & {p.source for p in references}


def test_casts_hold_look_alikes():
    whole = world.World(world.WorldSpec())
    rng = np.random.default_rng(0)

    def nearest(cast):
        looks = [people.person(i).looks for i in cast]
        return max(people.similarity(a, b) for i, a in enumerate(looks) for b in looks[:i])

    in_titles = np.mean([nearest(title.cast) for title in whole.titles])
    by_chance = np.mean([nearest(rng.permutation(whole.cast)[:7]) for _ in range(74)])
    assert in_titles > by_chance + 0.05


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'cast_seen': 50}, 'raise seen_people'),
        ({'cast_size': 30}, 'lower cast_size'),
        ({'cast_size': 2}, 'at least 3'),
    ],
)
def test_impossible_worlds_are_refused(change, words):
    with pytest.raises(UserError, match=words):
        world.World(dataclasses.replace(SMALL, **change))


def test_people_per_shot_and_stars_in_the_cast():
    spec = dataclasses.replace(
        SMALL,
        clips_per_title=100,
        people_per_shot=(70, 30, 0),
        stars=16,
        cast_stars=9,
        cast_seen=15,
    )
    lonely = world.World(spec)
    crowd = collections.Counter(len(clip.performers) for clip in lonely.clips)
    assert abs(crowd[1] / len(lonely.clips) - 0.7) < 0.05 and crowd[3] == 0
    seen = {person for person in lonely.cast if person < people.UNSEEN_OFFSET}
    assert len(seen) == 15 and sum(person < 16 for person in seen) == 9


def test_people_have_habits():
    def done(habits):
        spec = dataclasses.replace(
            SMALL, clips_per_title=60, people_per_shot=(100, 0, 0), habits=habits
        )
        return [
            (performer.person, action, clip.place)
            for clip in world.World(spec).clips
            for performer in clip.performers
            for action in performer.actions
        ]

    repertoire = collections.defaultdict(set)
    for person, action, _ in done(5):
        repertoire[person].add(action)
    assert max(map(len, repertoire.values())) <= 5
    # An action that was not done in a place yet goes before one that was: more pairs in all.
    assert len(set(done(5))) / len(done(5)) > 0.5


def test_an_action_is_performed_elsewhere_before_the_same_place_again():
    drawn = world.World(dataclasses.replace(SMALL, habits=4))
    person, place = drawn.cast[0], 'INT-office'
    habits = [action for action in ACTIONS if action in drawn._habits[person]]
    assert len(habits) == 4
    drawn._done = {(person, habits[0], place), (person, habits[1], 'INT-shop')}
    assert drawn._preferred(person, place, list(ACTIONS)) == habits[1:]
    drawn._done = {(person, action, place) for action in habits}
    assert drawn._preferred(person, place, list(ACTIONS)) == habits
    assert drawn._preferred(person, place, []) == []


def test_titles_have_the_configured_number_of_places():
    titles = world.World(dataclasses.replace(SMALL, movies=30, places_per_title=(6, 8))).titles
    assert {len(title.places) for title in titles} == {6, 7, 8}


def test_people_have_the_configured_number_of_training_photos():
    spec = dataclasses.replace(SMALL, photos_per_person=(1, 5, 2))
    counts = collections.Counter(plan.person for plan in world.World(spec).photos('train'))
    assert [counts[person] for person in range(5)] == [1, 5, 2, 1, 5]
    assert len({plan.image_id for plan in world.World(spec).photos('train')}) == counts.total()


@pytest.mark.parametrize(
    'change, match',
    [
        ({'photos_per_person': ()}, '1 or more'),
        ({'photos_per_person': (3, 0)}, '1 or more'),
        ({'push_ins': 101}, 'at most 100'),
        ({'places_per_title': (0, 3)}, 'from 1 to 10'),
        ({'places_per_title': (5, 4)}, 'from 1 to 10'),
        ({'places_per_title': (4, 11)}, 'from 1 to 10'),
        ({'people_per_shot': (50, 50)}, 'of 100 shots'),
        ({'people_per_shot': (50, 40, 20)}, 'of 100 shots'),
        ({'people_per_shot': (120, -40, 20)}, 'of 100 shots'),
        ({'stars': 10, 'cast_stars': 11}, '11 of 16 seen'),
        ({'stars': 30, 'cast_stars': 3}, '3 of 16 seen'),
    ],
)
def test_impossible_shots_and_casts_are_refused(change, match):
    with pytest.raises(UserError, match=match):
        world.World(dataclasses.replace(SMALL, **change))
