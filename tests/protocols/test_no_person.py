import numpy as np
import pytest

from cpad_jax.protocols import no_person
from cpad_jax.ranking import method, metrics


def clip(place, *actions):
    people = [{'person_id': f'p{i}', 'actions': own} for i, own in enumerate(actions)]
    return {'clip_id': '', 'title': '', 'actions': [], 'place': place, 'people': people}


CLIPS = [clip(0, [0]), clip(1, [0], [1]), clip(0, [], [1]), clip(-1, [1]), clip(1)]
ASKED = no_person.build_queries(CLIPS, ['Eat', 'Run'], ['INT-car', 'INT-shop'])


def test_every_action_place_and_pair_is_asked_once():
    assert {q.query_id: q.relevant for q in ASKED} == {
        'action/Eat': (0, 1), 'action/Run': (1, 2, 3),
        'place/INT-car': (0, 2), 'place/INT-shop': (1,),
        'action+place/Eat/INT-car': (0,), 'action+place/Eat/INT-shop': (1,),
        'action+place/Run/INT-car': (2,), 'action+place/Run/INT-shop': (1,),
    }  # fmt: skip
    assert not any(q.name or q.references or q.person_id for q in ASKED)


class Fixed:
    def __init__(self, name, right):
        self.method, self.right = method.Method(name, method.NONE), right

    def ranks(self, asked):
        scores = np.zeros((len(asked), len(CLIPS)))
        for row, query in enumerate(asked):
            scores[row, list(query.relevant)] = 1 if self.right(query) else -1
        return metrics.relevant_ranks(scores, [query.relevant for query in asked])


def test_methods_are_compared_query_by_query():
    always = Fixed('CE', lambda query: True)
    half = Fixed('CLIP', lambda query: query.action != 'Run')
    rows = no_person.compare([always, half], ASKED, samples=100, seed=0)
    assert [(r['scenario'], r['method'], r['num_queries']) for r in rows] == [
        ('action', 'CE', 2), ('action', 'CLIP', 2), ('place', 'CE', 2), ('place', 'CLIP', 2),
        ('action+place', 'CE', 4), ('action+place', 'CLIP', 4),
    ]  # fmt: skip
    assert rows[0]['hit@1'] == rows[0]['recall@R'] == 1 and rows[1]['hit@1'] == 0.5
    # Of the three clips of Run none is among the first three but one: two others stand before them.
    assert rows[1]['recall@R'] == pytest.approx((1 + 1 / 3) / 2)
    assert rows[4]['gain_hit@1'] == 0.5 and 0 <= rows[4]['gain_hit@1_low'] < 0.5
    assert 'gain_hit@1' not in rows[1]
    table = no_person.table(rows)
    assert table.html().count('100.0') >= 3 and '+50.0 [' in table.html()
    lines = table.text().split('\n')
    assert lines[2].split()[:3] == ['action', 'CE', '100.0'] and len(lines) == 8
