import json

import pytest

from cpad_jax.data.rejection_log import Group, RejectionList, RejectionLog, read_groups


def test_every_entry_is_listed_and_counted(tmp_path):
    with RejectionLog(tmp_path) as aside:
        aside.add('meta.csv', 3, 'not a row', 'a,b')
        aside.add(tmp_path / 'a.tar', None, 'not a picture', 'x.txt')
        aside.add('meta.csv', 9, 'not a row')
        # Seen while it is being built, in case it never ends.
        assert not (tmp_path / 'rejection_log.json').exists()
    assert (tmp_path / 'rejection_log.txt').read_text().splitlines() == [
        'meta.csv:3: not a row: a,b',
        f'{tmp_path}/a.tar: not a picture: x.txt',
        'meta.csv:9: not a row',
    ]
    assert read_groups(tmp_path) == {
        'not a row': Group(2, ['meta.csv:3: a,b', 'meta.csv:9']),
        'not a picture': Group(1, [f'{tmp_path}/a.tar: x.txt']),
    }


def test_a_long_list_is_cut_but_counted_in_full(tmp_path):
    with RejectionLog(tmp_path, listed=2) as aside:
        for line in range(1, 6):
            aside.add('list.txt', line, 'absent')
        aside.add('list.txt', 7, 'twice', 'b', count=40)
    assert (tmp_path / 'rejection_log.txt').read_text().splitlines() == [
        'list.txt:1: absent',
        'list.txt:2: absent',
        'list.txt:7: twice: b',
        '… and others, 40 in all: twice',
        '… and others, 5 in all: absent',
    ]
    groups = read_groups(tmp_path)
    assert [(reason, group.count) for reason, group in groups.items()] == [
        ('twice', 40),
        ('absent', 5),
    ]
    assert groups['absent'] == Group(5, ['list.txt:1', 'list.txt:2'], more=True)


def test_of_each_reason_the_first_few_are_told(tmp_path):
    with RejectionLog(tmp_path) as aside:
        for line in range(1, 5):
            aside.add('list.txt', line, 'absent', 'a\nb')
    first = [f'list.txt:{line}: a\\nb' for line in (1, 2, 3)]
    assert read_groups(tmp_path) == {'absent': Group(4, first, more=True)}


def test_names_cannot_forge_lines(tmp_path):
    with RejectionLog(tmp_path) as aside:
        aside.add('a.tar', None, 'not a picture', 'x\nb.tar: fine\x1b[31m' + 'y' * 1000)
    text = (tmp_path / 'rejection_log.txt').read_text()
    assert text.startswith('a.tar: not a picture: x\\nb.tar: fine\\x1b[31myyy')
    assert text.count('\n') == 1 and len(text) < 300


def test_what_failed_has_no_counts(tmp_path):
    with pytest.raises(KeyError), RejectionLog(tmp_path) as aside:
        aside.add('a', 1, 'bad')
        raise KeyError
    assert read_groups(tmp_path) == {}
    assert (tmp_path / 'rejection_log.txt').read_text() == 'a:1: bad\n'


def test_entries_travel(tmp_path):
    there = RejectionList()
    there.add(tmp_path, 1, 'bad', 'x' * 500, 3)
    with RejectionLog(tmp_path) as aside:
        for entry in json.loads(json.dumps(there.entries)):
            aside.add(*entry)
    assert aside.groups()['bad'].count == 3
