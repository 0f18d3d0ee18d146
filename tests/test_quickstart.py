"""What the quickstart must show, read from the evaluation it left in `runs/quickstart`.

python -m cpad_jax.train --config configs/quickstart.py && pytest -m slow tests/test_quickstart.py
"""

import json
import re
from pathlib import Path

import pytest

EVAL = Path(__file__).parents[1] / 'runs' / 'quickstart' / 'eval'
SCENARIOS = ('action', 'place', 'action+place')

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (EVAL / 'comparisons.json').exists(),
        reason='run `python -m cpad_jax.train --config configs/quickstart.py` first',
    ),
]


@pytest.fixture(scope='module')
def comparisons():
    return json.loads((EVAL / 'comparisons.json').read_text())


@pytest.mark.parametrize('scenario', SCENARIOS)
@pytest.mark.parametrize(
    ('a', 'b'),
    [
        ('CLIP-PAD/text+image', 'CLIP-PAD/image'),
        ('CLIP-PAD/image', 'CLIP/text'),
        ('CLIP-PAD/text', 'CLIP/text'),
        ('CLIP-PAD/text+image', 'CLIP/text'),
    ],
)
def test_orderings_of_seen_people(comparisons, scenario, a, b):
    found = next(
        c for c in comparisons if (c['scenario'], c.get('a'), c.get('b')) == (scenario, a, b)
    )
    if a == 'CLIP-PAD/text+image' and b == 'CLIP-PAD/image':
        # "At least as good": no loss that the bounds would notice.
        assert found['high'] >= 0
    else:
        assert found['low'] > 0


@pytest.mark.parametrize('scenario', SCENARIOS)
def test_the_wrong_person_finds_less_than_a_third(comparisons, scenario):
    ratio = next(
        c['ratio']
        for c in comparisons
        if c['scenario'] == scenario and 'wrong' in c.get('what', '')
    )
    assert ratio < 1 / 3


@pytest.mark.parametrize('scenario', SCENARIOS)
def test_unseen_people_keep_three_quarters_in_image_form(comparisons, scenario):
    ratio = next(
        c['ratio']
        for c in comparisons
        if c['scenario'] == scenario and 'unseen' in c.get('what', '')
    )
    assert ratio >= 0.75


def test_readmes_python_runs_on_it(monkeypatch, capsys):
    root = EVAL.parents[2]
    monkeypatch.chdir(root)
    code, *_ = re.findall(r'^```python\n(.*?)^```', (root / 'README.md').read_text(), re.M | re.S)
    exec(compile(code, 'README.md', 'exec'), {})
    # Of the clips of that title one shows her doing it there.
    assert capsys.readouterr().out.startswith("['movie001_0001.mp4', ")
