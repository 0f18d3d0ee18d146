import dataclasses

import numpy as np
import pytest

from cpad_jax.ranking import bootstrap, rows

A = np.array([1.0, 1.0, 0.0, 1.0, 1.0, 0.0])
B = np.array([0.0, 1.0, 0.0, 0.0, 1.0, 0.0])
PEOPLE = np.array(['x', 'x', 'y', 'y', 'z', 'z'])


@dataclasses.dataclass(frozen=True)
class Condition:
    key: str


FIRST, SECOND, ABSENT = map(Condition, ('first', 'second', 'absent'))
VALUES = {FIRST: {'hit@1': A, 'map': A / 2}, SECOND: {'hit@1': B, 'map': B / 4}}


def test_compare_has_a_row_for_each_pair_and_metric_that_there_is():
    pairs = [(FIRST, SECOND), (ABSENT, FIRST), (SECOND, ABSENT), (SECOND, FIRST)]
    compared = rows.compare(VALUES, pairs, ['hit@1', 'map'], PEOPLE, 500, 1)
    assert [(row['a'], row['b'], row['metric']) for row in compared] == [
        ('first', 'second', 'hit@1'), ('first', 'second', 'map'),
        ('second', 'first', 'hit@1'), ('second', 'first', 'map'),
    ]  # fmt: skip
    assert [row['difference'] for row in compared] == pytest.approx([1 / 3, 1 / 4, -1 / 3, -1 / 4])
    expected = bootstrap.paired_difference(A, B, PEOPLE, 500, 1)
    assert {name: compared[0][name] for name in expected} == expected
    assert compared[0]['low'] == -compared[2]['high'] < compared[0]['difference']


def test_compare_of_some_queries_is_of_these_alone():
    which = np.array([1, 3, 4])
    (row,) = rows.compare(VALUES, [(FIRST, SECOND)], ['hit@1'], PEOPLE[which], 500, 1, which)
    assert row['difference'] == pytest.approx(1 / 3)
    whole = rows.difference(A[which], B[which], PEOPLE[which], 500, 1)
    assert {name: row[name] for name in whole} == whole


def test_a_difference_about_one_person_has_no_bounds():
    one = np.array(['x'] * 6)
    assert rows.difference(A, B, one, 100, 0) == {'difference': 2 / 6, 'low': None, 'high': None}
    nothing = np.full(6, np.nan)
    assert set(rows.difference(nothing, B, PEOPLE, 100, 0).values()) == {None}


def test_rows_describe_each_method_and_bound_each_metric():
    which = np.array([0, 2, 3, 5])
    table = rows.rows(
        VALUES, lambda key: {'method': key.key, 'num': 4}, ['map', 'hit@1'], PEOPLE[which], 500, 3,
        which,
    )  # fmt: skip
    assert [list(row) for row in table] == [
        ['method', 'num', 'map', 'map_low', 'map_high', 'hit@1', 'hit@1_low', 'hit@1_high']
    ] * 2
    assert [(row['method'], row['hit@1'], row['map']) for row in table] == [
        ('first', 0.5, 0.25), ('second', 0.0, 0.0),
    ]  # fmt: skip
    low, high = bootstrap.PersonBootstrap(PEOPLE[which], 500, 3).mean_bounds(A[which])
    assert (table[0]['hit@1_low'], table[0]['hit@1_high']) == (low, high)


def test_all_queries_are_taken_by_default():
    (row, _) = rows.rows(VALUES, lambda key: {}, ['hit@1'], PEOPLE, 100, 0)
    assert row['hit@1'] == pytest.approx(4 / 6)
