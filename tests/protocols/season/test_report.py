import dataclasses
import json
import re

import numpy as np
import pytest

from cpad_jax.media import images
from cpad_jax.protocols import protocol
from cpad_jax.protocols.season import pictures, report
from cpad_jax.protocols.season.timeline import Lane, Mark, Segment, timeline
from cpad_jax.report import charts, run_facts
from cpad_jax.training import configs
from tests.support import drawn_season
from tests.support.films import read_number, write
from tests.support.page_reader import Reader


@pytest.fixture(scope='module')
def searched():
    return drawn_season.make()


@pytest.fixture(scope='module')
def made(searched):
    config = configs.parse(['--config', 'configs/season.py:testing']).config
    facts = {'dataset_version': '1', 'split': 'references', 'seed': 7, 'face_feature': 'clip'}
    said = run_facts.collect(config, drawn_season.FACTS | facts, 3.2)
    text = protocol.render(
        report.build(searched, drawn_season.shown(searched), config), said, config
    )
    return text, Reader(text), config


def test_the_page_has_its_parts(made, searched):
    text, read, config = made
    assert read.sections() == ['table', 'curves', 'timelines', 'comparisons', 'run']
    assert 'a <i>show</i>, 3 episodes of together 32 minutes: 12 queries about 6' in read.words
    # A curve for each cutting, and two timelines for each query that is shown.
    drawn = [svg for svg in read.all('svg') if svg.get('role') == 'img']
    assert len(drawn) == 4 + 4 * 2
    assert len(read.all('img')) == 4 * 6
    assert configs.config_hash(config) in read.words


def test_tables_are_those_of_season_json(made, searched):
    _, read, _ = made
    head, *lines = read.tables[0]
    assert head == ['method', 'person query', 'fine-tuned', 'R@25', 'R@50', 'last rank']
    rows = [r for r in searched.rows if r['people'] == 'all' and r['clips_per_minute'] == 2]
    assert len(lines) == 7 + 2
    for line, row in zip(lines, rows[:7], strict=False):
        assert line[3].startswith(f'{row["recall@25"]:.2f} [{row["recall@25_low"]:.2f}')
    assert lines[7][2:] == ['no', '0.61', '0.92', '53']
    # Curves go through the same shares.
    row = rows[6]
    said = f'CLIP-PAD, text+image, fine-tuned, 25: {100 * row["recall@25"]:.1f} %'
    assert said in read.words


def test_every_number_of_a_table_stands_below_its_head(made):
    _, read, _ = made
    for head, *lines in read.tables:
        assert {len(line) for line in lines} == {len(head)}


def test_before_and_after_stand_side_by_side(made, searched):
    _, read, _ = made
    head, *lines = read.tables[-1]
    assert head == ['clips per minute', 'difference of', 'R@25', 'R@50', 'last rank']
    assert len(lines) == 4 * 4
    row = next(r for r in searched.differences if r['a'] == 'CLIP-PAD/image fine-tuned')
    assert lines[2][:2] == ['2 equal segments', 'CLIP-PAD image fine-tuned − CLIP-PAD image']
    said = [row[key] for key in ('difference', 'low', 'high')]
    assert lines[2][2] == '{:+.3f} [{:+.3f}, {:+.3f}]'.format(*said)


def test_queries_are_drawn_of_both_kinds(searched):
    found = searched.values[0, searched.best]['recall@25'] >= report.FOUND
    assert 2 < found.sum() < 10
    chosen = report.choose(searched, 0)
    assert found[chosen].tolist() == [True, True, False, False]
    assert chosen == report.choose(searched, 0)
    assert len({tuple(report.choose(searched, seed)) for seed in range(5)}) > 1


@pytest.mark.parametrize(('share', 'count'), [(1.0, 4), (0.0, 4)])
def test_where_all_are_of_one_kind_only_that_is_shown(searched, share, count):
    values = {(0, searched.best): {'recall@25': np.full(12, share)}}
    one = dataclasses.replace(searched, values=values)
    assert len(set(report.choose(one, 0))) == count


def test_a_timeline_marks_what_answers_and_what_was_found(searched, made):
    _, read, _ = made
    number = report.choose(searched, 0)[0]
    query = searched.queries[number]
    pieces = searched.segments(0)
    (label,) = [
        svg['aria-label'] for svg in read.all('svg')
        if svg.get('aria-label', '').startswith('2 clips per minute, equal segments: ')
        and f' {len(query.relevant[0])} clips answer;' in svg['aria-label']
    ][:1]  # fmt: skip
    # What the words say is what the ranks say.
    best = searched.ranks(0, searched.best)[number]
    assert (
        f'CLIP-PAD, text+image, fine-tuned: {(best <= 25).sum()} right among the first 25, '
        f'{(best <= 50).sum()} among the first 50' in label
    )
    first = pieces[int(searched.first(0, searched.best, number)[0])]
    assert f'rank 1, right: {searched.episodes[first.episode]}' in read.words


def test_places_are_minutes_of_their_episode():
    half = charts.WIDTH - 62 - 10
    drawn = timeline(
        't', ['one', 'two'], [600.0, 300.0], [Segment(1, 150.0, 180.0)],
        [Lane(charts.Series('a', 0), [Mark(Segment(0, 290.0, 310.0), 1, True),
                                      Mark(Segment(1, 0.0, 20.0), 26, False)])],
    )  # fmt: skip
    read = Reader(drawn)
    tracks = [r for r in read.all('rect') if r['fill'] == 'var(--rule)']
    assert [float(r['width']) for r in tracks] == [half, half / 2]
    (answer,) = [r for r in read.all('rect') if r['fill'] == 'var(--right)']
    assert float(answer['x']) == pytest.approx(62 + half / 4, abs=0.1)
    assert float(answer['width']) == pytest.approx(half / 20, abs=0.1)
    wrong, right = (
        next(r for r in read.all('rect') if r['fill'] == 'var(--c0)' and r['width'] == width)
        for width in ('1.2', '3.2')
    )
    assert float(right['x']) + 1.6 == pytest.approx(62 + half / 2, abs=0.1)
    assert float(right['height']) > float(wrong['height'])
    assert float(wrong['y']) > float(right['y'])
    assert 'a, rank 1, right: one 4:50–5:10' in read.words
    assert re.findall(r'>(\d+)</text>', drawn) == ['0', '2', '4', '6', '8', '10']


def test_names_are_text_and_nothing_is_fetched(made):
    text, read, _ = made
    assert {tag for tag, _ in read.tags} & {'script', 'iframe', 'object', 'b>very'} == set()
    assert not [a for _, own in read.tags for a in own if a.startswith('on')]
    assert 'a <b>very<b> long name, 1:30' in read.words
    assert '://' not in text and 'url(' not in text
    assert len(text.encode()) < 5e6
    written = read.words[read.words.index('The whole configuration') + 23 :]
    assert json.loads(written)['eval.season.cast'] == 24


def test_pictures_are_the_best_moments_of_the_best_clips(searched, tmp_path):
    path = tmp_path / 'film.mp4'
    write(path, np.arange(0, 1200, 10.0), b_frames=0)
    one = dataclasses.replace(searched, videos=[path] * 3)
    photo = images.encode_jpeg(np.zeros((8, 8, 3), np.uint8))
    drawn = pictures.draw(one, {f'p{i}': photo for i in range(6)}, 0)
    assert [shown.number for shown in drawn] == report.choose(one, 0)
    for shown in drawn:
        right = [p.right for p in shown.pictures]
        best = one.first(0, one.best, shown.number)[:5]
        assert right == [
            None,
            *(int(c) in searched.queries[shown.number].relevant[0] for c in best),
        ]
        for clip, picture in zip(best, shown.pictures[1:], strict=True):
            piece = one.segments(0)[int(clip)]
            shown_then = int((piece.start + drawn_season.BEST) // 10)
            assert read_number(picture.image) == shown_then
