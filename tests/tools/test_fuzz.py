"""That damaged files are read or refused, and that whatever else comes of one is found."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cpad_jax.errors import UserError
from tools.fuzzing import mutation, worker
from tools.fuzzing.reader import Reader
from tools.fuzzing.worker import Task

ROOT = Path(__file__).parents[2]
# Readers whose files are made, and read, at once.
QUICK = (
    'pictures', 'jpeg_records', 'subtitles', 'cast_lists', 'corrections', 'annotations',
    'exemplars', 'weights', 'archives', 'vggface', 'celebrities_in_action', 'this_is_my',
)  # fmt: skip


def test_some_hundred_files_are_read_or_refused():
    chosen = [word for name in QUICK for word in ('--reader', name)]
    run = subprocess.run(
        [sys.executable, 'tools/fuzz.py', '--count', '240', '--processes', '1', *chosen],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, ''), run.stdout
    lines = [line.split() for line in run.stdout.splitlines()]
    assert [line[:2] for line in lines[1:-2]] == [[name, '20'] for name in QUICK]
    kind, files, read, refused, found = lines[-2]
    assert (kind, files, found) == ('all', '240', '0')
    assert int(read) > 40 and int(refused) > 40


def _lines(folder):
    (folder / 'a.txt').write_text('whole\n')
    return ['a.txt']


def _grow(folder, name):
    return np.ones(100 << 20, np.uint8).sum()


class _Rambling(UserError):
    """One whose line nobody kept short."""

    def __str__(self):
        return self.text


def _refuse(text):
    def read(folder, name):
        error = _Rambling()
        error.text = text
        raise error

    return read


READS = {
    'read': lambda folder, name: (folder / name).read_bytes(),
    'refused': _refuse('a.txt:1: no'),
    'message': _refuse('a' * 400),
    'message ': _refuse('a\nb'),
    'traceback (KeyError)': lambda folder, name: {}[name],
    'traceback (SystemExit)': lambda folder, name: sys.exit(2),
    'crash (-6)': lambda folder, name: os.abort(),
    'crash (3)': lambda folder, name: os._exit(3),
    'memory': _grow,
    'waits': lambda folder, name: time.sleep(60),
    'hang': lambda folder, name: sum(range(1 << 60)),
}


def _outcomes(folder, kinds):
    readers = {kind: Reader(kind, _lines, READS[kind], True) for kind in kinds}
    names = {}
    for kind, reader in readers.items():
        (folder / kind).mkdir()
        names[kind] = reader.make(folder / kind)
    pool = worker.Pool(readers, folder, names, 1)
    try:
        tasks = [Task(kind, 0, number) for kind in kinds for number in (1, 2)]
        found = list(pool.run(iter(tasks)))
    finally:
        pool.close()
    assert [outcome.task for outcome in found] == tasks
    return [outcome.kind for outcome in found]


def test_everything_but_reading_and_refusing_is_found_and_the_rest_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, 'MOST_MEMORY', 64 << 20)
    kinds = [kind for kind in READS if kind not in ('waits', 'hang')]
    assert _outcomes(tmp_path, kinds) == [kind.strip() for kind in kinds for _ in (1, 2)]


def test_what_does_not_end_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, 'MOST_SECONDS', 0.3)
    # On a machine that is busy, who computes waits.
    assert set(_outcomes(tmp_path, ['waits', 'hang'])) <= {'waits', 'hang'}


@pytest.mark.parametrize('text', [False, True])
def test_a_file_is_damaged_in_the_same_way_whenever_it_is_asked_for(text):
    whole = {'a': b'name,count\nann,12\nbob,3\n' * 9, 'b': b'x' * 50}
    first = [worker.damaged(Task('r', 3, number), whole, text) for number in range(300)]
    assert first == [worker.damaged(Task('r', 3, number), whole, text) for number in range(300)]
    assert first != [worker.damaged(Task('r', 4, number), whole, text) for number in range(300)]
    assert {name for name, _ in first} == {'a', 'b'}
    changed = [content != whole[name] for name, content in first]
    assert np.mean(changed) > 0.9
    assert max(len(content) for _, content in first) <= 4 << 20


@pytest.mark.parametrize('change', mutation._BYTES + mutation._TEXT)
@pytest.mark.parametrize('whole', [b'', b'a', b'\n', b'12', b'a,1\nb,2\n'])
def test_every_kind_of_damage_takes_every_file(change, whole):
    for seed in range(20):
        assert isinstance(change(np.random.default_rng(seed), whole, [whole, b'']), bytes)


def test_what_was_kept_in_a_zip_of_the_future_is_made_anew(tmp_path):
    from cpad_jax.labelling import array_cache

    array_cache.write(tmp_path / 'a.npz', 'key', {'x': np.ones(3)})
    whole = (tmp_path / 'a.npz').read_bytes()
    assert array_cache.read(tmp_path / 'a.npz', 'key')['x'].tolist() == [1, 1, 1]
    directory = whole.index(b'PK\x01\x02')
    # The version needed to read it, encryption, and a compression that there is not.
    for place, value in ((6, 255), (8, 1), (10, 99)):
        data = bytearray(whole)
        data[directory + place] = value
        (tmp_path / 'a.npz').write_bytes(data)
        assert array_cache.read(tmp_path / 'a.npz', 'key') is None
