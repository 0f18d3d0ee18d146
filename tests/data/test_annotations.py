import dataclasses
import json

import pytest

from cpad_jax.data import annotations
from cpad_jax.data.annotations import ClipAnnotation, PersonAnnotation
from cpad_jax.errors import UserError

ADA = PersonAnnotation(
    'n000001', 'Ada Abbott', 0.75, ('exemplar photos: similarity 0.71',), ('Kiss',), 1,
    (0.0, 0.5), ((0.1, 0.2, 0.3, 0.4), (0.1, 0.2, 0.3, 0.4)),
)  # fmt: skip
BEN = PersonAnnotation('n000002', 'Bén “the Ox”, jr.')
CLIP = ClipAnnotation('movie1_0001', 'movie1', 'movie', (ADA, BEN), 'a/b.mp4', 1.5, 4.0, 'INT-car')


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / 'table.jsonl'
    other = ClipAnnotation('x', 'show1', 'show')
    annotations.write(path, [CLIP, other])
    assert list(annotations.read(path)) == [CLIP, other]
    assert path.read_text(encoding='utf-8').count('\n') == 2


def test_what_is_not_said_takes_its_default(tmp_path):
    path = tmp_path / 'table.jsonl'
    path.write_text('\n{"clip_id": "x", "title": "t", "source": "show"}\n\n')
    assert list(annotations.read_lines(path)) == [(2, ClipAnnotation('x', 't', 'show'))]


def test_doing_nothing_and_doing_something_unknown_differ(tmp_path):
    path = tmp_path / 'table.jsonl'
    people = [
        {'person_id': 'a', 'name': 'Ada'},
        {'person_id': 'b', 'name': 'Ben', 'actions': None},
        {'person_id': 'c', 'name': 'Cy', 'actions': []},
    ]
    line = {'clip_id': 'x', 'title': 't', 'source': 'show', 'people': people}
    path.write_text(json.dumps(line))
    (clip,) = annotations.read(path)
    assert [person.actions for person in clip.people] == [None, None, ()]
    assert clip.people[0] == PersonAnnotation('a', 'Ada')


@pytest.mark.parametrize(('changes', 'who', 'said'), [
    ({'clip_id': ''}, {}, 'clip_id'),
    ({'title': 3}, {}, 'title'),
    ({'source': 'radio'}, {}, 'source'),
    ({'video': '../x.mp4'}, {}, 'inside the folder'),
    ({'video': '/etc/passwd'}, {}, 'inside the folder'),
    ({'start': -1}, {}, 'start'),
    ({'end': 1.0}, {}, 'end'),
    ({'people': 'Ada'}, {}, 'people'),
    ({'place': 3}, {}, 'place'),
    ({'genre': 'x'}, {}, "unknown key 'genre'"),
    ({}, {'confidence': 1.5}, 'confidence'),
    ({}, {'confidence': True}, 'confidence'),
    ({}, {'confidence': float('nan')}, 'this is not a line of JSON .NaN is no number of JSON'),
    ({}, {'target': 0}, 'target'),
    ({}, {'target': 2}, 'target'),
    ({}, {'actions': 'Kiss'}, 'actions'),
    ({}, {'evidence': [1]}, 'evidence'),
    ({}, {'times': [1.0]}, '1 times and 2 boxes'),
    ({}, {'times': [1.0, 0.5]}, 'times are 1.0 and then 0.5, expected ascending seconds; sort'),
    ({}, {'times': [0.0, 3.1]}, 'times has 3.1, but the row lasts 2.5 s'),
    ({}, {'times': [-0.1, 0.5]}, 'times is -0.1'),
    ({}, {'boxes': [[0, 0, 1, 1], [20, 60, 120, 180]]}, r'\[20, 60, 120, 180\], expected frac'),
    ({}, {'boxes': [[0, 0, 1, 1], [0, 0, 1, 1.51]]}, 'fractions of the picture'),
    ({}, {'boxes': [[0, 0, 1, 1], [-0.51, 0, 1, 1]]}, 'fractions of the picture'),
    ({}, {'boxes': [[0, 0, 1, 1], [0, 1, 0.5, 1.2]]}, 'fractions of the picture'),
    ({}, {'boxes': [[0, 0, 1, 1], [-0.2, 0, 0, 0.1]]}, 'fractions of the picture'),
    ({}, {'boxes': [[0, 0, 1, 1], [0.5, 0, 0.5, 1]]}, 'ymin'),
    ({}, {'person_id': 'n000002'}, 'person 1: n000002 is person 0 already; write each person'),
    ({}, {'boxes': [[0, 0, 1, 1], [0, 0, 1]]}, 'ymin'),
    ({}, {'boxes': [[0, 0, 1, 1], [1, 0, 0, 1]]}, 'ymin'),
    ({}, {'name': ' '}, 'person 0: name'),
])  # fmt: skip
def test_a_wrong_line_is_named(tmp_path, changes, who, said):
    value = json.loads(json.dumps(dataclasses.asdict(CLIP)))
    value['people'][0] |= who
    path = tmp_path / 'table.jsonl'
    path.write_text('\n' + json.dumps(value | changes) + '\n')
    with pytest.raises(UserError, match=said) as caught:
        list(annotations.read(path))
    assert str(caught.value).startswith(f'{path}:2: ')


@pytest.mark.parametrize('line', ['null', '{"clip_id": "a", "clip_id": "b"}', '{"start": 1e999}'])
def test_a_line_that_means_nothing_or_two_things_is_refused(tmp_path, line):
    path = tmp_path / 'table.jsonl'
    path.write_text(f'\n{line}\n')
    with pytest.raises(UserError, match=f'^{path}:2: '):
        list(annotations.read(path))


def test_faces_may_reach_over_the_edge_and_end_a_little_late(tmp_path):
    edge = ((-0.0022, 0.2, 0.3, 1.0010), (-0.4, -0.5, 1.5, 1.4))
    clip = dataclasses.replace(
        CLIP, people=(dataclasses.replace(ADA, times=(0.0, 2.9), boxes=edge), BEN)
    )
    annotations.write(tmp_path / 'table.jsonl', [clip])
    assert list(annotations.read(tmp_path / 'table.jsonl')) == [clip]


def test_one_person_has_one_name(tmp_path):
    path = tmp_path / 'table.jsonl'
    rows = [ClipAnnotation(str(n), 't', 'show', (PersonAnnotation('n000001', name),))
            for n, name in enumerate(('Ann Smith', 'Ann Smith', 'Bob Jones'))]  # fmt: skip
    annotations.write(path, rows)
    with pytest.raises(UserError) as caught:
        list(annotations.read(path))
    assert str(caught.value).startswith(
        f"{path}:3: n000001 is 'Ann Smith' in line 1 and 'Bob Jones' here; write one name in both"
    )


@pytest.mark.parametrize(('key', 'says'), [
    ('clip_id', "'clip_id' is missing; add it: the video's name without its ending"),
    ('source', r"'source' is missing; add it: one of \('movie', 'show'\)"),
    ('person_id', "person 0: 'person_id' is missing; add it: a word for this person"),
    ('name', "person 0: 'name' is missing; add it: the person's name"),
])  # fmt: skip
def test_what_is_missing_is_said_with_what_it_is(tmp_path, key, says):
    value = json.loads(json.dumps(dataclasses.asdict(CLIP)))
    (value if key in value else value['people'][0]).pop(key)
    (tmp_path / 'table.jsonl').write_text(json.dumps(value))
    with pytest.raises(UserError, match=says):
        list(annotations.read(tmp_path / 'table.jsonl'))


def test_files_of_another_kind(tmp_path):
    with pytest.raises(UserError, match='no such annotation table'):
        list(annotations.read(tmp_path / 'nothing'))
    for data in (b'[1]\n', b'{"clip_id": 1', b'\xff\xfe\x00', b'[' * 100_000, b'{"title": "t"}'):
        path = tmp_path / 'table.jsonl'
        path.write_bytes(data)
        with pytest.raises(UserError, match=r'table\.jsonl:1'):
            list(annotations.read(path))


def test_a_clip_stands_once(tmp_path):
    path = tmp_path / 'table.jsonl'
    annotations.write(path, [CLIP, CLIP])
    with pytest.raises(UserError, match='stands in line 1 already'):
        list(annotations.read(path))


def test_one_person_may_be_spelt_in_two_ways(tmp_path):
    path = tmp_path / 'table.jsonl'

    def write(*people):
        lines = [
            {'clip_id': f'{number}', 'title': 't', 'source': 'show',
             'people': [{'person_id': person_id, 'name': name}]}
            for number, (person_id, name) in enumerate(people)
        ]  # fmt: skip
        path.write_text('\ufeff' + '\n'.join(map(json.dumps, lines)))
        return [(p.person_id, p.name) for clip in annotations.read(path) for p in clip.people]

    spelt = [('zoë', 'Zoë O’Hara'), ('zoe\u0308', "ZOE  O'Hara"), ('zoë', 'zoe o hara')]
    assert write(*spelt) == [('zoë', 'Zoë O’Hara')] * 3
    with pytest.raises(UserError, match=r"jsonl:2: a is 'Anna' in line 1 and 'Joanna' here"):
        write(('a', 'Anna'), ('a', 'Joanna'))
    with pytest.raises(
        UserError, match=r'jsonl:1: this is not a line of JSON .a text has half of a char'
    ):
        write(('a', 'Ann\ud800'))
