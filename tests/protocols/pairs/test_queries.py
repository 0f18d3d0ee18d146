from cpad_jax.protocols.pairs import queries
from cpad_jax.protocols.pairs.queries import Doing
from cpad_jax.text.prompts import ACTIONS

EAT, SHAKE, HUG = (ACTIONS.index(name) for name in ('Eat', 'HandShake', 'HugPerson'))


def clip(title, *people):
    people = [{'person_id': who, 'actions': own, 'target': at} for who, own, at in people]
    return {'clip_id': '', 'title': title, 'actions': [], 'place': 0, 'people': people}


def idle(who):
    return who, [], -1


CLIPS = [
    clip('t', ('a', [EAT, HUG], 1), idle('b')),
    clip('t', ('b', [HUG], 1), idle('c'), ('a', [SHAKE], 0)),
    clip('u', ('b', [SHAKE], 1), ('a', [SHAKE], 0)),
    clip('u', idle('a'), idle('c')),
    clip('u', ('a', [HUG], 1), idle('b')),
    clip('u', idle('b'), idle('c')),
    clip('u', idle('a')),
]


def ask(min_others=1, known='abc', clips=CLIPS):
    found = queries.build_queries(clips, known, ACTIONS, min_others)
    return {query.query_id: query for query in found}


def test_a_clip_answers_if_a_does_it_to_b():
    found = ask()
    assert {name: query.relevant for name, query in found.items()} == {
        'together/a/b': (0, 1, 2, 4),
        'together/a/c': (1, 3),
        'together/b/c': (1, 5),
        # b hugs c in one clip; a is hugged by nobody. What a only does once alone is not in turn.
        'action/a/HandShake/b': (1, 2),
        'action/a/HugPerson/b': (0, 4),
        'action/b/HandShake/a': (2,),
        'action/b/HugPerson/c': (1,),
        'without/a/b': (3, 6),
        'without/b/a': (5,),
        'without/a/c': (0, 2, 4, 6),
        'without/c/a': (5,),
        'without/b/c': (0, 2, 4),
        'without/c/b': (3,),
    }
    assert found['without/a/b'].against == (0, 1, 2, 4)
    assert (found['action/a/HugPerson/b'].title, found['without/b/a'].title) == ('t', 'u')
    assert [query.scenario for query in found.values()] == (
        ['together'] * 3 + ['action'] * 4 + ['without'] * 6
    )


def test_what_is_done_in_turn_is_asked_once():
    found = ask(clips=[CLIPS[2], *CLIPS[3:]])
    assert 'action/a/HandShake/b' in found and 'action/b/HandShake/a' not in found


def test_both_have_clips_with_others():
    # a is with c alone in one clip, b too; a's clip of nobody else does not count.
    assert {name for name in ask(2) if name.endswith('/b')} == set()
    # c is never without a or b: of 'b and c', c is in clip 3 and b in 0, 2 and 4.
    assert 'together/b/c' in ask(1)
    assert 'together/b/c' not in ask(2)
    assert ask(1, known='ab').keys() == {
        'together/a/b', 'action/a/HandShake/b', 'action/a/HugPerson/b', 'action/b/HandShake/a',
        'without/a/b', 'without/b/a',
    }  # fmt: skip


def test_order_matters_where_it_is_not_done_back():
    found = queries.directed(CLIPS, 'abc', ACTIONS)
    assert found == [
        Doing(0, 'a', 'b', 'HugPerson', 't'),
        Doing(1, 'b', 'c', 'HugPerson', 't'),
        Doing(1, 'a', 'b', 'HandShake', 't'),
        Doing(4, 'a', 'b', 'HugPerson', 'u'),
    ]
    assert len(queries.directed(CLIPS, 'ac', ACTIONS)) == 0
