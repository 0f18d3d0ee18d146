import gzip
import io
import random
import stat
import tarfile
import tracemalloc
import zipfile

import pytest

from cpad_jax.data import archives
from cpad_jax.errors import UserError

FILES = {'a/one.txt': b'1' * 700, 'a/two.bin': random.Random(0).randbytes(9999), 'three': b''}


def write_tar(path, files, mode='w'):
    with tarfile.open(path, mode) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def write_zip(path, files):
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def read(path, largest=1 << 20):
    refused = []
    found = [
        (member.name, member.read())
        for member in archives.members(path, largest, lambda *told: refused.append(told))
    ]
    return found, refused


@pytest.mark.parametrize('mode', ['w', 'w:gz', 'w:bz2', 'w:xz', 'zip'])
def test_files_in_their_order_whatever_the_name(mode, tmp_path):
    path = tmp_path / 'archive.dat'
    write_zip(path, FILES) if mode == 'zip' else write_tar(path, FILES, mode)
    assert read(path) == (list(FILES.items()), [])


def test_members_that_are_not_read_are_skipped(tmp_path):
    write_tar(tmp_path / 'a.tar', FILES)
    assert [member.name for member in archives.members(tmp_path / 'a.tar', 1 << 20)] == list(FILES)


ESCAPES = ['/etc/passwd', '../up', 'a/../../up', 'C:/windows', 'a\\..\\up', '..']


@pytest.mark.parametrize('kind', ['tar', 'zip'])
def test_names_that_leave_their_folder_are_refused(kind, tmp_path):
    path = tmp_path / 'archive'
    files = {**dict.fromkeys(ESCAPES, b'x'), './good/./file': b'good'}
    (write_tar if kind == 'tar' else write_zip)(path, files)
    found, refused = read(path)
    assert found == [('good/file', b'good')]
    # Zip files hold no backslashes of their own where Python writes them.
    assert [name for name, _ in refused] == ESCAPES
    assert {reason for _, reason in refused} == {'a name in an archive that leaves its folder'}
    folder = tmp_path / 'deep' / 'folder'
    assert archives.unpack(path, folder, lambda name: True, 1 << 20) == 1
    everything = {file for file in tmp_path.rglob('*') if file.is_file()}
    assert everything == {path, folder / 'good' / 'file'}


def test_links_and_devices_are_refused(tmp_path):
    with tarfile.open(tmp_path / 'a.tar', 'w') as tar:
        for name, kind in {
            'soft': tarfile.SYMTYPE, 'hard': tarfile.LNKTYPE, 'pipe': tarfile.FIFOTYPE,
            'device': tarfile.CHRTYPE, 'folder': tarfile.DIRTYPE,
        }.items():  # fmt: skip
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, '/etc/passwd'
            tar.addfile(info)
        tar.addfile(tarfile.TarInfo('file'))
    found, refused = read(tmp_path / 'a.tar')
    assert found == [('file', b'')]
    assert [(name, reason.split()[1]) for name, reason in refused] == [
        ('soft', 'link'), ('hard', 'link'), ('pipe', 'a'), ('device', 'a'),
    ]  # fmt: skip
    with zipfile.ZipFile(tmp_path / 'a.zip', 'w') as archive:
        link = zipfile.ZipInfo('soft')
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, '/etc/passwd')
    assert read(tmp_path / 'a.zip') == ([], [('soft', 'a link in an archive')])


@pytest.mark.parametrize('kind', ['tar', 'zip'])
def test_what_claims_too_much_is_refused(kind, tmp_path):
    path = tmp_path / 'archive'
    (write_tar if kind == 'tar' else write_zip)(path, {'large': bytes(5000), 'small': b's'})
    found, refused = read(path, largest=4999)
    assert found == [('small', b's')]
    assert refused == [('large', 'too large a file in an archive')]


@pytest.mark.parametrize('mode', ['w', 'w:gz', 'w:bz2', 'w:xz', 'zip'])
def test_an_archive_cut_anywhere_is_one_line(mode, tmp_path):
    whole, cut = tmp_path / 'whole', tmp_path / 'cut'
    write_zip(whole, FILES) if mode == 'zip' else write_tar(whole, FILES, mode)
    data = whole.read_bytes()
    # An uncompressed tar is filled up with zeros to 20 blocks, which may be missing.
    end = data.rstrip(b'\0') if mode == 'w' else data
    for length in (7, 600, len(end) // 2, len(end) - 30, len(end) - 1):
        cut.write_bytes(data[:length])
        with pytest.raises(UserError, match=f'{cut}: the archive is damaged or cut short'):
            read(cut)


@pytest.mark.parametrize('blocks', [1, 2, 3, 4])
def test_a_tar_cut_between_members_is_noticed(blocks, tmp_path):
    # tarfile itself takes each of these for a whole archive.
    write_tar(tmp_path / 'a.tar', FILES)
    data = (tmp_path / 'a.tar').read_bytes()[: 512 * blocks]
    for name, cut in {'b.tar': data, 'b.tar.gz': gzip.compress(data)}.items():
        (tmp_path / name).write_bytes(cut)
        with pytest.raises(UserError, match='cut short'):
            read(tmp_path / name)


def test_other_files_and_missing_ones_are_one_line(tmp_path):
    (tmp_path / 'text').write_text('no archive at all ' * 100)
    (tmp_path / 'empty').touch()
    with pytest.raises(UserError, match='text: the archive is damaged'):
        read(tmp_path / 'text')
    with pytest.raises(UserError, match='empty: the archive is damaged'):
        read(tmp_path / 'empty')
    with pytest.raises(UserError, match='there is no such archive'):
        read(tmp_path / 'none')


def test_errors_of_the_reader_are_not_errors_of_the_archive(tmp_path):
    write_tar(tmp_path / 'a.tar', FILES)
    with pytest.raises(ValueError, match='mine'):
        for _ in archives.members(tmp_path / 'a.tar', 1 << 20):
            raise ValueError('mine')


def test_unpacking_takes_what_is_wanted_and_goes_on(tmp_path):
    write_tar(tmp_path / 'a.tar', FILES)
    folder = tmp_path / 'out'
    assert archives.unpack(tmp_path / 'a.tar', folder, lambda n: n.startswith('a/'), 1 << 20) == 2
    assert (folder / 'a/two.bin').read_bytes() == FILES['a/two.bin'] and len(
        [*folder.iterdir()]
    ) == 1
    before = (folder / 'a/one.txt').stat().st_mtime_ns
    (folder / 'a/two.bin').write_bytes(b'cut')
    assert archives.unpack(tmp_path / 'a.tar', folder, lambda n: True, 1 << 20) == 3
    assert (folder / 'a/one.txt').stat().st_mtime_ns == before
    assert (folder / 'a/two.bin').read_bytes() == FILES['a/two.bin']


def test_a_file_where_a_folder_should_be_is_one_line(tmp_path):
    write_tar(tmp_path / 'a.tar', {'a': b'file', 'a/b': b'in it'})
    with pytest.raises(UserError, match='out/a/b: cannot be written'):
        archives.unpack(tmp_path / 'a.tar', tmp_path / 'out', lambda name: True, 1 << 20)


def test_members_are_not_remembered(tmp_path):
    write_tar(tmp_path / 'a.tar', {f'{number:05}': b'x' for number in range(4000)})
    iterator = archives.members(tmp_path / 'a.tar', 10)
    for _ in range(1000):
        next(iterator)
    tracemalloc.start()
    for _ in range(2900):
        next(iterator)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 500_000  # A buffer; a remembered member takes over 1 KB.
