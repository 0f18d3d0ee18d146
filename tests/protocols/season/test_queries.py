import dataclasses

import numpy as np
import pytest

from cpad_jax.data import annotations
from cpad_jax.data.annotations import ClipAnnotation, PersonAnnotation
from cpad_jax.errors import UserError
from cpad_jax.protocols.season import queries
from cpad_jax.protocols.season.queries import SeasonQuery

BOX = (0.1, 0.1, 0.3, 0.3)


def row(number, start, end, people, video='a.mp4'):
    return ClipAnnotation(
        f'shot{number}', 'seinfeld', 'show', tuple(people), video=video, start=start, end=end
    )


def person(person_id='ann', actions=('Eat',), times=()):
    return PersonAnnotation(
        person_id, person_id.title(), actions=actions, times=times, boxes=(BOX,) * len(times)
    )


@pytest.fixture
def season(tmp_path):
    def make(*rows):
        for video in ('a.mp4', 'b.mp4'):
            (tmp_path / video).touch()
        annotations.write(tmp_path / 'table.jsonl', rows)
        return queries.read_truth(tmp_path / 'table.jsonl', tmp_path)

    return make


def test_truth_is_when_somebody_is_seen_doing_it(season):
    truth = season(
        row(1, 10, 20, [person(times=(2.0, 5.0, 7.5)), person('ben', ('Run', 'Eat'))]),
        row(2, 30, None, [person(actions=()), person('cal', None)], 'b.mp4'),
        row(3, 40, None, [person()], 'b.mp4'),
    )
    assert [path.name for path in truth.videos] == ['a.mp4', 'b.mp4']
    assert truth.titles == {'seinfeld'}
    assert truth.doings['ann', 'Eat'] == {0: [(12.0, 17.5)], 1: [(40, np.inf)]}
    assert truth.doings['ben', 'Run'] == {0: [(10, 20)]}
    assert set(truth.doings) == {('ann', 'Eat'), ('ben', 'Run'), ('ben', 'Eat')}


def test_a_piece_answers_if_the_person_does_it_long_enough():
    doing = {0: [(27, 31)], 2: [(0, 1.0), (2.0, 4.0)]}
    pieces = [[(0, 30), (30, 60)], [(0, 30)], [(0, 30)]]
    # Three seconds of the first piece, one of the second, none of the third, 1 + 2 of the fourth.
    assert queries.relevant_segments(doing, pieces, 0.1).tolist() == [0, 3]
    assert queries.relevant_segments(doing, pieces, 0.03).tolist() == [0, 1, 3]
    assert queries.relevant_segments(doing, pieces, 0.11).tolist() == []


def test_queries_are_those_that_every_cutting_allows(season):
    eats = [row(i, 60 * i, 60 * i + 20, [person(), person('ben')]) for i in range(3)]
    truth = season(*eats, row(9, 182, 200, [person(actions=('Run',))]))
    cuttings = [[[(30.0 * i, 30.0 * i + 30) for i in range(8)]], [[(0.0, 120.0), (120.0, 240.0)]]]

    def built(fewest, most, people=('ann', 'ben')):
        return queries.build_queries(truth, cuttings, people, 0.1, fewest, most)

    (query,) = built(2, 3, ['ann'])
    assert query.query_id == 'ann/Eat' and query.name == 'Ann'
    assert [own.tolist() for own in query.relevant] == [[0, 2, 4], [0, 1]]
    assert [q.query_id for q in built(2, 3)] == ['ann/Eat', 'ben/Eat']
    # Three pieces of the first cutting are too many, two of the second too few.
    assert built(2, 2) == [] and built(3, 3) == []
    assert [q.query_id for q in built(1, 1)] == ['ann/Run']


def test_actions_may_be_said_in_words():
    query = SeasonQuery('mr', 'Michael Richards', 'entering the room', ())
    assert query.text(True, True) == 'Michael Richards [TOK] entering the room'
    assert query.text(False, True) == '[TOK] entering the room'
    known = dataclasses.replace(query, action='HugPerson')
    assert known.text(False, False) == 'a person hugging someone'


def test_what_a_table_lacks_is_one_line(season, tmp_path):
    with pytest.raises(UserError, match='table.jsonl:1: video is empty'):
        season(row(1, 0, 2, [person()], ''))
    with pytest.raises(UserError, match='table.jsonl:1: there is no video .*c.mp4'):
        season(row(1, 0, 2, [person()], 'c.mp4'))
    with pytest.raises(UserError, match='no row says what a person does'):
        season(row(1, 0, 2, [person(actions=None)]))
