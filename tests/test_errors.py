"""How commands end: one line for a mistake, and none where nobody reads any more."""

import errno
import os
import resource
import subprocess
import sys

import numpy as np
import pytest

from cpad_jax import atomic, errors, whole_folders

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


@pytest.mark.parametrize(
    ('refused', 'says'),
    [
        (
            OSError(errno.ENOSPC, 'No space left on device', 'run/x.npz'),
            'run/x.npz: No space left on device: free some space, or give a folder on another disk',
        ),
        (
            OSError(errno.EROFS, 'Read-only file system', b'run/x.npz'),
            'run/x.npz: Read-only file system: give a folder that can be written to',
        ),
        (
            PermissionError(errno.EACCES, 'Permission denied', 'run'),
            'run: Permission denied: check the permissions, or give another folder',
        ),
        (
            OSError(errno.EIO, 'Input/output error'),
            'Input/output error: the disk or the network drive fails: check it',
        ),
        (
            OSError(errno.EXDEV, 'Invalid cross-device link', 'a'),
            'a: Invalid cross-device link: check that path',
        ),
        (
            ValueError('INTERNAL: Error writing "ck/1/d/ab"\n[No space left on device]'),
            'ck/1/d/ab: No space left on device: free some space, or give a folder on another disk',
        ),
        (
            MemoryError(),
            'memory ran out: use fewer processes, or a machine with more memory',
        ),
        (
            RuntimeError('RESOURCE_EXHAUSTED: Out of memory allocating 12 bytes.'),
            'the device has too little memory (RESOURCE_EXHAUSTED: Out of memory allocating 12 '
            'bytes.): make the batches of the configuration smaller',
        ),
    ],
)
def test_what_the_system_refuses_is_one_line(capsys, refused, says):
    def main():
        raise refused

    with pytest.raises(SystemExit) as ended:
        errors.run_command(main)
    assert ended.value.code == 2
    assert capsys.readouterr().err == f'error: {says}\n'


def test_what_is_refused_without_a_name_is_said_of_the_folder(capsys):
    def main():
        with errors.naming('runs/x'):
            raise OSError(errno.ENOSPC, 'No space left on device')

    with pytest.raises(SystemExit):
        errors.run_command(main)
    assert capsys.readouterr().err.startswith('error: runs/x: No space left on device: free some')


@pytest.mark.parametrize('command', ['eval', 'build_dataset'])
def test_commands_say_of_their_folder_what_is_refused_without_a_name(
    tmp_path, monkeypatch, capsys, command
):
    from cpad_jax import eval as evaluating
    from cpad_jax.commands import build_dataset
    from cpad_jax.training import configs

    def full(*_):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(configs, 'parse', lambda argv: (None, tmp_path))
    monkeypatch.setattr(configs, 'require', lambda *_: None)
    monkeypatch.setattr(evaluating, 'evaluate', full)
    monkeypatch.setattr(build_dataset, '_build', full)
    main = {
        'eval': lambda: evaluating.main([]),
        'build_dataset': lambda: build_dataset.main(['synthetic_cast', f'--data_dir={tmp_path}']),
    }[command]
    with pytest.raises(SystemExit) as ended:
        errors.run_command(main)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f'error: {tmp_path}: No space left on device: ')


@pytest.mark.parametrize('mistake', [ValueError('shape'), KeyError('x'), OSError('not an image')])
def test_a_mistake_of_ours_keeps_its_traceback(mistake):
    def main():
        raise mistake

    with pytest.raises(type(mistake)):
        errors.run_command(main)


def _folder(path):
    with whole_folders.writing(path) as temporary:
        atomic.write_bytes(temporary / 'weights', b'x' * 5000)


def _arrays(path):
    with atomic.writing(path) as temporary:
        np.savez(temporary, x=np.zeros(5000))


# A limit on the size of files is refused in the same place as a disk that is full.
@pytest.mark.parametrize(
    ('write', 'name', 'named'),
    [
        (lambda path: atomic.write_bytes(path, b'x' * 5000), 'a.bin', 'a.bin'),
        (lambda path: atomic.write_json(path, 'x' * 5000), 'b.json', 'b.json'),
        (_arrays, 'c.npz', 'c.npz'),
        (_folder, 'model', 'model/weights'),
    ],
)
def test_a_file_that_cannot_be_written_whole_is_named_and_gone(
    tmp_path, capsys, write, name, named
):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(SystemExit) as ended:
            errors.run_command(lambda: write(tmp_path / name))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f'error: {tmp_path / named}: File too large: the system limits')
    assert said.count('\n') == 1
    assert os.listdir(tmp_path) == []


def test_an_error_is_one_line_of_fewer_than_400_characters():
    assert str(errors.UserError('a.csv:1:\n  no\tname')) == 'a.csv:1: no name'
    whole = errors.UserError('a' * 399)
    assert str(whole) == 'a' * 399
    cut = str(errors.UserError(f'a.csv:1: {"x" * 50_000}; save it as UTF-8'))
    assert len(cut) == 399
    assert cut.startswith('a.csv:1: xxx') and cut.endswith('xxx; save it as UTF-8')
    assert ' ... ' in cut and cut.index(' ... ') == 260
    assert str(errors.UserError()) == ''
