import errno
import fcntl
import os
import signal
import subprocess
import sys

import pytest

from cpad_jax.errors import UserError
from cpad_jax.locks import locked, try_lock

OTHERS = 'another one is in it; wait'
HOLDS = """
import sys, time
from pathlib import Path
from cpad_jax import errors
from cpad_jax.locks import locked
def main():
    with locked(Path(sys.argv[1]), 'another one is in it; wait'):
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
        f'error: {workdir}: {OTHERS}\n',
    )
    with locked(tmp_path / 'b', OTHERS):  # Another workdir is free.
        os.kill(first.pid, signal.SIGKILL)
        first.communicate(timeout=60)
    with locked(workdir, OTHERS), pytest.raises(UserError, match=OTHERS):
        with locked(workdir, OTHERS):
            pass
    assert list(workdir.iterdir()) == []


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / 'file').touch()
    for path in (tmp_path / 'file', tmp_path / 'file' / 'run'):
        with pytest.raises(UserError, match='cannot be written to'):
            with locked(path, OTHERS):
                pass


def test_a_folder_that_who_had_it_removed_is_made_anew(tmp_path, monkeypatch):
    """As a build that fails does it, between two calls of another process."""
    folder = tmp_path / 'data'
    flock, removed = fcntl.flock, []

    def late(opened, how):
        if not removed:
            removed.append(folder.rmdir())
        flock(opened, how)

    monkeypatch.setattr(fcntl, 'flock', late)
    with locked(folder, OTHERS):
        assert folder.is_dir()
        assert try_lock(folder) is None
        with pytest.raises(UserError, match=f'^{folder}: {OTHERS}$'), locked(folder, OTHERS):
            pass
    os.close(try_lock(folder))


def test_without_locks_nobody_is_kept_out(tmp_path, monkeypatch):
    def refuse(opened, how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, 'flock', refuse)
    with locked(tmp_path, OTHERS), locked(tmp_path, OTHERS):
        assert try_lock(tmp_path) is None
