import pytest

from cpad_jax.errors import UserError
from cpad_jax.media.labelling import cast, csv_lists
from cpad_jax.media.labelling.cast import CastMember


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
    ('name\n\n', ': the cast list names nobody'),
    ('\nwho\nAda\n', ":2: column 'name' is missing; expected a header with name and perhaps"),
    ('name;character\nAda;Doc\n', ":1: column 'name' is missing; .* with commas between, got ';'"),
    ('name,age\nAda,3\n', ":1: column 'age' is unknown"),
    ('name,NAME\nAda,Ada\n', ":1: column 'name' stands there twice"),
    ('name\n\nAda,3\n', ':3: 2 cells, expected name'),
    ('name,person_id\n,x\n', ':2: the name is missing'),
    ('name\nAda\nADA\n', ":3: 'ADA' stands in line 2 already, as 'Ada'; no two people may share"),
    ('name,person_id\nAda,\nBo,ada\n', ":3: 'ada' stands in line 2 already, as 'Ada'"),
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
