"""Reads damaged files in processes of their own, which are replaced when they end."""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import multiprocessing.connection
import os
import resource
import shutil
import sys
import time
import traceback
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cpad_jax.errors import UserError
from tools.fuzzing.mutation import mutate
from tools.fuzzing.reader import Reader

MOST_MEMORY = 1 << 30  # Bytes beyond what a process takes before it reads.
# A reading is ended after so many seconds of computing, and after six times as many of waiting.
MOST_SECONDS = 20.0
_LONGEST_MESSAGE = 400
# The system refuses what goes far beyond, so that the machine is safe between two looks at it.
_ADDRESSES = 8 << 30
_LOOK = 0.1  # Seconds between two looks at processes that read.
_PAGE, _TICK = os.sysconf('SC_PAGE_SIZE'), os.sysconf('SC_CLK_TCK')

READ, REFUSED = 'read', 'refused'


class Task(NamedTuple):
    """The damaged file of a reader with this number; the seed says how it is damaged."""

    reader: str
    seed: int
    number: int


class Outcome(NamedTuple):
    """What came of a task: `read`, `refused`, or another kind, which is a finding."""

    task: Task
    kind: str
    detail: str


def damaged(task: Task, originals: Mapping[str, bytes], text: bool) -> tuple[str, bytes]:
    """(which of the files is damaged, its content): always the same for a task."""
    rng = np.random.default_rng([task.seed, zlib.crc32(task.reader.encode()), task.number])
    names = sorted(originals)
    name = names[rng.integers(len(names))]
    others = [originals[other] for other in names]
    return name, mutate(rng, originals[name], others, text)


def originals(folder: Path, names: Sequence[str]) -> dict[str, bytes]:
    """The whole files that are to be damaged."""
    return {name: (folder / name).read_bytes() for name in names}


class Pool:
    """Processes that read, each one file at a time."""

    def __init__(
        self, readers: Mapping[str, Reader], folder: Path, names: Mapping[str, Sequence[str]],
        processes: int,
    ):  # fmt: skip
        """Takes the readers, the folder with a folder of whole files for each, and their names."""
        self._readers, self._folder, self._names = readers, folder, names
        self._workers = [self._started(number) for number in range(processes)]

    def _started(self, number: int) -> _Worker:
        return _Worker(self._readers, self._folder, self._names, self._folder / f'worker{number}')

    def run(self, tasks: Iterator[Task]) -> Iterator[Outcome]:
        """Does all tasks; outcomes come in whatever order they are known."""
        idle, busy = list(range(len(self._workers))), set()
        ended = False
        while busy or not ended:
            while idle and not ended:
                task = next(tasks, None)
                if task is None:
                    ended = True
                else:
                    number = idle.pop()
                    self._workers[number].start(task)
                    busy.add(number)
            pipes = [self._workers[number].pipe for number in busy]
            multiprocessing.connection.wait(pipes, timeout=_LOOK)
            for number in list(busy):
                outcome = self._workers[number].outcome()
                if outcome is None:
                    continue
                yield outcome
                busy.remove(number)
                idle.append(number)
                if not self._workers[number].process.is_alive():
                    self._workers[number] = self._started(number)

    def close(self) -> None:
        """Ends all processes."""
        for worker in self._workers:
            worker.end()


class _Worker:
    def __init__(self, readers, folder, names, scratch):
        self.log = scratch.with_suffix('.log')
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.get_context('fork').Process(
            target=_serve, args=(theirs, readers, folder, names, scratch, self.log), daemon=True
        )
        self.process.start()
        theirs.close()
        self.pipe.recv()  # It is ready.
        self._before = self._taken()[0]

    def start(self, task: Task) -> None:
        """Gives it a task."""
        self._task = task
        self._memory, self._began = self._taken()
        self._waited = time.monotonic()
        self.pipe.send(task)

    def outcome(self) -> Outcome | None:
        """What came of its task; None while it reads."""
        if self.pipe.poll():
            with contextlib.suppress(EOFError, ConnectionResetError):
                return Outcome(self._task, *self.pipe.recv())
            # It has ended, and its end of the pipe with it.
            self.process.join()
            printed = self.log.read_text(errors='replace')[-2000:]
            return Outcome(self._task, f'crash ({self.process.exitcode})', printed)
        memory, computed = self._taken()
        kind = None
        if computed - self._began > MOST_SECONDS:
            kind = 'hang'
        elif time.monotonic() - self._waited > 6 * MOST_SECONDS:
            kind = 'waits'
        elif memory - self._before > 2 * MOST_MEMORY:
            kind = 'memory'
        if kind is None:
            return None
        self.end()
        usage = f'{computed - self._began:.0f} s, {(memory - self._before) >> 20} MiB'
        return Outcome(self._task, kind, usage)

    def _taken(self) -> tuple[int, float]:
        """(bytes in memory, seconds computed) of the process so far."""
        try:
            with open(f'/proc/{self.process.pid}/stat') as file:
                fields = file.read().rpartition(')')[2].split()
        except OSError:  # It has ended.
            return 0, 0.0
        return int(fields[21]) * _PAGE, (int(fields[11]) + int(fields[12])) / _TICK

    def end(self) -> None:
        """Ends the process."""
        self.process.kill()
        self.process.join()


def _serve(pipe, readers, folder, names, scratch: Path, log: Path) -> None:
    """What a process does: it damages a file, reads it, and says what came of it."""
    with log.open('wb') as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    sys.stdout = sys.stderr = open(2, 'w', closefd=False)
    faulthandler.enable()
    with open('/proc/self/statm') as statm:
        addresses = int(statm.read().split()[0]) * _PAGE + _ADDRESSES
    resource.setrlimit(resource.RLIMIT_AS, (addresses, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    whole: dict[str, dict[str, bytes]] = {}
    pipe.send('ready')
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        reader = readers[task.reader]
        if task.reader not in whole:
            whole[task.reader] = originals(folder / task.reader, names[task.reader])
        name, content = damaged(task, whole[task.reader], reader.text)
        # Always of the same name; what a reader writes beside is gone the next time.
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.copytree(folder / task.reader, scratch)
        (scratch / name).write_bytes(content)
        _forget_peak()
        before = _memory('VmRSS')
        kind, detail = _judged(reader, scratch, name)
        peak = _memory('VmHWM') - before
        if peak > MOST_MEMORY:
            kind, detail = 'memory', f'{peak >> 20} MiB; then {kind}: {detail}'
        pipe.send((kind, detail))


def _judged(reader: Reader, folder: Path, name: str) -> tuple[str, str]:
    try:
        reader.read(folder, name)
    except UserError as error:
        text = str(error)
        if '\n' in text or len(text) >= _LONGEST_MESSAGE:
            return (
                'message',
                f'{len(text)} characters, {text.count(chr(10)) + 1} lines: {text[:600]}',
            )
        return REFUSED, text
    except BaseException as error:  # Whatever it is, a user would see a traceback.
        return f'traceback ({type(error).__name__})', traceback.format_exc()[-3000:]
    return READ, ''


def _memory(what: str) -> int:
    with open('/proc/self/status') as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith(what))


def _forget_peak() -> None:
    """VmHWM begins anew, where the system lets it."""
    with contextlib.suppress(OSError), open('/proc/self/clear_refs', 'w') as file:
        file.write('5')
