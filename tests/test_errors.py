"""How commands end: one line for a mistake, and none where nobody reads any more."""

import subprocess
import sys

import pytest

from cpad_jax import errors

PRINTS = """
from cpad_jax import errors
def main():
    for number in range({lines}):
        print('line', number)
    {last}
errors.run_command(main)
"""


# Few lines are written when the command ends, many while it runs; --help ends by SystemExit.
@pytest.mark.parametrize(('lines', 'last'), [(3, ''), (30_000, ''), (3, 'raise SystemExit(0)')])
def test_a_reader_that_stops_ends_the_command_quietly(lines, last):
    command = subprocess.Popen(
        [sys.executable, '-c', PRINTS.format(lines=lines, last=last)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    command.stdout.close()
    assert command.stderr.read() == b''
    assert command.wait(60) == 141


def test_what_is_read_is_whole():
    done = subprocess.run(
        [sys.executable, '-c', PRINTS.format(lines=3, last='')], capture_output=True, check=True
    )
    assert done.stdout == b'line 0\nline 1\nline 2\n' and done.stderr == b''


def test_another_pipe_that_breaks_is_no_quiet_end():
    def main():
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        errors.run_command(main)


def test_ctrl_c_says_what_is_left(capsys):
    def main():
        raise KeyboardInterrupt

    for arguments, says in (
        ((), 'run the same command again to go on from here'),
        ((errors.STARTS_ANEW,), 'nothing is kept; the same command starts from the beginning'),
    ):
        with pytest.raises(SystemExit) as ended:
            errors.run_command(main, *arguments)
        assert ended.value.code == 130
        assert capsys.readouterr().err == f'interrupted: {says}\n'
