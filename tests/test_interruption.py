"""Signals end a command as Ctrl-C does: it cleans up, says how to go on, and leaves no process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cpad_jax import atomic

FOREVER = """
import os, sys, time
from pathlib import Path
from cpad_jax import atomic

def write(path):
    with atomic.writing(path) as temporary:
        temporary.write_text('half')
        Path(f'{path}.pid').write_text(str(os.getpid()))
        time.sleep(600)
"""
COMMAND = """
import sys
from cpad_jax import errors, workers
import forever

def main():
    paths = [f'{sys.argv[1]}/{number}' for number in range(6)]
    list(workers.in_order(forever.write, paths, int(sys.argv[2]), doing='write'))

if __name__ == '__main__':
    errors.run_command(main)
"""
STUBBORN = """
import time
from cpad_jax import errors

def main():
    try:
        print('ready', flush=True)
        time.sleep(600)
    finally:
        print('cleaning', flush=True)
        time.sleep(600)

errors.run_command(main)
"""


def _heed_interrupts():
    """Tests inherit ignored signals: Ctrl-C in a shell's background, SIGHUP under nohup."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _start(folder, processes, prefix=()):
    (folder / 'forever.py').write_text(FOREVER)
    (folder / 'command.py').write_text(COMMAND)
    (folder / 'out').mkdir()
    command = subprocess.Popen(
        [*prefix, sys.executable, folder / 'command.py', folder / 'out', str(processes)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_heed_interrupts,
    )
    until = time.monotonic() + 60
    while len(pids := list((folder / 'out').glob('*.pid'))) < processes:
        assert time.monotonic() < until and command.poll() is None
        time.sleep(0.05)
    return command, [int(pid.read_text()) for pid in pids if pid.read_text()]


def _is_running(pid):
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


# To the process alone, as `kill` sends it, and to its whole group, as a terminal does.
@pytest.mark.parametrize(
    ('number', 'processes', 'send'),
    [
        (signal.SIGTERM, 1, os.kill),
        (signal.SIGTERM, 2, os.kill),
        (signal.SIGTERM, 2, os.killpg),
        (signal.SIGHUP, 2, os.killpg),
        (signal.SIGINT, 2, os.killpg),
    ],
)
def test_a_signal_ends_all_processes_and_leaves_no_half_file(tmp_path, number, processes, send):
    command, pids = _start(tmp_path, processes)
    send(command.pid, number)
    # What the workers hold open is closed when the last of them has ended.
    said = command.communicate(timeout=60)[1]
    assert said == 'interrupted: run the same command again to go on from here\n'
    assert command.returncode == 128 + number
    assert not any(map(_is_running, pids))
    # A process that gets the signal twice ends at once; what it leaves goes at the next write.
    atomic.write_bytes(tmp_path / 'out' / 'next.pid', b'')
    names = {path.name for path in (tmp_path / 'out').iterdir()}
    assert all(name.endswith('.pid') for name in names)


def test_a_signal_that_is_ignored_stays_so(tmp_path):
    command, _ = _start(tmp_path, 1, prefix=('nohup',))
    os.kill(command.pid, signal.SIGHUP)
    time.sleep(0.5)
    assert command.poll() is None
    os.kill(command.pid, signal.SIGTERM)
    assert command.wait(60) == 143
    command.stderr.close()


@pytest.mark.parametrize('first', [signal.SIGINT, signal.SIGTERM])
def test_a_second_ctrl_c_ends_at_once(first):
    command = subprocess.Popen(
        [sys.executable, '-c', STUBBORN],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=_heed_interrupts,
    )
    assert command.stdout.readline() == 'ready\n'
    time.sleep(0.5)  # Or the line is not yet off its hands, and is printed twice.
    os.kill(command.pid, first)
    assert command.stdout.readline() == 'cleaning\n'
    if first != signal.SIGINT:
        os.kill(command.pid, first)  # As `timeout` does, which sends it to the group as well.
        time.sleep(0.2)
        assert command.poll() is None
    os.kill(command.pid, signal.SIGINT)
    assert command.wait(60) == -signal.SIGINT
    command.stdout.close()


SWALLOWS = """
import time
from cpad_jax import errors

class Dropped:
    def __del__(self):
        print('ready', flush=True)
        time.sleep(1.5)

def main():
    Dropped()
    time.sleep(600)

errors.run_command(main)
"""


def test_a_signal_that_python_drops_comes_again():
    command = subprocess.Popen(
        [sys.executable, '-c', SWALLOWS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stdout.readline() == 'ready\n'
    os.kill(command.pid, signal.SIGTERM)
    said = command.communicate(timeout=60)[1]
    assert said == 'interrupted: run the same command again to go on from here\n'
    assert command.returncode == 143
