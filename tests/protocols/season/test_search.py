import dataclasses

import numpy as np
import pytest

from cpad_jax.methods.conditions import Condition
from cpad_jax.protocols.season import search, table
from cpad_jax.protocols.season.queries import SeasonQuery
from cpad_jax.protocols.season.search import Segmentation
from cpad_jax.protocols.season.windows import Windows
from cpad_jax.ranking import method


def test_metrics_by_hand():
    found = search.season_metrics([np.array([1, 25, 26, 51]), np.array([3])])
    assert found['recall@25'].tolist() == [0.5, 1]
    assert found['recall@50'].tolist() == [0.75, 1]
    assert found['last_rank'].tolist() == [51, 3]


@dataclasses.dataclass
class Model:
    """Embeds a query as what stands behind [TOK], or as the first axis."""

    def encode_query(self, text, person):
        return np.eye(100, dtype=np.float32)[0] if person is None else person


class Frames:
    def windows(self, segments, seconds):
        assert seconds == 2.0
        # Clip i is the nearer to axis k, the nearer i is to k.
        i = np.arange(sum(map(len, segments)))
        near = np.exp(-np.abs(i[:, None] - np.arange(100)[None]) / 9)
        near = (near / 4).astype(np.float32)  # No longer than what has length 1.
        return Windows(near, 30.0 * i + 15, i)


ASKED = [
    SeasonQuery('s1', 'Ann', 'Eat', (np.array([0, 1, 2, 60]),)),
    SeasonQuery('s2', 'Ben', 'Run', (np.array([10, 11]),)),
    SeasonQuery('u1', 'Cal', 'Run', (np.array([99]),)),
]
WAY = Segmentation(2.0, 'equal segments', [[(30.0 * i, 30.0 * i + 30) for i in range(100)]])


def axis(number):
    return np.eye(100, dtype=np.float32)[number]


CONDITIONS = [
    Condition(method.CLIP, False, lambda person_id: None),
    Condition(method.PAD_IMAGE, False, {'s1': axis(0), 's2': axis(0), 'u1': axis(0)}.get),
    Condition(method.PAD_IMAGE, True, {'s1': axis(0), 's2': axis(10), 'u1': axis(99)}.get),
]


@pytest.fixture(scope='module')
def searched():
    return search.search(Model(), Frames(), [WAY], ASKED, CONDITIONS, 2.0)


def rows_of(values):
    return search.result_rows(
        [WAY], ASKED, CONDITIONS, values, {'s1': True, 's2': True, 'u1': False}, {'x': 1},
        samples=50, seed=0,
    )  # fmt: skip


def test_every_condition_is_asked_in_one_way(searched):
    values, kept = searched
    assert values[0, 0]['recall@25'].tolist() == [0.75, 1, 0]
    assert values[0, 0]['last_rank'].tolist() == [61, 12, 100]
    assert values[0, 2]['last_rank'].tolist() == [61, 3, 1]  # 9 is as near to 10 as 11
    assert kept['2 equal segments/CLIP-PAD/image fine-tuned/best'][2, 0] == 99
    assert kept['2 equal segments/CLIP-PAD/image fine-tuned/when'][2, 0] == 30 * 99 + 15
    assert kept['2 equal segments/segments'][3].tolist() == [0, 90, 120]
    assert kept['2 equal segments/num_relevant'].tolist() == [4, 2, 1]


def test_rows_have_the_documented_keys(searched):
    rows = rows_of(searched[0])
    assert set(rows[0]) == {
        'x', 'clips_per_minute', 'cut', 'num_clips', 'method', 'person_query', 'control',
        'fine_tuned', 'people', 'num_queries', 'num_people', 'num_relevant',
        *(f'{name}{end}' for name in search.METRICS for end in ('', '_low', '_high')),
    }  # fmt: skip
    tuned = [row for row in rows if row['fine_tuned']]
    assert [(row['people'], row['num_queries']) for row in tuned] == [
        ('all', 3), ('seen', 2), ('unseen', 1),
    ]  # fmt: skip
    assert tuned[0]['last_rank'] == pytest.approx(65 / 3)
    assert tuned[0]['last_rank_low'] < 65 / 3 < tuned[0]['last_rank_high']
    assert tuned[2]['last_rank_low'] is None  # One person says nothing about others.
    read = {'s1': True, 's2': False, 'u1': False}
    rows = search.result_rows(
        [WAY], ASKED, CONDITIONS, searched[0], {'s1': True, 's2': True, 'u1': False}, {}, 50, 0,
        read=read,
    )  # fmt: skip
    tuned = {row['people']: row['last_rank'] for row in rows if row['fine_tuned']}
    assert tuned == {
        'all': pytest.approx(65 / 3), 'seen': 32, 'read': 61, 'unread': 3, 'unseen': 1,
    }  # fmt: skip


def test_before_and_after_are_paired(searched):
    found = search.compare([WAY], ASKED, CONDITIONS, searched[0], samples=50, seed=0)
    pairs = {(row['a'], row['b'], row['metric']): row['difference'] for row in found}
    before, after = 'CLIP-PAD/image', 'CLIP-PAD/image fine-tuned'
    assert pairs[after, before, 'last_rank'] == pytest.approx(-(0 + 9 + 99) / 3)
    assert pairs[after, before, 'recall@25'] == pytest.approx(1 / 3)
    assert pairs[before, 'CLIP/text', 'recall@50'] == 0


def test_the_papers_values_stand_beside_ours(searched):
    rows = rows_of(searched[0])
    (made,) = table.every(rows, [])
    text = made.text()
    assert '2 clips per minute, equal segments: 100 clips, 3 queries about 3 people' in text
    assert 'by chance R@25 is 0.25' in text
    (tuned,) = [line for line in text.splitlines() if line.startswith('paper') and 'yes' in line]
    assert tuned.split()[-3:] == ['0.84', '1.00', '42']
    assert '| 0.84 | 1.00 | 42 |' in made.markdown()
