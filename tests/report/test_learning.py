import re

import pytest

from cpad_jax.report import charts, learning
from tests.support.page_reader import Reader

CURVE = [
    {'step': 200, 'map': 0.1, 'hit@1': 0.05, 'loss': 0.09, 'training_loss': 0.08},
    {'step': 400, 'map': 0.35, 'hit@1': 0.3, 'loss': 0.04, 'training_loss': 0.02},
    {'step': 600, 'map': 0.3, 'hit@1': 0.31, 'loss': 0.045, 'training_loss': 0.01},
]


def test_the_chosen_step_is_named_and_marked():
    result = learning.section(CURVE, 400)
    read = Reader(result.body)
    assert 'Step 400 of 600 was chosen (dashed): mAP 35.0, hit@1 30.0.' in read.words
    drawn = [svg for svg in read.all('svg') if svg.get('role') == 'img']
    assert len(drawn) == 2
    marks = [line for line in read.all('line') if line.get('stroke-dasharray') == '4 3']
    at = 44 + (charts.WIDTH - 20 - 44) * 400 / 600
    assert [float(mark['x1']) for mark in marks] == pytest.approx([at, at], abs=0.1)
    assert 'mAP from 10 at step 200 to 30 at 600' in drawn[0]['aria-label']
    assert 'loss on training clips, step 600: 0.01' in read.words


def test_curves_are_as_high_as_their_values():
    drawn = learning.chart('t', [0, 50], [(charts.Series('a', 0), [0.0, 35.0])], None)
    # The axis ends at 40; 35 of 40 of the way from the bottom (182) to the top (18).
    assert re.findall(r'cy="([\d.]+)"', drawn) == ['182.0', f'{182 - 164 * 35 / 40:.1f}']
    assert '>40</text>' in drawn and 'dash' not in drawn


@pytest.mark.parametrize(
    ('largest', 'end'), [(0.0, 1), (0.03, 0.04), (0.1, 0.1), (35, 40), (81, 100), (100, 100)]
)
def test_axes_end_at_round_numbers(largest, end):
    assert learning._nice(largest) == pytest.approx(end)


def test_a_section_without_values_is_empty():
    assert learning.section([], None).body == ''
    result = learning.section(CURVE[:1], None)
    assert 'chosen' not in result.body and 'nan' not in result.body
