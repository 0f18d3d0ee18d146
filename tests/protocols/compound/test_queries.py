"""The protocol on a world of ten clips, where every rule is broken once."""

import copy

import pytest

from cpad_jax.errors import UserError
from cpad_jax.protocols.compound import queries
from cpad_jax.ranking.query import Query
from cpad_jax.text.prompts import ACTIONS, PLACES

EAT, RUN, KISS = (ACTIONS.index(name) for name in ('Eat', 'Run', 'Kiss'))
KITCHEN, ROAD = (PLACES.index(name) for name in ('INT-kitchen', 'EXT-road'))


def clip(title, place, **people):
    return {
        'clip_id': '',
        'title': title,
        'place': place,
        'people': [{'person_id': who, 'actions': list(does)} for who, does in people.items()],
    }


@pytest.fixture
def clips():
    return [
        clip('A', KITCHEN, ada=[EAT], bob=[]),  # 0
        clip('A', KITCHEN, ada=[], bob=[EAT]),  # 1: Ada is there, but it is Bob who eats
        clip('A', ROAD, ada=[EAT]),  # 2
        clip('A', ROAD, ada=[RUN], bob=[RUN]),  # 3
        clip('B', KITCHEN, ada=[RUN]),  # 4
        clip('B', KITCHEN, bob=[EAT]),  # 5
        clip('B', KITCHEN, cy=[EAT]),  # 6
        clip('B', ROAD, cy=[EAT, RUN]),  # 7
        clip('B', -1, bob=[EAT]),  # 8: nobody knows where
        clip('C', ROAD, cy=[RUN]),  # 9
    ]


PEOPLE = {
    'ada': {'name': 'Ada Abbott', 'seen': True},
    'bob': {'name': 'Bob Boyd', 'seen': True},
    'cy': {'name': 'Cy Cole', 'seen': False},
}
PHOTOS = {
    'ada': [{'image_id': f'ada/{s}', 'source': s} for s in ('A', 'studio', 'street', 'B')],
    'bob': [{'image_id': 'bob/1', 'source': ''}],
    'cy': [{'image_id': 'cy/1', 'source': 'studio'}],
}


def build(clips, photos=PHOTOS, **options):
    options = {'min_distractors': 2, 'num_references': 2} | options
    found = queries.build_queries(clips, PEOPLE, photos, **options)
    assert len({query.query_id for query in found}) == len(found)
    return {query.query_id: query for query in found}


def test_every_query_of_the_world_is_the_one_worked_out_by_hand(clips):
    found = build(clips, min_distractors=2)
    assert {key: query.relevant for key, query in found.items()} == {
        # Ada is in 0 1 2 3 4. Eating without her: 5 6 7 8. Running without her: 7 9.
        'action/ada/Eat': (0, 2),
        'action/ada/Run': (3, 4),
        # Bob is in 0 1 3 5 8. Eating without him: 2 6 7. Running without him: 4 7 9.
        'action/bob/Eat': (1, 5, 8),
        'action/bob/Run': (3,),
        # Cy is in 6 7 9; eating leaves one other clip of his, as running does: too few.
        # Kitchens without Ada: 5 6; roads without her: 7 9. She is elsewhere in 2 3, in 0 1 4.
        'place/ada/INT-kitchen': (0, 1, 4),
        'place/ada/EXT-road': (2, 3),
        # Kitchens without Bob: 4 6; roads: 2 7 9. Elsewhere he is in 3 8, in 0 1 5 8.
        'place/bob/INT-kitchen': (0, 1, 5),
        'place/bob/EXT-road': (3,),
        # Kitchens without Cy: 0 1 4 5, and he is elsewhere in 7 9; but not on the road only in 6.
        'place/cy/INT-kitchen': (6,),
        # Ada eats in the kitchen in 0 (without her 5 6); on the road others eat in 7 alone.
        'action+place/ada/Eat/INT-kitchen': (0,),
        # Running on the road without Ada: 7 9. Nobody else runs in a kitchen.
        'action+place/ada/Run/EXT-road': (3,),
        # Bob eats in kitchens in 1 5; without him only 6 is left. On roads others run in 7 9.
        'action+place/bob/Run/EXT-road': (3,),
        # In kitchens others than Cy eat in 0 1 5; on roads only in 2.
        'action+place/cy/Eat/INT-kitchen': (6,),
    }


def test_who_eats_counts_not_who_is_there_when_someone_eats(clips):
    assert 1 not in build(clips)['action/ada/Eat'].relevant
    clips[1]['people'][0]['actions'] = [EAT]
    assert 1 in build(clips)['action/ada/Eat'].relevant


def test_action_and_place_must_meet_in_one_clip(clips):
    # Ada runs in 3 (road) and 4 (kitchen), and eats in 2 (road): only 3 is running on a road.
    assert build(clips)['action+place/ada/Run/EXT-road'].relevant == (3,)


@pytest.mark.parametrize('number, rule', [(7, 'same doing, other person'), (2, 'same person')])
def test_too_few_distractors_drop_the_query(clips, number, rule):
    # 7 and 9 are all others who run; 0 1 2 are all clips of Ada not running.
    assert 'action/ada/Run' in build(clips)
    clips[number]['people'] = []
    kept = build(clips, min_distractors=2 if number == 7 else 3)
    assert 'action/ada/Run' not in kept, rule
    assert 'action/ada/Eat' in build(clips, min_distractors=2)


def test_the_paper_asks_for_five_distractors(clips):
    assert queries.MIN_DISTRACTORS == 5
    assert queries.build_queries(clips, PEOPLE, PHOTOS) == []


def test_an_unknown_place_is_never_asked_for_and_never_an_answer(clips):
    asked = build(clips, min_distractors=0).values()
    assert all(query.place in ('INT-kitchen', 'EXT-road') for query in asked if not query.action)
    assert all(query.place for query in asked if query.scenario == 'action+place')
    assert 8 in build(clips)['action/bob/Eat'].relevant
    assert 8 not in build(clips)['place/bob/INT-kitchen'].relevant


def test_references_never_come_from_a_title_that_holds_an_answer(clips):
    found = build(clips)
    # Eating: answers in A only. Running: answers in A and B.
    assert found['action/ada/Eat'].references == ('ada/studio', 'ada/street')
    assert build(clips, num_references=4)['action/ada/Eat'].references == (
        'ada/studio', 'ada/street', 'ada/B',
    )  # fmt: skip
    assert build(clips, num_references=4)['action/ada/Run'].references == (
        'ada/studio', 'ada/street',
    )  # fmt: skip
    only_a = PHOTOS | {'ada': PHOTOS['ada'][:1]}
    assert not any(query.person_id == 'ada' for query in build(clips, only_a).values())


def test_what_a_query_says(clips):
    query = build(clips)['action+place/ada/Eat/INT-kitchen']
    assert (query.scenario, query.name, query.seen) == ('action+place', 'Ada Abbott', True)
    assert (query.action, query.place) == ('Eat', 'INT-kitchen')
    assert build(clips)['place/bob/EXT-road'].action is None


def test_order_is_fixed_and_the_records_stay_as_they_are(clips):
    before = copy.deepcopy(clips)
    keys = list(build(clips))
    assert clips == before
    for record in clips:
        record['people'].reverse()
    assert list(build(clips)) == keys
    assert [key.split('/')[0] for key in keys] == ['action'] * 4 + ['place'] * 5 + [
        'action+place'
    ] * 4
    assert set(build(clips, scenarios=('place',))) == {k for k in keys if k.startswith('place')}


def test_an_unknown_scenario_is_named(clips):
    with pytest.raises(UserError, match="'acton'.*action, place, action\\+place"):
        build(clips, scenarios=('acton',))


def test_stand_ins_are_somebody_else_of_the_same_kind():
    def query(person_id, seen):
        return Query('', 'action', person_id, '', seen, 'Eat', None, (0,), ('x',))

    asked = [query(f's{i}', True) for i in range(9)] + [query(f'u{i}', False) for i in range(2)]
    drawn = set()
    for seed in range(20):
        pairs = queries.impostors(asked, seed)
        assert set(pairs) == {q.person_id for q in asked} == set(pairs.values())
        assert all(who != other and who[0] == other[0] for who, other in pairs.items())
        assert pairs == queries.impostors(asked[::-1], seed)
        drawn.add(tuple(sorted(pairs.items())))
    assert len(drawn) > 15
    assert queries.impostors([query('s0', True), query('u0', False)], 0) == {}


def test_where_only_clips_have_actions_everybody_in_them_does_them(clips):
    for each in clips:
        each['actions'] = sorted({a for person in each['people'] for a in person['actions']})
        for person in each['people']:
            person['actions'] = []
    assert not any(key.startswith('action') for key in build(clips))
    found = build(clips, relevance='clip')
    # In 0 and 1 somebody eats while Ada and Bob are both there, so both are taken to eat.
    assert found['action/ada/Eat'].relevant == (0, 1, 2)
    # Of Bob's 0 1 3 5 8 only 3 then shows him otherwise, which is too few.
    assert 'action/bob/Eat' not in found and found['action/bob/Run'].relevant == (3,)
    assert found['place/ada/EXT-road'].relevant == (2, 3)


def test_people_with_actions_of_their_own_are_lent_none(clips):
    for each in clips:
        each['actions'] = sorted({a for person in each['people'] for a in person['actions']})
    known = build(clips)
    assert build(clips, relevance='clip') == known


def test_actions_and_places_are_those_of_the_data_set(clips):
    found = build(clips, actions=[f'a{n}' for n in range(12)], places=[f'p{n}' for n in range(10)])
    query = found[f'action+place/ada/a{EAT}/p{KITCHEN}']
    assert (query.action, query.place) == (f'a{EAT}', f'p{KITCHEN}')
    assert query.relevant == (0,)


@pytest.mark.parametrize('wrong', [(), ('action', 'time')])
def test_scenarios_that_there_are_not_are_refused(wrong):
    with pytest.raises(UserError, match='config.eval.scenarios .*expected some of action, place'):
        queries.check(wrong, 'config.eval.scenarios')
