import pytest

from cpad_jax.protocols.compound import table
from cpad_jax.ranking import metrics, query
from cpad_jax.ranking.method import CONTROLS, METHODS, TEXT_IMAGE, Method


def make_row(method, scenario, people, value=0.5):
    row = {
        'dataset': 'synthetic_cast', 'dataset_version': '1.0.0', 'split': 'test', 'seed': 0,
        'backbone': 'ViT-cast-16', 'face_feature': 'clip', 'num_references': 5,
        'relevance': 'person', 'method': method.name, 'person_query': method.person_query,
        'scenario': scenario, 'people': people, 'control': method.control,
        'num_queries': 1234, 'num_people': 56, 'num_clips': 2516,
    }  # fmt: skip
    for name in metrics.NAMES:
        row |= {name: value, f'{name}_low': value - 0.02, f'{name}_high': value + 0.04}
    return row


@pytest.fixture
def rows():
    return [
        make_row(method, scenario, people)
        for scenario in query.SCENARIOS
        for people in ('all', 'seen', 'unseen')
        for method in METHODS + CONTROLS
    ]


def difference(**changes):
    return {
        'kind': 'difference', 'scenario': 'action+place', 'metric': 'hit@1',
        'a': 'CLIP-PAD/text+image',
        'b': 'CLIP-PAD/image', 'difference': 0.1, 'low': 0.05, 'high': 0.151,
    } | changes  # fmt: skip


RATIO = {'kind': 'ratio', 'scenario': 'action', 'metric': 'hit@1', 'ratio': 0.789, 'low': 0.7,
         'high': 0.881, 'what': 'unseen to seen people'}  # fmt: skip


def test_our_numbers_and_the_papers_stand_in_one_line_apart(rows):
    for row in rows:
        if (row['method'], row['person_query'], row['people']) == ('CLIP-PAD', 'image', 'seen'):
            if row['control'] is None:
                at = query.SCENARIOS.index(row['scenario'])
                row |= {'hit@1': 0.5 + at / 100, 'hit@5': 0.7 + at / 100}
    lines = table.render(rows, []).splitlines()
    (line,) = [line for line in lines if line.startswith('CLIP-PAD  image') and '│' in line]
    ours, theirs = line.split('│')
    assert ours.split()[2:] == ['50.0±3.0', '70.0', '51.0±3.0', '71.0', '52.0±3.0', '72.0']
    assert theirs.split() == ['64.5', '83.7', '68.2', '87.3', '64.9', '81.8']
    assert 'Celebrities in Action: another data set.' in '\n'.join(lines)
    # What the paper has and we do not, and the other way round.
    assert any(line.startswith('CE        image') and '35.3 65.1' in line for line in lines)
    (memory,) = [line for line in lines if 'name memory' in line and '│' in line]
    assert set(memory.split('│')[1].split()) == {'–'}


def test_celebrities_in_action_says_what_differs_from_the_papers(rows):
    assert 'synthetic_cast 1.0.0, world 0: 2516 clips' in table.render(rows, [])
    for row in rows:
        row |= {'dataset': 'celebrities_in_action', 'seed': None, 'relevance': 'clip'}
    text = table.render(rows, [])
    assert 'celebrities_in_action 1.0.0: 2516 clips' in text
    assert 'another data set' not in text and 'which ones and whose is not public' in text
    assert 'all people of a clip count as doing what is done in it' in text
    assert max(map(len, text.splitlines())) <= 100


def test_no_line_is_longer_than_a_terminal(rows):
    text = table.render(rows, [difference(a='CLIP-PAD (name memory)/text'), RATIO])
    assert max(map(len, text.splitlines())) <= 100
    heads = [line for line in text.splitlines() if '│' in line]
    assert len({line.index('│') for line in heads}) == 1


def test_columns_stay_in_line_whatever_the_numbers(rows):
    wide = {'hit@1': 0.47, 'hit@1_low': 0.3, 'hit@1_high': 0.7, 'hit@5': 1.0}
    for row in rows:
        row |= wide
    lines = table.render(rows, []).splitlines()
    cells = [line for line in lines if '47.0±20' in line]
    assert len(cells) == 21 and all(line.split()[-1] != '100.0' for line in cells)
    assert len({line.index('│') for line in lines if '│' in line}) == 1
    assert max(map(len, lines)) <= 100


def test_markdown_says_the_same(rows):
    text = table.render(rows, [difference()], markdown=True)
    grid = [line for line in text.splitlines() if line.startswith('|')]
    assert len({line.count('|') for line in grid[:8]}) == 1
    assert '| CLIP-PAD | text+image | 50.0±3.0 | 50.0 |' in text
    assert '| 65.0 | 85.4 |' in text
    assert '| CLIP, no person | none |' in text


def test_comparisons(rows):
    text = table.render(rows, [difference(), RATIO])
    assert 'CLIP-PAD text+image − CLIP-PAD image' in text
    assert '+10.0 [+5.0, +15.1]' in text
    assert '× 0.79 [0.70, 0.88]' in text


def test_what_cannot_be_had_is_a_dash(rows):
    for row in rows:
        row |= {'hit@1_low': None, 'hit@1_high': None}
        if row['person_query'] == 'none':
            row['hit@1'] = None
    nothing = [
        difference(difference=None, low=None, high=None),
        difference(low=None, high=None),
        RATIO | {'ratio': None},
    ]
    lines = table.render(rows, nothing).splitlines()
    compared = [line for line in lines if ' − CLIP-PAD' in line or 'unseen to seen' in line]
    assert [line.split()[-1] for line in compared] == ['–', '+10.0', '–']
    (no_person,) = [line for line in lines if 'no person' in line]
    assert no_person.split()[3:] == ['–', '50.0'] * 3
    assert any(line.startswith('CLIP-PAD  image') and ' 50.0 ' in line for line in lines)


def test_only_what_was_asked_is_shown(rows):
    few = [r for r in rows if r['scenario'] == 'place' and r['people'] != 'unseen']
    few = [r for r in few if r['control'] is None]
    text = table.render(few, [])
    assert 'never saw' not in text and 'Controls' not in text and 'action' not in text
    assert max(map(len, table.render(few, []).splitlines())) < 90


def test_further_methods_follow_those_of_the_paper(rows):
    late = Method('late fusion', TEXT_IMAGE)
    lines = table.render([*rows, make_row(late, 'action', 'seen', 0.25)], []).splitlines()
    starts = [line for line in lines if '│' in line]
    assert starts[-1].startswith('late fusion ') and starts[-2].startswith('CLIP-PAD  text+image')
    assert '25.0±3.0' in starts[-1]
