"""Where outputs go: through links, into devices and pipes, beside nobody's work."""

import concurrent.futures
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cpad_jax import atomic, errors, whole_folders
from cpad_jax.errors import UserError

ROOT = Path(__file__).parents[1]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def run(code, *arguments, **options):
    return subprocess.run(
        [sys.executable, '-c', code, *map(str, arguments)], cwd=ROOT, check=False, **options
    )


@pytest.fixture(autouse=True)
def unswept(monkeypatch):
    monkeypatch.setattr(atomic, '_swept', set())


def test_a_link_stays_and_leads_to_what_was_written(tmp_path):
    (tmp_path / 'far').mkdir()
    (tmp_path / 'far' / 'real.json').write_text('old')
    (tmp_path / 'first.json').symlink_to('second.json')
    (tmp_path / 'second.json').symlink_to('far/real.json')
    (tmp_path / 'new.json').symlink_to('far/new.json')  # What it leads to is not there yet.
    for link, target in (('first.json', 'real.json'), ('new.json', 'new.json')):
        atomic.check(tmp_path / link)
        atomic.write_bytes(tmp_path / link, b'new')
        assert (tmp_path / link).is_symlink()
        target = tmp_path / 'far' / target
        assert target.read_bytes() == b'new' and not target.is_symlink()
    assert names(tmp_path) == ['far', 'first.json', 'new.json', 'second.json']
    assert names(tmp_path / 'far') == ['new.json', 'real.json']


def test_what_is_no_file_is_written_into_and_stays(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    (tmp_path / 'link').symlink_to('pipe')
    for name in ('pipe', 'link'):
        atomic.check(tmp_path / name)
        with concurrent.futures.ThreadPoolExecutor() as threads:
            read = threads.submit((tmp_path / 'pipe').read_bytes)
            atomic.write_json(tmp_path / name, [1])
            assert read.result(20) == b'[\n  1\n]\n'
    assert names(tmp_path) == ['link', 'pipe']
    assert (tmp_path / 'pipe').is_fifo() and (tmp_path / 'link').is_symlink()
    null = os.stat('/dev/null')
    atomic.write_bytes('/dev/null', b'data')
    assert os.path.samestat(null, os.stat('/dev/null'))
    with pytest.raises(OSError, match='No space'):
        atomic.write_bytes('/dev/full', b'data')
    assert (tmp_path / '..').exists() and os.path.exists('/dev/full')


@pytest.mark.parametrize('path', ['/dev/stdout', '/dev/fd/1', '/proc/self/fd/1', 'link'])
def test_stdout_gets_it_after_what_was_printed_before(tmp_path, path):
    (tmp_path / 'link').symlink_to('/dev/stdout')
    path = str(tmp_path / path)
    code = (
        'import sys; from cpad_jax import atomic\n'
        'print(1); atomic.write_bytes(sys.argv[1], b"2\\n"); print(3)'
    )
    assert run(code, path, capture_output=True).stdout == b'1\n2\n3\n'
    with (tmp_path / 'file').open('wb') as file:
        file.write(b'0\n')
        file.flush()
        run(code, path, stdout=file)
    assert (tmp_path / 'file').read_bytes() == b'0\n1\n2\n3\n'
    assert names(tmp_path) == ['file', 'link']


def test_permissions_stay(tmp_path):
    path = tmp_path / 'a.json'
    atomic.write_bytes(path, b'1')
    umask = os.umask(0o022)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    for mode in (0o600, 0o664, 0o755):
        path.chmod(mode)
        atomic.write_bytes(path, b'2')
        assert path.stat().st_mode & 0o777 == mode


@pytest.mark.parametrize('name', ['n' * 245, 'ö' * 127, 'n' * 251 + '.jpg', '漢' * 83 + '.json'])
def test_long_names(tmp_path, name):
    atomic.check(tmp_path / name)
    with atomic.writing(tmp_path / name) as temporary:
        assert temporary.name.endswith(Path(name).suffix)
        temporary.name.encode()  # No letter is cut in two.
        temporary.write_bytes(b'data')
    assert names(tmp_path) == [name] and (tmp_path / name).read_bytes() == b'data'


KILLED = """
import os, sys
from cpad_jax import atomic, whole_folders
a, out = (sys.argv[1] + name for name in ('/a.bin', '/out'))
with atomic.writing(a) as file, whole_folders.writing(out) as folder:
    file.write_bytes(b'1')
    (folder / 'b').write_bytes(b'2')
    print('there', flush=True)
    sys.stdin.read()
"""


def test_leftovers_of_killed_processes_are_swept_and_no_others(tmp_path):
    mine = ['.0123abcd.partial', '.notes.partial-a', 'x.0123abcd.partial-a']
    for name in mine:
        (tmp_path / name).touch()
    works = subprocess.Popen(
        [sys.executable, '-c', KILLED, str(tmp_path)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert works.stdout.readline() == b'there\n'
    left = set(names(tmp_path)) - set(mine)
    assert len(left) == 2
    atomic.write_bytes(tmp_path / 'c', b'')
    assert set(names(tmp_path)) == {*mine, *left, 'c'}  # It is alive.
    works.kill()
    works.wait(20)
    works.stdin.close()
    works.stdout.close()
    atomic._swept.clear()
    atomic.write_bytes(tmp_path / 'c', b'')
    assert set(names(tmp_path)) == {*mine, 'c'}


def written(folder, **files):
    with whole_folders.writing(folder) as temporary:
        for name, text in files.items():
            (temporary / name).write_text(text)


def test_a_folder_replaces_only_what_was_written_here(tmp_path):
    out = tmp_path / 'out'
    out.mkdir()
    out.chmod(0o750)
    written(out, a='1')
    written(out, b='2')
    assert names(out) == [whole_folders.LIST, 'b'] and names(tmp_path) == ['out']
    assert out.stat().st_mode & 0o777 == 0o750
    (tmp_path / 'link').symlink_to('out')
    written(tmp_path / 'link', c='3')
    assert names(out) == [whole_folders.LIST, 'c'] and (tmp_path / 'link').is_symlink()

    def run_of_a_training():
        (out / 'checkpoints').mkdir()
        (out / 'checkpoints' / '1').touch()

    for change, why in (
        (lambda: (out / 'notes.txt').write_text('x'), 'notes.txt was put there since'),
        (run_of_a_training, 'checkpoints/1'),
        (lambda: (out / 'c').write_text('4'), 'it was changed'),
        (lambda: (out / whole_folders.LIST).unlink(), 'no .cpad_jax.json'),
        (lambda: (out / whole_folders.LIST).write_text('[' * 100_000), 'not written by this'),
        (lambda: (out / 'd').symlink_to(tmp_path), 'not written by this'),
    ):  # fmt: skip
        change()
        before = names(out)
        with pytest.raises(UserError, match=why):
            written(out, e='5')
        assert names(out) == before and names(tmp_path) == ['link', 'out']
        for path in sorted(out.iterdir()):
            if path.name not in (whole_folders.LIST, 'c'):
                path.unlink() if not path.is_dir() or path.is_symlink() else (
                    [p.unlink() for p in path.iterdir()],
                    path.rmdir(),
                )
        (out / 'c').unlink()
        (out / whole_folders.LIST).unlink(missing_ok=True)
        written(out, c='3')


def test_the_old_folder_stands_until_the_new_one_does(tmp_path, monkeypatch):
    out = tmp_path / 'out'
    written(out, a='1')
    real = os.replace

    def failing(source, target):
        if 'partial' in str(source):
            raise OSError(5, 'Input/output error')
        real(source, target)

    with monkeypatch.context() as context:
        context.setattr(os, 'replace', lambda s, t: failing(s, t) if Path(t) == out else real(s, t))
        with pytest.raises(OSError):
            written(out, b='2')
    assert names(tmp_path) == ['out'] and (out / 'a').read_text() == '1'
    # A process killed between the two renamings: the next one goes on from there.
    out.rename(tmp_path / '.0123abcd.before-out')
    with pytest.raises(ZeroDivisionError), whole_folders.writing(out):
        raise ZeroDivisionError
    assert names(tmp_path) == ['out'] and (out / 'a').read_text() == '1'
    out.rename(tmp_path / '.0123abcd.before-out')
    written(out, b='2')
    assert names(tmp_path) == ['out'] and names(out) == [whole_folders.LIST, 'b']


def test_what_is_read_is_not_replaced(tmp_path):
    written(tmp_path / 'a', x='1')
    for source in (tmp_path / 'a', tmp_path / 'a' / 'x'):
        with pytest.raises(UserError, match='--out .*which is read'):
            whole_folders.check(tmp_path / 'a', '--out', source)
    with pytest.raises(UserError, match='which is read'):
        whole_folders.check(tmp_path, '--out', tmp_path / 'a' / 'x')
    whole_folders.check(tmp_path / 'a' / 'new', '--out', tmp_path / 'a')


def test_names_that_are_not_utf_8_are_valid_json(tmp_path):
    name = os.fsdecode(b'caf\xe9.mp4')
    atomic.write_json(tmp_path / 'a.json', [name, 'é'])
    data = (tmp_path / 'a.json').read_bytes()
    assert 'é' in data.decode() and os.fsencode(json.loads(data)[0]) == b'caf\xe9.mp4'


PRINTS = """
import os, sys
from cpad_jax import atomic, errors
def main():
    print('x' * 100_000, os.fsdecode(b'caf\\xe9'), '\\xe9')
    atomic.write_bytes(sys.argv[1], b'saved')
errors.run_command(main)
"""


@pytest.mark.parametrize('closed', ['>/dev/full', '>&-', '>&- 2>&- <&-', '2>/dev/full', '2>&-'])
def test_a_stdout_that_takes_nothing_loses_nothing(tmp_path, closed):
    done = subprocess.run(
        ['sh', '-c', f'"$0" -c "$1" "$2" {closed}', sys.executable, PRINTS, str(tmp_path / 'a')],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (tmp_path / 'a').read_bytes() == b'saved'
    assert done.returncode == (0 if closed.startswith('2') else 2)
    if closed in ('>/dev/full', '>&-'):
        assert done.stderr.startswith('error: stdout cannot be written to (')
        assert done.stderr.count('\n') == 1


@pytest.mark.parametrize(
    'environment',
    [
        {'LC_ALL': 'POSIX'},
        {'LC_ALL': 'POSIX', 'PYTHONUTF8': '0', 'PYTHONCOERCECLOCALE': '0'},
        {'PYTHONIOENCODING': 'ascii'},
        {'PYTHONIOENCODING': 'latin-1:strict'},
    ],
)
def test_any_name_can_be_printed(tmp_path, environment):
    done = run(PRINTS, tmp_path / 'a', env=os.environ | environment, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b'')
    assert b' caf\\udce9 ' in done.stdout


def test_a_tilde_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv('HOME', str(tmp_path))
    assert errors.given_path('~/x') == tmp_path / 'x' and errors.given_path('~') == tmp_path
    assert errors.given_path('a/~/x') == Path('a/~/x')
    with pytest.raises(UserError, match='no such user'):
        errors.given_path('~nobody-of-that-name/x')
