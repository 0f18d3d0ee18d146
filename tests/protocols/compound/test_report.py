import json
import re

import numpy as np
import pytest

from cpad_jax.protocols.compound import report, table
from cpad_jax.ranking import rows as ranking_rows
from cpad_jax.ranking.method import CLIP, METHODS, PAD_TEXT_IMAGE
from cpad_jax.report import charts, page, run_facts, strips
from cpad_jax.report.table import percent
from cpad_jax.training import configs
from tests.support import drawn_outcome
from tests.support.page_reader import Reader


@pytest.fixture(scope='module')
def config():
    return configs.parse(['--config', 'configs/testing.py']).config


@pytest.fixture(scope='module')
def made(config):
    found, values = drawn_outcome.make()
    said = run_facts.collect(config, drawn_outcome.FACTS, 12.3)
    text = drawn_outcome.page(found, PAD_TEXT_IMAGE, drawn_outcome.failures(found), said, config)
    return found, values, text, Reader(text)


def test_the_page_has_its_parts_and_a_way_to_each(made):
    *_, read = made
    keys = ['table', 'curves', 'groups', 'failures', 'controls', 'comparisons', 'run']
    assert read.sections() == keys
    assert [link['href'] for link in read.all('a')] == [f'#{key}' for key in keys]
    assert read.all('html') == [{'lang': 'en'}]
    assert 'Person-centred video retrieval: testing' in read.words


def test_numbers_are_those_of_results_json(made):
    found, _, _, read = made
    head, *lines = read.tables[0]
    assert head[:5] == ['method', 'person query', '@1', '@5', '@1']
    own = {(line[0], line[1]): line[2:] for line in lines}
    for method in METHODS:
        cells = own[method.name, method.person_query]
        for number, scenario in enumerate(found.scenarios):
            row = table.find(found.rows, method.key, scenario, 'seen')
            for place, metric in enumerate(('hit@1', 'hit@5')):
                assert float(cells[2 * number + place].split('±')[0]) == pytest.approx(
                    100 * row[metric], abs=0.05
                )
    # The paper's stand beside ours.
    assert own['CLIP-PAD', 'image'][6:] == ['64.5', '83.7', '68.2', '87.3', '64.9', '81.8']
    assert own['CE', 'image'][6] == '35.3'
    # Unseen people are another table, of one person: no bounds.
    unseen = {(line[0], line[1]): line[2:] for line in read.tables[1][1:]}
    row = table.find(found.rows, CLIP.key, 'action', 'unseen')
    assert unseen['CLIP', 'text'][0] == str(percent(row, 'hit@1'))


def test_curves_go_through_the_hits_of_results_json(made):
    found, _, text, read = made
    for scenario in found.scenarios:
        for method in METHODS:
            row = table.find(found.rows, method.key, scenario, 'seen')
            for k in (1, 5, 10):
                low, high = 100 * row[f'hit@{k}_low'], 100 * row[f'hit@{k}_high']
                said = f'{report.label(method)}, {k}: {100 * row[f"hit@{k}"]:.1f} % '
                assert said + f'[{low:.1f}, {high:.1f}]' in read.words
    assert len([svg for svg in read.all('svg') if svg.get('role') == 'img']) == 3 + 3
    assert all(svg.get('aria-label') or svg.get('aria-hidden') for svg in read.all('svg'))


def test_bars_are_about_the_queries_that_name_it(made):
    found, values, text, read = made
    eating = [n for n, q in enumerate(found.queries) if q.action == 'Eat' and q.seen]
    hits = values[CLIP]['hit@1'][eating]
    assert f'Eat, CLIP, text, {len(eating)} queries: {100 * hits.mean():.1f} %' in read.words
    # Two people of one name are told apart.
    assert 'Ann Lee (p3)' in read.words and 'Ann Lee (p4)' in read.words


def test_queries_that_fail_are_counted_and_the_worst_are_listed(made):
    found, values, _, read = made
    first = values[PAD_TEXT_IMAGE]['median_rank']
    counted = next(t for t in read.tables if t[0][:3] == ['Scenario', 'queries', 'fail'])
    for line in counted[1:]:
        own = [n for n, q in enumerate(found.queries) if q.scenario == line[0]]
        assert line[1:3] == [str(len(own)), str(int((first[own] > 5).sum()))]
    worst = next(t for t in read.tables if t[0][0] == 'Query')
    ranks = [float(line[-1]) for line in worst[1:]]
    assert ranks == sorted(first[first > 5], reverse=True)[:15]


def test_strips_are_pictures_within_the_page_with_words_for_who_cannot_see_them(made):
    *_, text, read = made
    pictures = read.all('img')
    assert len(pictures) == 3 * 6
    assert all(p['src'].startswith('data:image/jpeg;base64,/9j/') for p in pictures)
    assert {p['alt'] for p in pictures} == {
        'somebody else; the place', 'wrong somebody else; the place',
        'right somebody else; the place',
    }  # fmt: skip
    assert read.words.count('✓ right') == 3 and read.words.count('✗ wrong') == 3 * 4


def test_strips_stop_at_their_size(made, monkeypatch):
    found, *_ = made
    whole = strips.render(drawn_outcome.failures(found, 3))
    monkeypatch.setattr(strips, 'MOST_BYTES', len(whole.encode()) - 1)
    assert strips.render(drawn_outcome.failures(found, 3)).count('<h3>') == 2
    assert strips.SHOWN * 1e5 < 5e6


def test_names_are_text_and_nothing_else(made):
    *_, text, read = made
    assert not re.search(r'<script|<b>world|onerror=alert[^<]*<img', text, re.IGNORECASE)
    assert {tag for tag, _ in read.tags} & {'script', 'iframe', 'object', 'form'} == set()
    assert all(set(p) == {'src', 'width', 'height', 'alt'} for p in read.all('img'))
    assert not [a for _, own in read.tags for a in own if a.startswith('on')]
    assert drawn_outcome.NASTY in read.words  # As text it is there.
    assert 'drawn <b>world</b>' in read.words


def test_nothing_is_fetched(made):
    *_, text, read = made
    assert '://' not in text and 'url(' not in text and '@import' not in text
    sources = [own[a] for _, own in read.tags for a in ('src', 'href') if a in own]
    assert all(source.startswith(('data:', '#')) for source in sources)
    policy = next(m['content'] for m in read.all('meta') if 'http-equiv' in m)
    assert policy.startswith("default-src 'none'") and 'script' not in policy
    assert len(text.encode()) < 5e6


def test_tables_have_headers_and_scroll_in_their_box(made):
    *_, text, read = made
    assert text.count('<table ') == text.count('role="region"') == len(read.tables)
    assert all(own['aria-label'] for own in read.all('table'))
    assert all(cell['scope'] in ('col', 'colgroup', 'row') for cell in read.all('th'))


def test_the_run_says_what_it_was(made, config):
    *_, read = made
    assert configs.config_hash(config) in read.words
    written = read.words[read.words.index('The whole configuration') + 23 :]
    assert json.loads(written) == json.loads(json.dumps(configs.flatten(config)))
    assert 'jax ' in read.words and 'in 12 s' in read.words and 'world 7' in read.words


def test_a_commit_is_only_that_of_the_project_itself(tmp_path):
    (tmp_path / '.git').mkdir()
    assert run_facts.commit(tmp_path) is None  # No repository, and no error.
    assert run_facts.commit(tmp_path / '.git') is None


def test_further_parts_stand_before_the_run_and_empty_ones_nowhere(made, config):
    found, *_ = made
    more = [
        page.Section('season', 'A season', '<p>timeline</p>'),
        page.Section('training', 'Learning', ''),
    ]
    read = Reader(drawn_outcome.page(found, PAD_TEXT_IMAGE, [], {}, config, more))
    assert read.sections()[-2:] == ['season', 'run'] and 'Learning' not in read.words
    assert not read.all('img')


def test_what_was_not_asked_is_not_shown(made, config):
    found, values, *_ = made
    few = [n for n, q in enumerate(found.queries) if q.scenario == 'place' and q.seen]
    own = {m: {k: v[few] for k, v in values[m].items()} for m in (CLIP,)}
    own[PAD_TEXT_IMAGE] = {k: np.ones(len(few)) for k in own[CLIP]}
    asked = [found.queries[n] for n in few]
    rows = ranking_rows.result_rows(asked, own, drawn_outcome.FACTS, 20, 0)
    small = report.Evaluated(rows, [], asked, {m: v['median_rank'] for m, v in own.items()}, 20, 0)
    read = Reader(drawn_outcome.page(small, PAD_TEXT_IMAGE, [], {}, config))
    assert read.sections() == ['table', 'curves', 'groups', 'run']
    assert 'By action' not in read.words and 'By place' in read.words
    # Without CE the paper's own numbers stand in its row.
    (row,) = [line for line in read.tables[0] if line[0] == 'CE']
    assert row[2:5] == ['–', '–', '36.7']


def test_failures_are_drawn_by_chance_and_of_every_kind():
    asked = drawn_outcome.asked() * 5
    first = np.full(len(asked), 9.0)
    first[::3] = 5
    chosen = strips.choose(asked, first, 0)
    assert len(set(chosen)) == strips.SHOWN and (first[chosen] > 5).all()
    kinds = [(asked[n].scenario, asked[n].seen) for n in chosen]
    assert {kinds.count(kind) for kind in set(kinds)} == {2} and len(set(kinds)) == 6
    assert chosen == strips.choose(asked, first, 0) != strips.choose(asked, first, 1)
    assert strips.choose(asked, np.ones(len(asked)), 0) == []


def test_curves_and_bars_keep_within_their_picture():
    low, high = charts.Point(0.0, float('nan'), float('nan')), charts.Point(1.0, 0.9, 1.0)
    series = [charts.Series('a', 0), charts.Series('b', 8)]
    drawn = charts.curves('c', [1, 10], list(zip(series, [[low, high]] * 2, strict=True)), 'K')
    drawn += charts.bars('b', series, [('long label ' * 9, 3, [low, high])])
    xs = [float(x) for x in re.findall(r'\b(?:x|x1|x2|cx)="([-\d.]+)"', drawn)]
    assert min(xs) >= 0 and max(xs) <= 360
    assert 'nan' not in drawn
    # The ninth series has a hue again, and dashes.
    assert 'stroke="var(--c2)" stroke-dasharray' in drawn
    assert Reader(drawn).all('svg')
