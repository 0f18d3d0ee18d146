import types

import pytest

from cpad_jax import progress


@pytest.fixture
def clock(monkeypatch):
    """The bar's clock, which stands still until it is moved."""
    time = types.SimpleNamespace(now=0.0)
    time.monotonic = lambda: time.now
    monkeypatch.setattr(progress, 'time', time)
    return time


def go_through(bar, clock, seconds):
    for second in range(seconds):
        clock.now = float(second)
        bar.refresh()
        bar.update()


def test_in_a_file_a_short_bar_is_one_line(capsys, clock):
    with progress.bar(total=7, stage='filming', unit='clip') as bar:
        go_through(bar, clock, 7)
    text = capsys.readouterr().err
    assert text.startswith('filming ') and ' 7/7 ' in text and ' left' in text
    assert text.count('\n') == 1 and text.endswith('left\n') and '\r' not in text


def test_in_a_file_a_long_bar_says_a_line_a_minute(capsys, clock):
    bar = progress.bar(total=150, stage='learning', unit='step')
    bar.set_postfix(loss='0.5', refresh=False)
    go_through(bar, clock, 150)
    bar.close()
    bar.close()
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == ['60/150', '120/150', '150/150']
    assert lines[0].endswith('left, loss=0.5')


def test_what_is_written_beside_a_bar_leaves_it_alone(capsys, clock):
    with progress.bar(total=2, stage='learning', unit='step') as bar:
        bar.write('step 1: 0.5')
        assert capsys.readouterr() == ('step 1: 0.5\n', '')


def test_where_nobody_knows_how_many_only_the_count_is_said(capsys, clock):
    with progress.bar(iter('abc'), total=None, stage='test', unit='photo') as bar:
        assert list(bar) == ['a', 'b', 'c']
    (line,) = capsys.readouterr().err.splitlines()
    assert ' 3 photo ' in line and '?' not in line and '3/' not in line
