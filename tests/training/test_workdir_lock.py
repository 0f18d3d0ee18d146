import os
import signal
import subprocess
import sys

import pytest

from cpad_jax.errors import UserError
from cpad_jax.training.workdir_lock import alone

HOLDS = """
import sys, time
from pathlib import Path
from cpad_jax import errors
from cpad_jax.training.workdir_lock import alone
def main():
    with alone(Path(sys.argv[1])):
        print('holds', flush=True)
        time.sleep(float(sys.argv[2]))
errors.run_command(main)
"""


def _start(workdir, seconds):
    return subprocess.Popen(
        [sys.executable, '-c', HOLDS, workdir, str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_second_run_says_so_in_one_line_and_the_lock_goes_with_the_first(tmp_path):
    workdir = tmp_path / 'a' / 'run'
    first = _start(workdir, 600)
    assert first.stdout.readline() == 'holds\n'
    second = _start(workdir, 0)
    said = second.communicate(timeout=60)
    assert second.returncode == 2
    assert said == (
        '',
        f'error: {workdir}: another training runs in it; wait until that has ended, or give '
        'another --workdir\n',
    )
    with alone(tmp_path / 'b'):  # Another workdir is free.
        os.kill(first.pid, signal.SIGKILL)
        first.communicate(timeout=60)
    with alone(workdir), pytest.raises(UserError, match='another training runs in it'):
        with alone(workdir):
            pass
    assert list(workdir.iterdir()) == []


def test_a_workdir_that_cannot_be_is_refused(tmp_path):
    (tmp_path / 'file').touch()
    for path in (tmp_path / 'file', tmp_path / 'file' / 'run'):
        with pytest.raises(UserError, match='cannot be written to'):
            with alone(path):
                pass
