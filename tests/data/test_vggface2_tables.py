import csv
import io

import numpy as np
import pytest

from cpad_jax.data import vggface2_tables as tables
from cpad_jax.data.rejection_log import RejectionList
from cpad_jax.errors import UserError

# What cells hold → the person's name.
NAMES = {
    'A_Fine_Frenzy': 'A Fine Frenzy',
    '14th_Dalai_Lama': '14th Dalai Lama',
    'Dwayne_"The_Rock"_Johnson': 'Dwayne "The Rock" Johnson',
    '"Weird_Al"_Yankovic': '"Weird Al" Yankovic',
    'Robert_Downey,_Jr.': 'Robert Downey, Jr.',
    'Sammy_"Mr._Show"_Davis,_Jr.': 'Sammy "Mr. Show" Davis, Jr.',
    'Zoë_Saldaña': 'Zoë Saldaña',
    'Björk': 'Björk',
    "Conan_O'Brien": "Conan O'Brien",
    'Mo’Nique': 'Mo’Nique',
    'Mary Kate; Ashley': 'Mary Kate; Ashley',
    '50_Cent': '50 Cent',
    '2': '2',
}
BEYOND_LATIN = {'Иван_Ургант': 'Иван Ургант', '王菲': '王菲', 'Łukasz_Żal': 'Łukasz Żal'}


def rows(names, order=(0, 1, 2, 3, 4)):
    """Cells as the authors' table has them, of people with numbers from 2 on."""
    for number, name in enumerate(names, 2):
        cells = [f'n{number:06d}', name, str(300 + number), str(number % 2), 'fm'[number % 2]]
        yield [cells[column] for column in order]


def as_packed(cells):
    # The authors' own: spaces after commas, quotes that begin after a space, a comma at the end.
    return f'{cells[0]}, "{cells[1]}",{cells[2]},{cells[3]}, {cells[4]},'


def as_saved_again(cells):
    # The copy without a header: each cell of the authors' is a cell of a spreadsheet.
    out = io.StringIO()
    row = [cells[0], f' "{cells[1]}"', *cells[2:4], f' {cells[4]}']
    csv.writer(out, lineterminator='').writerow(row)
    return out.getvalue()


def as_csv(cells, separator=','):
    out = io.StringIO()
    csv.writer(out, delimiter=separator, lineterminator='').writerow(cells)
    return out.getvalue()


def as_quoted_line(cells):
    # A program that took each line for one cell.
    return '"' + as_packed(cells).replace('"', '""') + '"'


HEADER = 'Class_ID, Name, Sample_Num, Flag, Gender'
FORMS = {
    'packed': (HEADER, as_packed),
    'packed, bare': (None, as_packed),
    'saved again': (None, as_saved_again),
    'saved again, with its header': (HEADER.replace(', ', ' , '), as_saved_again),
    'bare names': (None, lambda cells: ', '.join(cells)),
    'csv': (HEADER.replace(' ', ''), as_csv),
    'all quoted': (
        '"Class_ID","Name","Sample_Num","Flag","Gender"',
        lambda cells: ','.join('"' + cell.replace('"', '""') + '"' for cell in cells),
    ),
    'quotes with backslashes': (
        HEADER,
        lambda c: f'{c[0]},"{c[1]}",{c[2]},{c[3]},{c[4]}'.replace(c[1], c[1].replace('"', '\\"')),
    ),
    'semicolons': (HEADER.replace(', ', ';'), lambda cells: as_csv(cells, ';')),
    'semicolons, bare': (None, lambda cells: as_csv(cells, ';') + ';;'),
    'tabs': ('\t'.join(HEADER.split(', ')), lambda cells: as_csv(cells, '\t')),
    'quoted lines': (None, as_quoted_line),
    'header with other separators than rows': (HEADER, lambda cells: as_csv(cells, ';')),
    'commas at the ends': (HEADER + ',,', lambda cells: as_packed(cells) + ', ,'),
}


def read(path, text, encoding='utf-8', end='\n'):
    path.write_bytes(text.replace('\n', end).encode(encoding))
    aside = RejectionList()
    return tables.read_people(path, aside), aside.entries


@pytest.mark.parametrize('form', FORMS)
def test_names_are_exact_in_every_form(form, tmp_path):
    header, write = FORMS[form]
    names = NAMES | BEYOND_LATIN
    text = '\n'.join([*([header] if header else []), *map(write, rows(names))])
    people, entries = read(tmp_path / tables.META, text + '\n')
    assert entries == []
    assert [person['name'] for person in people] == list(names.values())
    assert [person['person_id'] for person in people] == [
        f'n{number:06d}' for number in range(2, len(names) + 2)
    ]
    assert [person['seen'] for person in people] == [bool(n % 2) for n in range(2, len(names) + 2)]
    assert [person['gender'] for person in people[:2]] == ['woman', 'man']


@pytest.mark.parametrize('end', ['\r\n', '\r'])
@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16', 'utf-16-le', 'cp1252'])
@pytest.mark.parametrize('form', ['packed', 'saved again', 'semicolons'])
def test_names_are_exact_in_every_encoding(form, encoding, end, tmp_path):
    header, write = FORMS[form]
    lines = [*([header] if header else []), *map(write, rows(NAMES))]
    mark = '\ufeff' if encoding == 'utf-16-le' else ''
    # No line end at the end of the file.
    people, entries = read(tmp_path / tables.META, mark + '\n'.join(lines), encoding, end)
    assert entries == []
    assert [person['name'] for person in people] == list(NAMES.values())


@pytest.mark.parametrize('order', [(1, 0, 4, 3, 2), (4, 3, 2, 1, 0), (0, 3, 1, 4, 2), (3, 0, 1)])
def test_the_header_says_which_column_is_which(order, tmp_path):
    columns = [HEADER.split(', ')[column] for column in order]
    text = '\n'.join(','.join(cells) for cells in [columns, *rows(NAMES, order)])
    people, entries = read(tmp_path / tables.META, text)
    assert entries == []
    assert [person['name'] for person in people] == list(NAMES.values())
    assert [person['person_id'] for person in people[:2]] == ['n000002', 'n000003']
    assert [person['seen'] for person in people[:2]] == [False, True]
    expected = ['woman', 'man'] if 4 in order else ['', '']
    assert [person['gender'] for person in people[:2]] == expected


def test_names_of_composed_and_of_combined_letters_are_the_same(tmp_path):
    people, _ = read(tmp_path / tables.META, 'n000002, "Zoe\u0308_Saldan\u0303a",1,1, f')
    assert people[0]['name'] == 'Zo\u00eb Salda\u00f1a'


def test_bad_rows_are_rejected_one_by_one(tmp_path):
    text = '\n'.join([
        HEADER, as_packed(['n000002', 'A_B', '3', '1', 'f']), 'n00003, "C_D",1,1, m',
        'n000004, "E_F",1,2, m', 'n000005, "G_H",many,1, m', 'n000006, "I_J"', '',
        'n000007, "",1,1, m', as_saved_again(['n000002', 'K_L', '3', '1', 'f']),
        as_saved_again(['n000008', 'M_N', '3', '0', '']), HEADER, 'n000009, "O_P",4,1',
    ])  # fmt: skip
    people, entries = read(tmp_path / tables.META, text)
    assert [tuple(person.values()) for person in people] == [
        ('n000002', 'A B', 'woman', True, 0),
        ('n000008', 'M N', '', False, 1),
        ('n000009', 'O P', '', True, 2),
    ]
    row = 'not a row about a person'
    assert [(line, reason) for _, line, reason, _, _ in entries] == [
        (3, row), (4, row), (5, row), (6, row), (8, 'a person without a name'),
        (9, 'a person that an earlier row is about'), (11, row),
    ]  # fmt: skip


def test_a_header_without_a_needed_column_is_told(tmp_path):
    with pytest.raises(UserError, match=r'meta.csv:1: there is no column flag in the header, expe'):
        read(tmp_path / tables.META, 'Class_ID,Name,Gender\nn000002,A_B,f\n')
    with pytest.raises(UserError, match='no row about a person'):
        read(tmp_path / tables.META, HEADER)


BOXES = {'n000002/0001_01': (60, 50, 79, 109), 'n000003/0012_02': (-1, 2, 3, 4.5)}


@pytest.mark.parametrize(
    ('header', 'row'),
    [
        ('NAME_ID,X,Y,W,H', '"{0}",{1},{2},{3},{4}'),
        (None, '"{0}",{1},{2},{3},{4}'),
        (None, '{0}, {1}, {2}, {3}, {4},,'),
        (None, '{0}.jpg;{1};{2};{3};{4}'),
        ('W,H,NAME_ID,Y,X', '{3},{4},"{0}",{2},{1}'),
        ('NAME_ID\tX\tY\tW\tH\tscore', '{0}\t{1}\t{2}\t{3}\t{4}\t0.9'),
        ('name_id;y;x;h;w;', '"train/{0}.JPG";{2};{1};{4};{3};'),
        ('Name_ID, X, Y, Width, Height', '{0}.png, {1}, {2}, {3}, {4}'),
    ],
)
def test_boxes_by_their_columns(header, row, tmp_path):
    lines = [row.format(name, *box) for name, box in BOXES.items()]
    path = tmp_path / 'loose_bb_train.csv'
    path.write_bytes('\r\n'.join([*([header] if header else []), *lines]).encode('utf-8-sig'))
    aside = RejectionList()
    measures = tables.Measures(path, tables.BOX, aside)
    assert aside.entries == []
    for name, box in BOXES.items():
        np.testing.assert_allclose(measures.of(tables.key(name)), box)
    assert tables.kind([header or lines[0]]) == 'boxes'


def test_landmarks_by_their_columns(tmp_path):
    numbers = dict(zip(tables.LANDMARKS, range(10), strict=True))
    order = [*reversed(tables.LANDMARKS)]
    path = tmp_path / 'points.csv'
    path.write_text(
        ','.join(name.upper() for name in order) + ',NAME_ID\n'
        + ','.join(str(numbers[name]) for name in order) + ',n000002/0001_01\n'
        + '1,2,3,4,5,6,7,8,9,n000002/0001_02\n'
    )  # fmt: skip
    aside = RejectionList()
    measures = tables.Measures(path, tables.LANDMARKS, aside)
    assert measures.of(tables.key('n000002/0001_01')).tolist() == list(range(10))
    assert [entry[1:3] for entry in aside.entries] == [(3, 'not a row about a picture')]
    with pytest.raises(
        UserError, match=r'points.csv:1: the header has not all of the columns NAME'
    ):
        tables.Measures(path, tables.BOX, aside)


@pytest.mark.parametrize(
    ('line', 'kind'),
    [
        (HEADER, 'meta'), ('Gender;Name;Class_ID', 'meta'),
        ('n000002," ""A_Fine_Frenzy""",315,1, f', 'meta'),
        ('"n000002/0001_01",0,0,8,6,16,12,24,18,32,24', 'landmarks'),
        ('NAME_ID,P1X,P1Y,P2X,P2Y,P3X,P3Y,P4X,P4Y,P5X,P5Y', 'landmarks'),
        ('NAME_ID,X,Y', None), ('n000002/0001_01,1,2', None), ('a,b', None), ('', None),
    ],
)  # fmt: skip
def test_what_a_table_is_shows_in_its_first_line(line, kind):
    assert tables.kind([line]) == kind


@pytest.mark.parametrize('ending', ['jpg', 'JPG', 'jpeg', 'Jpeg', 'png', 'PNG'])
def test_pictures_of_every_ending(ending, tmp_path):
    assert tables.picture_id(f'VGG-Face2/data/train/n000002/0001_01.{ending}') == 'n000002/0001_01'
    path = tmp_path / 'train_list.txt'
    path.write_text(f'n000002/0001_01.{ending}\r\ntrain/n000003/0004_02.{ending} 17\n')
    aside = RejectionList()
    listed = tables.Listed(path, aside)
    assert (len(listed), aside.entries) == (2, [])
    assert listed.people() == ['n000002', 'n000003']


def test_what_is_no_picture():
    for path in ('n000002/1_1.jpg', 'n000002/0001_01.gif', 'n02/0001_01.jpg', 'n000002_0001.jpg'):
        assert tables.picture_id(path) is None


@pytest.mark.parametrize('filling', [',', ' ', '\t', '"', ', ', '" "', '/', 'n000002/', '""",'])
def test_lines_that_never_seem_to_end_are_read_at_once(tmp_path, filling):
    long = filling * (60_000 // len(filling))
    row = 'n000002, "A_B",1,1, f'
    for start in ('n000002,', 'n000002/0001_01', '"'):
        path = tmp_path / 'table.csv'
        path.write_text(f'{row}\n{start}{long}x\n{start}{long}1\n')
        aside = RejectionList()
        assert tables.read_people(path, aside)[0]['name'] == 'A B'
        tables.Measures(path, tables.BOX, aside)
        tables.Listed(path, aside)
        assert len(aside.entries) >= 8


def test_keys_sort_as_names_and_lead_back_to_them():
    names = [
        'n000001/0001_01', 'n000001/0001_02', 'n000001/0002_01', 'n000001/9999_9999',
        'n000001/10000_00', 'n000001/999999_01', 'n000002/0001_01', 'n999999/0001_01',
    ]  # fmt: skip
    keys = [tables.key(name) for name in names]
    assert keys == sorted(set(keys))
    assert [tables.name_id(key) for key in keys] == names
    assert tables.key('n000001/00001_01') is None


@pytest.mark.parametrize('size', ['0,5', '5,0', '-1,5', 'nan,5'])
def test_boxes_without_an_area_are_set_aside(tmp_path, size):
    path, aside = tmp_path / 'boxes.csv', RejectionList()
    path.write_text(f'n000002/0001_01,1,2,{size}\nn000002/0001_02,1,2,0.5,0.5\n')
    measures = tables.Measures(path, tables.BOX, aside)
    assert measures.of(tables.key('n000002/0001_01')) is None
    assert measures.of(tables.key('n000002/0001_02')).tolist() == [1, 2, 0.5, 0.5]
    assert [entry[1] for entry in aside.entries] == [1]
