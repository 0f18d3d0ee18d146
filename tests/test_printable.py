import csv
import io
import types

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpad_jax import errors, progress
from cpad_jax.commands import find_person
from cpad_jax.printable import as_cell, from_cell, printable, say
from cpad_jax.report import page


@pytest.mark.parametrize(('text', 'shown'), [
    ('Zoë 田中 Ω', 'Zoë 田中 Ω'),
    ('Ann\x1b[2J\x07', r'Ann\x1b[2J\x07'),
    ('Ann\x9b31m', r'Ann\x9b31m'),  # The one-byte form of ESC [.
    ('a\r\nerror: b', r'a\r\nerror: b'),
    ('gpj.\u202eexe', r'gpj.\u202eexe'),
    ('\u2066a\u2069\u200b\ufeff\u200f', r'\u2066a\u2069\u200b\ufeff\u200f'),
    ('a\u2028b\u0085', r'a\u2028b\x85'),
    ('\udcff.mp4', r'\udcff.mp4'),  # A byte of a path that is no UTF-8.
    ('\u3164\U000e0041', r'\u3164\U000e0041'),  # A filler, and a letter of tags.
])  # fmt: skip
def test_what_a_terminal_would_obey_is_escaped(text, shown):
    assert printable(text) == shown


def test_ends_of_lines_may_stay():
    assert printable('a\tb\n\x1bc', keep='\n\t') == 'a\tb\n\\x1bc'


@settings(deadline=None, max_examples=50)
@given(st.text())
def test_what_is_printed_can_be_printed(text):
    shown = printable(text)
    assert len(shown.splitlines()) <= 1 and '\x1b' not in shown
    assert printable(shown) == shown and printable(shown).encode().decode() == shown


@pytest.mark.parametrize(('text', 'cell'), [
    ('=HYPERLINK("http://x")', '\'=HYPERLINK("http://x")'),
    ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
    ('-2+3', "'-2+3"), ('@SUM(A1)', "'@SUM(A1)"), ('\t=1', "'\t=1"), ('\r=1', "'\r=1"),
    ('＝1', "'＝1"), ("'=1", "''=1"), ("O'Brien", "O'Brien"), ("'Tis", "'Tis"), ('', ''),
])  # fmt: skip
def test_no_cell_begins_a_formula(text, cell):
    assert as_cell(text) == cell and from_cell(cell) == text


@settings(deadline=None, max_examples=50)
@given(st.text(alphabet="'=+-@\t\ra"))
def test_cells_are_read_back_unchanged(text):
    assert from_cell(as_cell(text)) == text
    file = io.StringIO(newline='')
    csv.writer(file).writerow([as_cell(text), 'end'])
    (row,) = csv.reader(io.StringIO(file.getvalue(), newline=''))
    assert from_cell(row[0]) == text and not row[0].startswith(tuple('=+-@\t\r'))


def test_error_lines(capsys):
    with pytest.raises(SystemExit):
        errors.run_command(lambda: (_ for _ in ()).throw(errors.UserError('no \x1b[2J\u202e file')))
    assert capsys.readouterr().err == 'error: no \\x1b[2J\\u202e file\n'


def test_progress_bars(capsys):
    with progress.bar(total=1, stage='at \x1b[31mred', unit='clip\x07') as bar:
        bar.set_postfix_str('\x1b]0;title\x07')
        bar.update()
    shown = capsys.readouterr().err
    assert '\\x1b[31mred' in shown and '\\x07' in shown and not set(shown) & {'\x1b', '\x07'}


def test_pages():
    assert page.text('a\x1b[2J\u202e<b>') == r'a\x1b[2J\u202e&lt;b&gt;'
    assert page.name('\u2066\x07Ann') == r'<bdi>\u2066\x07Ann</bdi>'


def test_tables_keep_their_lines(capsys):
    say('a\tb\n\x1b[31mc\u200b')
    assert capsys.readouterr().out == 'a\tb\n\\x1b[31mc\\u200b\n'


def test_found_moments_and_what_is_set_aside(capsys):
    name = 'a\x1b[2J\n0.999  0:00 - 0:01  b\u202e.mp4'
    moment = types.SimpleNamespace(score=0.9, start=0.0, end=1.0, best_time=0.5, video=name)
    find_person.show([moment], [moment], 0.5)
    find_person.show([], [moment], 0.95)
    find_person.report([f'set aside: {name}'])
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 2 and len(said.err.splitlines()) == 1
    assert not set(said.out + said.err) & {'\x1b', '\u202e'}
    assert said.out.count(r'a\x1b[2J\n0.999') == 2


def test_rows_of_found_moments_are_shortened(capsys):
    name = 'x' * 5000
    moment = types.SimpleNamespace(score=0.9, start=0.0, end=1.0, best_time=0.5, video=name)
    find_person.show([moment], [moment], 0.5)
    find_person.show([], [moment], 0.95)
    first, second = capsys.readouterr().out.splitlines()
    assert len(first) == len(second) == 399
    assert first.startswith('0.900  0:00.0 - 0:01.0  xxx') and first.endswith('xxx')
    assert second.startswith('nothing scores 0.95 or more; the nearest face scores 0.900 at 0:00')


def test_a_line_that_quotes_a_long_name_loses_its_middle_wherever_it_is_said(capsys):
    name = 'x' * 5000
    say(f'not found: {name}, Ann\nunknown: 3 faces')
    first, second = capsys.readouterr().out.splitlines()
    assert len(first) == 399 and second == 'unknown: 3 faces'
    assert first.startswith('not found: xxx') and first.endswith('xxx, Ann') and ' ... ' in first
    find_person.report([f'set aside: {name}: no face was found'])
    with pytest.raises(SystemExit), errors.cli_errors():
        raise errors.UserError(f'{name}\x1b' * 3 + ': give another')
    for line, end in zip(
        capsys.readouterr().err.splitlines(), ('no face was found', 'give another'), strict=True
    ):
        assert len(line) == 399 and line.endswith(end) and '\x1b' not in line
    say('\x1b' * 399)  # Escapes are longer than what they stand for.
    assert len(capsys.readouterr().out) == 400
