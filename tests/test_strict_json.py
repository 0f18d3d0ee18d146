import json
import os

import pytest

from cpad_jax import strict_json


@pytest.mark.parametrize(
    'value', [{}, [], 'ä\n', 0, -3, 2**63 - 1, -(2**63), 1.5, 1e300, None, True,
              {'a': [1, {'b': [2.5, None]}], 'c': 'x'}, '\N{GRINNING FACE}'],
)  # fmt: skip
@pytest.mark.parametrize('ascii_only', [True, False])
def test_what_python_writes_is_read(value, ascii_only):
    data = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert strict_json.parse(data) == value
    assert strict_json.parse(b'\xef\xbb\xbf' + data) == value
    assert type(strict_json.parse(data)) is type(value)


@pytest.mark.parametrize(
    'data, words',
    [
        (b'', 'Expecting value'),
        (b'{"a": 1} x', 'Extra data'),
        (b'\xff{}', "can't decode"),
        (b'{"a": 1, "b": 2, "a": 3}', "the name 'a' occurs twice"),
        (b'[{"x": {"k": 1, "k": 1}}]', "the name 'k' occurs twice"),
        (b'{"a": 1, "\\u0061": 2}', "the name 'a' occurs twice"),
        (b'NaN', 'NaN is no number of JSON'),
        (b'[-Infinity]', '-Infinity is no number'),
        (b'1e999', 'the number 1e999 is out of range'),
        (b'-1' + b'0' * 400 + b'.0', 'out of range'),
        (b'9' * 20, 'more than 19 digits'),
        (b'[-' + b'1' * 100_000 + b']', 'more than 19 digits'),
        (b'"\\ud800"', 'half of a character'),
        (b'{"\\uDFFF": 1}', 'half of a character'),
        (b'[' * 101 + b']' * 101, 'nests too deeply'),
        (b'{"a":' * 200_000, 'nests too deeply'),
        (b'[' * 2_000_000, 'nests too deeply'),
        (b' ' * (strict_json.MAX_BYTES + 1), 'more than 4194304 bytes'),
    ],
)
def test_what_has_no_one_meaning_is_refused(data, words):
    with pytest.raises(ValueError, match=words):
        strict_json.parse(data)


def test_the_bounds_are_as_they_say():
    deep = b'[' * 100 + b']' * 100
    assert json.dumps(strict_json.parse(deep)).encode() == deep
    assert strict_json.parse(b'12345', 5) == 12345
    with pytest.raises(ValueError, match='more than 4 bytes'):
        strict_json.parse(b'12345', 4)
    assert strict_json.parse(b'"\\ud83d\\ude00"') == '\N{GRINNING FACE}'


def test_only_files_are_read(tmp_path):
    path = tmp_path / 'x.json'
    path.write_text('{"a": [1]}')
    assert strict_json.read(path) == {'a': [1]}
    path.write_bytes(b' ' * 100)
    with pytest.raises(ValueError, match='more than 9 bytes'):
        strict_json.read(path, 9)
    # To open a pipe that nobody writes into would wait for ever.
    os.mkfifo(tmp_path / 'pipe')
    for name in ('pipe', '.'):
        with pytest.raises(ValueError, match='no file'):
            strict_json.read(tmp_path / name)
    with pytest.raises(OSError):
        strict_json.read(tmp_path / 'none')
