import csv

import pytest

from cpad_jax.data import csv_lists
from cpad_jax.errors import UserError
from cpad_jax.labelling import cast
from cpad_jax.labelling.cast import CastMember


def read(tmp_path, content):
    path = tmp_path / 'cast.csv'
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return cast.read_cast(path)


def test_lists_as_they_are_written(tmp_path):
    text = '\ufeffPerson_ID, Name,character\r\nn1, "Hale, Ben" ,Doc\r\n\r\n , ,\r\n,Zo\u00eb,\r\n'
    assert read(tmp_path, text) == [CastMember('n1', 'Hale, Ben', 'Doc'), CastMember('Zoë', 'Zoë')]
    assert read(tmp_path, 'name\nAda') == [CastMember('Ada', 'Ada')]


@pytest.mark.parametrize(('content', 'says'), [
    ('', ': the cast list is empty; expected a header with name and perhaps person_id, character'),
    ('name\n\n', ': the cast list is empty; write one line per person'),
    ('\nwho\nAda\n', ":2: column 'name' is missing; expected a header with name and perhaps"),
    ('name|character\nAda|Doc\n', ":1: column 'name' is missing; expected a header"),
    ('name,age\nAda,3\n', ":1: column 'age' is unknown"),
    ('name,NAME\nAda,Ada\n', ":1: column 'name' stands there twice"),
    ('name\n\nAda,3\n', ':3: 2 cells, expected name'),
    ('name,person_id\n,x\n', ':2: the name is missing'),
    ('name\nAda\nADA\n', ":3: 'ADA' is in line 2 already, as 'Ada'; no two people may share"),
    ('name,person_id\nAda,\nBo,ada\n', ":3: 'ada' is in line 2 already, as 'Ada'"),
    ('name\n???\n', r":2: '\?\?\?' has neither letters nor figures"),
    (b'name\nAda\nZo\xeb\n', ':3: this is not UTF-8 text .* save it as UTF-8'),
    ('name\n"' + 'a' * 200_000 + '"\n', ':2: this is not CSV'),
])  # fmt: skip
def test_mistakes_are_named_by_line(tmp_path, content, says):
    with pytest.raises(UserError, match=f'cast.csv{says}'):
        read(tmp_path, content)


def test_what_is_no_list_at_all_is_not_read(tmp_path):
    with pytest.raises(UserError, match='cast.csv: there is no such cast list; expected CSV'):
        cast.read_cast(tmp_path / 'cast.csv')
    (tmp_path / 'a').write_text('name\nAda\n')
    with pytest.raises(UserError, match='a: 9 bytes are no list'):
        next(csv_lists.read_rows(tmp_path / 'a', 'list', 8, ('name',)))


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16', 'utf-16-le', 'utf-16-be'])
@pytest.mark.parametrize('mark', [',', ';', '\t'])
@pytest.mark.parametrize('first', ['', 'sep={}\r\n', '\r\n'])
def test_a_long_list_as_spreadsheets_save_it(tmp_path, encoding, mark, first):
    people = [(f'Zoë Nr{number}', f'Doc; {number}') for number in range(1000)]
    rows = ''.join(f'"{name}"{mark}"{character}"\r\n' for name, character in people)
    text = first.format(mark) + f'Name{mark}Character\r\n' + rows
    assert read(tmp_path, text.encode(encoding)) == [CastMember(n, n, c) for n, c in people]


def test_names_that_a_spreadsheet_would_run_are_read_as_they_were(tmp_path):
    text = "name\n'=SUM(A1)\n'@ada\n\"''=Bo\"\n'Tis\n"
    names = [member.name for member in read(tmp_path, text)]
    assert names == ['=SUM(A1)', '@ada', "'=Bo", "'Tis"]


@pytest.mark.parametrize('second', ['Zoe\u0308', 'ZOE', 'Zoë ', 'zoé'])
def test_one_name_in_two_spellings_stands_twice(tmp_path, second):
    with pytest.raises(UserError, match="cast.csv:3: .* is in line 2 already, as 'Zoë'"):
        read(tmp_path, f'name\nZoë\n{second}\n')


def test_names_in_scripts_without_capitals(tmp_path):
    text = 'name,character\n王小明,小明\nमनीष,\nमनोज,\nמשה כהן,\nمحمد علي,\n김철수,\nสมชาย,\n'
    assert [m.name for m in read(tmp_path, text)] == [
        '王小明', 'मनीष', 'मनोज', 'משה כהן', 'محمد علي', '김철수', 'สมชาย',
    ]  # fmt: skip


def test_a_first_line_that_no_csv_reader_takes_is_refused(tmp_path):
    path = tmp_path / 'cast.csv'
    path.write_text('name' + 'x' * csv.field_size_limit())
    with pytest.raises(UserError, match=r'cast\.csv:1: this is not CSV \(field larger'):
        list(csv_lists.read_rows(path, 'cast list', 1 << 20, ('name',)))
