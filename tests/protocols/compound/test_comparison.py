import json

import numpy as np
import pytest

from cpad_jax import atomic
from cpad_jax import eval as evaluation
from cpad_jax.errors import UserError
from cpad_jax.protocols.compound import comparison
from cpad_jax.ranking import bootstrap
from tests.support import drawn_outcome


def write(folder, first, facts=None, order=None, asked=None, names=('CLIP/text',)):
    """An evaluation's files: every query has two answers, at ranks `first` and 90."""
    asked = asked or drawn_outcome.asked()
    order = np.arange(len(asked)) if order is None else order
    ranks = np.stack([first, np.full(len(asked), 90)], axis=1)[order].ravel()
    folder.mkdir(parents=True)
    atomic.write_json(folder / 'results.json', [drawn_outcome.FACTS | (facts or {})])
    np.savez(
        folder / 'ranks.npz',
        query_id=np.array([asked[n].query_id for n in order]),
        seen=np.array([asked[n].seen for n in order]),
        num_relevant=np.full(len(asked), 2),
        **{name: ranks for name in names},
    )


@pytest.fixture
def first():
    """Ranks of two runs; the second finds some queries that the first does not, and loses one."""
    ranks = np.full(len(drawn_outcome.asked()), 6)
    better = ranks.copy()
    better[::2], ranks[1] = 1, 1
    return ranks, better


def test_differences_are_paired_whatever_the_order_of_the_queries(tmp_path, first):
    order = np.random.default_rng(0).permutation(len(first[0]))
    write(tmp_path / 'a' / 'eval', first[0])
    write(tmp_path / 'b', first[1], order=order)  # The folder of an evaluation itself.
    a, b = comparison.read(tmp_path / 'a'), comparison.read(tmp_path / 'b')
    comparison.check(a, b)
    rows = comparison.compare(a, b)
    asked = drawn_outcome.asked()
    for row in rows:
        kind = row['scenario'], row['people'] == 'seen'
        which = [n for n, query in enumerate(asked) if (query.scenario, query.seen) == kind]
        limit = int(row['metric'][4:])
        hits = [(own[which] <= limit) * 1.0 for own in first]
        assert row['num_queries'] == len(which)
        assert (row['a'], row['b']) == (hits[0].mean(), hits[1].mean())
        people = np.array([asked[n].person_id for n in which])
        expected = bootstrap.paired_difference(hits[1], hits[0], people, 2000, 0)
        assert row['difference'] == expected['difference']
        if row['people'] == 'seen':
            assert (row['low'], row['high']) == (expected['low'], expected['high'])
        else:  # One person says nothing about others.
            assert row['low'] is None and not row['sure']
    assert len(rows) == 2 * 3 * 2
    place = next(r for r in rows if (r['people'], r['scenario']) == ('seen', 'place'))
    assert (place['difference'], place['low'], place['sure']) == (1, 1, True)


def test_a_run_and_itself_differ_in_nothing(tmp_path, first):
    write(tmp_path / 'a', first[0])
    run = comparison.read(tmp_path / 'a')
    rows = comparison.compare(run, run)
    assert {(row['difference'], row['sure']) for row in rows} == {(0, False)}
    assert '0 of 12 differences' in comparison.render(run, run, rows)


def test_text_page_and_rows_say_the_same(tmp_path, first, capsys):
    write(tmp_path / 'a', first[0], names=('CLIP/text', 'CE/image'))
    write(tmp_path / 'b<script>', first[1])
    pair = ['--compare', str(tmp_path / 'a'), str(tmp_path / 'b<script>')]
    evaluation.main(pair)
    text = capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {'a', 'b<script>'}  # Nothing is written.
    assert 'Only in A: CE/image.' in text
    (line,) = [x for x in text.splitlines() if 'place        hit@1' in x and '*' in x]
    assert line.split() == ['CLIP', 'text', 'place', 'hit@1', '0.0', '100.0', '+100.0',
                            '[+100.0,', '+100.0]', '*']  # fmt: skip
    for name in ('out.json', 'out.html'):
        evaluation.main([*pair, '--out', str(tmp_path / name)])
    rows = json.loads((tmp_path / 'out.json').read_text())
    a, b = comparison.read(tmp_path / 'a'), comparison.read(tmp_path / 'b<script>')
    assert rows == comparison.compare(a, b)
    page = (tmp_path / 'out.html').read_text()
    assert '<script' not in page and 'b&lt;script&gt;' in page and '://' not in page
    assert page.count('<tr>') == 2 + len(rows)


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        ({'facts': {'seed': 8}}, r'they differ in seed \(7 and 8\)$'),
        ({'facts': {'dataset': 'x', 'num_clips': 2}}, r'dataset .*, num_clips \(500 and 2\)$'),
    ],
)
def test_other_worlds_are_refused(tmp_path, first, change, said):
    write(tmp_path / 'a', first[0])
    write(tmp_path / 'b', first[1], **change)
    with pytest.raises(UserError, match=said):
        evaluation.main(['--compare', str(tmp_path / 'a'), str(tmp_path / 'b')])


def test_other_queries_and_other_answers_are_refused(tmp_path, first):
    asked = drawn_outcome.asked()
    write(tmp_path / 'a', first[0])
    write(tmp_path / 'b', first[1][:-1], asked=asked[:-1])
    pair = ['--compare', str(tmp_path / 'a'), str(tmp_path / 'b')]
    with pytest.raises(UserError, match=r'1 only in the first, 0 only in the second, such as'):
        evaluation.main(pair)
    write(tmp_path / 'c', first[1])
    with np.load(tmp_path / 'c' / 'ranks.npz') as file:
        own = {name: file[name] for name in file.files}
    own['num_relevant'][2:4] = 1, 3
    np.savez(tmp_path / 'c' / 'ranks.npz', **own)
    with pytest.raises(UserError, match=r'the right clips of 2 queries \(such as place/p0'):
        evaluation.main(['--compare', str(tmp_path / 'a'), str(tmp_path / 'c')])


def test_what_is_not_there_or_damaged_is_one_line(tmp_path, first):
    write(tmp_path / 'a', first[0])
    with pytest.raises(UserError, match='no .*results.json: name a workdir that was evaluated'):
        evaluation.main(['--compare', str(tmp_path / 'a'), str(tmp_path / 'nothing')])
    write(tmp_path / 'b', first[1])
    whole = (tmp_path / 'b' / 'ranks.npz').read_bytes()
    (tmp_path / 'b' / 'ranks.npz').write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match='is damaged .*evaluate again'):
        evaluation.main(['--compare', str(tmp_path / 'a'), str(tmp_path / 'b')])
    (tmp_path / 'b' / 'ranks.npz').write_bytes(b'')
    with pytest.raises(UserError, match='is damaged .*evaluate again'):
        evaluation.main(['--compare', str(tmp_path / 'a'), str(tmp_path / 'b')])
    with pytest.raises(UserError, match=r'out.txt: expected a .html or .json file'):
        evaluation.main(['--compare', 'a', 'b', '--out', 'out.txt'])
