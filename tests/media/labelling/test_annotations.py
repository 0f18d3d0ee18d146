import dataclasses
import json

import pytest

from cpad_jax.errors import UserError
from cpad_jax.media.labelling import annotations
from cpad_jax.media.labelling.annotations import ClipAnnotation, PersonAnnotation

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
    ({}, {'confidence': float('nan')}, 'confidence'),
    ({}, {'target': 0}, 'target'),
    ({}, {'target': 2}, 'target'),
    ({}, {'actions': 'Kiss'}, 'actions'),
    ({}, {'evidence': [1]}, 'evidence'),
    ({}, {'times': [1.0]}, '1 times and 2 boxes'),
    ({}, {'times': [1.0, 0.5]}, 'times'),
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
