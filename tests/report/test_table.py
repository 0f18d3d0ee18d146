import pytest

from cpad_jax.report import table
from cpad_jax.report.table import Cell, Table
from tests.support.page_reader import Reader

ROW = {'hit@1': 0.412, 'hit@1_low': 0.392, 'hit@1_high': 0.434, 'map': 0.3, 'map_low': None,
       'map_high': None, 'full': 1.0, 'full_low': 1.0, 'full_high': 1.0}  # fmt: skip


@pytest.mark.parametrize(
    ('cell', 'text'),
    [
        (Cell(0.5), '0.500'),
        (Cell(None), '–'),
        (Cell(float('nan'), 0.1, 0.2), '–'),
        (Cell(0.5, None, 0.6), '0.500'),
        (Cell(0.5, float('nan'), float('nan')), '0.500'),
        (Cell(0.5, 0.25, 0.75), '0.500 [0.250, 0.750]'),
        (Cell(2.04, -1.0, 3.06, '+.1f'), '+2.0 [-1.0, +3.1]'),
        (Cell(0.75, 0.6, 0.9, '.2f', prefix='× '), '× 0.75 [0.60, 0.90]'),
        (Cell(41.2, 39.2, 43.4, '.1f', half_width=True), '41.2±2.1'),
        (Cell(41.2, 21.2, 61.2, '.1f', half_width=True), '41.2±20'),
        (table.cell(ROW, 'hit@1'), '0.412 [0.392, 0.434]'),
        (table.cell(ROW, 'hit@1', '.2f', bounds=False), '0.41'),
        (table.cell(ROW, 'map'), '0.300'),
        (table.cell(None, 'map'), '–'),
        (table.percent(ROW, 'hit@1'), '41.2±2.1'),
        (table.percent(ROW, 'hit@1', half_width=False), '41.2 [39.2, 43.4]'),
        (table.percent(ROW, 'hit@1', bounds=False), '41.2'),
        (table.percent(ROW, 'full', bounds=False), '100'),
        (table.percent(ROW, 'full', half_width=False), '100.0 [100.0, 100.0]'),
        (table.percent(None, 'hit@1'), '–'),
        (table.in_percent(Cell(0.024, 0.01, None, '+.1f')), '+2.4'),
    ],
)
def test_a_cell_is_one_number_and_its_interval(cell, text):
    assert str(cell) == text


PLAIN = Table(
    'Two methods', ['method', 'query', 'hit@1', 'rank'],
    [['CLIP', 'text', Cell(0.5, 0.25, 0.75), Cell(12, form='.0f')],
     ['CLIP | PAD', 'image', Cell(None), Cell(3, form='.0f')]],
    labels=2, notes=['One note.', 'Another.'],
)  # fmt: skip


def test_text_aligns_labels_to_the_left_and_numbers_to_the_right():
    assert PLAIN.text().split('\n') == [
        'Two methods',
        'method      query                 hit@1  rank',
        'CLIP        text   0.500 [0.250, 0.750]    12',
        'CLIP | PAD  image                     –     3',
        'One note.',
        'Another.',
    ]


def test_markdown_escapes_what_would_end_a_cell():
    assert PLAIN.markdown().split('\n') == [
        '**Two methods**',
        '',
        '| method | query | hit@1 | rank |',
        '| --- | --- | ---: | ---: |',
        '| CLIP | text | 0.500 [0.250, 0.750] | 12 |',
        '| CLIP \\| PAD | image | – | 3 |',
        '',
        'One note.',
        'Another.',
    ]


GROUPED = Table(
    'Ours and theirs', ['', '@1', '@5', '@1', '@5'],
    [['CLIP', Cell(41.2, 39.2, 43.2, '.1f', half_width=True), Cell(70.0, form='.1f'), '42.4',
      '73.5']],
    headings=[[('', 1), ('ours', 2), ('the paper', 2)], [('', 1), ('action', 2), ('action', 2)]],
    rules=(3,),
)  # fmt: skip


def test_headings_span_their_columns_and_rules_stand_in_line():
    assert GROUPED.text().split('\n') == [
        'Ours and theirs',
        '               ours │ the paper',
        '             action │    action',
        '            @1   @5 │   @1   @5',
        '─' * 31,
        'CLIP  41.2±2.0 70.0 │ 42.4 73.5',
    ]


def test_a_long_heading_widens_its_columns():
    narrow = Table('', ['', 'a', 'b'], [['x', '1', '2']], headings=[[('', 1), ('long heading', 2)]])
    assert narrow.text().split('\n')[1:] == [
        '   long heading',
        '   a          b',
        '─' * 15,
        'x  1          2',
    ]


def test_markdown_has_one_row_of_headings():
    head = GROUPED.markdown().split('\n')[2]
    assert head == (
        '|  | ours action @1 | ours action @5 | the paper action @1 | the paper action @5 |'
    )


def test_html_is_escaped_and_headings_span_columns():
    spoken = Table(
        '<b>', ['who', 'a+<u>'], [['<i>x</i>', Cell(0.5)]], headings=[[('', 1), ('g', 1)]],
        notes=['a < b'],
    )  # fmt: skip
    page = Reader(spoken.html())
    assert page.tables == [[['who', 'a+<u>'], ['<i>x</i>', '0.500']]]
    assert 'g' in page.words
    assert '<b>' in page.words and 'a < b' in page.words
    assert not any(map(page.all, ('i', 'b', 'u')))
    assert [tag.get('colspan') for tag in page.all('th')] == ['1', None, None, None]
    assert page.all('wbr') and page.all('th')[1]['class'] == 'label'


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'rows': [['a', 'b']]}, 'a row of 2 cells in a table of 1 columns'),
        ({'headings': [[('x', 2)]]}, 'do not span 1 columns'),
    ],
)
def test_rows_and_headings_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Table(**{'title': '', 'columns': ['a'], 'rows': [['x']], **changes})


def test_a_table_without_rows_has_its_head():
    assert Table('Nothing', ['a', 'bb'], []).text() == 'Nothing\na  bb'
