import dataclasses

import numpy as np
import pytest

from cpad_jax.protocols.compound import examples, results
from cpad_jax.ranking import method, metrics
from cpad_jax.ranking import rows as ranking_rows
from cpad_jax.ranking.query import Query

FACTS = {
    'dataset': 'synthetic_cast', 'dataset_version': '1.0.0', 'split': 'test', 'seed': 0,
    'backbone': 'testing', 'face_feature': 'clip', 'num_references': 5, 'relevance': 'person',
    'num_clips': 50,
}  # fmt: skip


def query(person_id, scenario='action'):
    seen = person_id.startswith('s')
    return Query(f'{scenario}/{person_id}', scenario, person_id, '', seen, 'Eat', None, (0,), ())


# Two queries about s0, one about s1, one about u0; and one of another scenario about s0.
ASKED = [query('s0'), query('s0'), query('s1'), query('u0'), query('s0', 'place')]


def values_of(*first_ranks):
    return metrics.query_metrics([np.array([rank]) for rank in first_ranks])


VALUES = {
    method.CLIP: values_of(2, 6, 6, 6, 1),
    method.PAD_TEXT: values_of(1, 6, 6, 6, 1),
    method.PAD_IMAGE: values_of(1, 1, 6, 2, 1),
    method.PAD_TEXT_IMAGE: values_of(1, 1, 1, 1, 1),
    method.WRONG_PERSON: values_of(1, 9, 9, 9, 9),
}


def rows_of(**wanted):
    rows = ranking_rows.result_rows(ASKED, VALUES, FACTS, samples=50, seed=0)
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def test_rows_have_exactly_the_documented_keys():
    keys = {
        'dataset', 'dataset_version', 'split', 'seed', 'backbone', 'face_feature',
        'num_references', 'relevance', 'method', 'person_query', 'scenario', 'people', 'control',
        'num_queries', 'num_people', 'num_clips',
    }  # fmt: skip
    for name in ('hit@1', 'hit@5', 'hit@10', 'recall@1', 'recall@5', 'recall@10', 'map', 'mrr',
                 'median_rank'):  # fmt: skip
        keys |= {name, f'{name}_low', f'{name}_high'}
    rows = rows_of()
    assert all(set(row) == keys for row in rows)
    # Three groups of people in one scenario, two (nobody unseen was asked for) in the other.
    assert len(rows) == 5 * (3 + 2)


def test_groups_of_people_and_their_numbers():
    chosen = {'method': 'CLIP-PAD', 'person_query': 'image', 'scenario': 'action'}
    found = {row['people']: row for row in rows_of(**chosen)}
    assert [found[g]['num_queries'] for g in ('all', 'seen', 'unseen')] == [4, 3, 1]
    assert [found[g]['num_people'] for g in ('all', 'seen', 'unseen')] == [3, 2, 1]
    assert [found[g]['hit@1'] for g in ('all', 'seen', 'unseen')] == [0.5, pytest.approx(2 / 3), 0]
    assert found['all']['median_rank'] == 1.5
    assert found['seen']['hit@1_low'] < 2 / 3 < found['seen']['hit@1_high']
    # One person says nothing about others.
    assert found['unseen']['hit@1_low'] is None and found['unseen']['hit@1_high'] is None


def test_controls_are_rows_of_their_own():
    (row,) = rows_of(control='wrong person', people='seen', scenario='action')
    assert (row['method'], row['person_query']) == ('CLIP-PAD', 'text+image')
    assert row['hit@1'] == pytest.approx(1 / 3)


def test_comparisons_are_of_seen_people_and_paired():
    found = results.compare(ASKED, VALUES, samples=200, seed=0)
    differences = {
        (c['a'], c['b']): c
        for c in found
        if (c['kind'], c['scenario'], c.get('metric')) == ('difference', 'action', 'hit@1')
        and c['people'] == 'seen'
    }
    assert {pair: c['difference'] for pair, c in differences.items()} == {
        ('CLIP-PAD/text+image', 'CLIP-PAD/image'): pytest.approx(1 / 3),
        ('CLIP-PAD/image', 'CLIP/text'): pytest.approx(2 / 3),
        ('CLIP-PAD/text', 'CLIP/text'): pytest.approx(1 / 3),
        ('CLIP-PAD/text+image', 'CLIP/text'): 1,
    }
    sure = differences['CLIP-PAD/text+image', 'CLIP/text']
    assert (sure['low'], sure['high']) == (1, 1)
    ratios = {
        c['what']: c['ratio'] for c in found if (c['kind'], c['scenario']) == ('ratio', 'action')
    }
    assert ratios == {
        'image form, unseen to seen people': 0,
        'text + image form, wrong to right person': pytest.approx(1 / 3),
    }


def test_clip_pad_with_faces_is_compared_with_its_parts():
    fused = {
        method.WITH_FACES: values_of(1, 1, 1, 1, 1),
        method.LATE_FUSION: VALUES[method.CLIP],
    }
    found = results.compare(ASKED, VALUES | fused, samples=20, seed=0)
    differences = {
        c['b']: c['difference']
        for c in found
        if (c['scenario'], c['metric'], c.get('a')) == ('action', 'hit@1', 'CLIP-PAD + faces/image')
        and c['people'] == 'seen'
    }
    # Of three queries about seen people photos find two at once, and late fusion none.
    assert differences == {'CLIP-PAD/image': pytest.approx(1 / 3), 'late fusion/image': 1}


def test_seen_people_are_told_apart_by_whether_clip_has_read_their_names():
    read = {'s0': True, 's1': False, 'u0': True}
    asked = [dataclasses.replace(one, read=read[one.person_id]) for one in ASKED]
    groups = {
        people: ranking_rows.group(asked, 'action', people).tolist()
        for people in ranking_rows.GROUPS
    }
    # u0 was never seen, whatever CLIP has read.
    assert groups == {
        'all': [0, 1, 2, 3], 'seen': [0, 1, 2], 'read': [0, 1], 'unread': [2], 'unseen': [3],
    }  # fmt: skip
    rows = ranking_rows.result_rows(asked, VALUES, FACTS, samples=20, seed=0)
    hits = {
        row['people']: row['hit@1'] for row in rows
        if (row['method'], row['person_query'], row['scenario']) == ('CLIP-PAD', 'image', 'action')
    }  # fmt: skip
    assert hits == {'all': 0.5, 'seen': pytest.approx(2 / 3), 'read': 1, 'unread': 0, 'unseen': 0}
    found = {
        (c['people'], c['a'], c['b']): c['difference']
        for c in results.compare(asked, VALUES, samples=20, seed=0)
        if (c['kind'], c['scenario'], c['metric']) == ('difference', 'action', 'hit@1')
    }
    pair = ('CLIP-PAD/text', 'CLIP/text')
    assert found['read', *pair] == 0.5 and found['unread', *pair] == 0 == found['unseen', *pair]
    # Where nobody looked there are no strata.
    assert not len(ranking_rows.group(ASKED, 'action', 'read'))


def test_a_ratio_to_nothing_is_none():
    nothing = VALUES | {method.PAD_TEXT_IMAGE: values_of(2, 2, 2, 2, 2)}
    found = results.compare(ASKED, nothing, samples=10, seed=0)
    assert [c['ratio'] for c in found if 'wrong' in c.get('what', '')] == [None, None]


def test_examples_are_drawn_without_a_look_at_success():
    asked = [query(f's{i}', s) for s in ('action', 'place') for i in range(50)]
    good, bad = np.ones(100), np.full(100, 9.0)
    for seed in range(5):
        chosen = examples.choose(asked, good, seed)
        assert [asked[number].scenario for number in chosen] == ['action', 'place']
        # The same ones whatever became of them, and one of the outcome that they lack.
        assert examples.choose(asked, bad, seed) == chosen
    for most, other in ((1, 6), (9, 5)):
        one = np.full(100, most)
        one[77] = other
        chosen = examples.choose(asked, one, 0)
        assert len(chosen) == 3 and chosen[-1] == 77
        one[chosen[0]] = other
        assert len(examples.choose(asked, one, 0)) == 2
    assert len({tuple(examples.choose(asked, good, s)) for s in range(10)}) > 5
