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


# Archives that ask for more than they hold.


def tar_header(name, size, kind=b'0', pad=b''):
    """A header block that may claim any size, and what follows it."""
    info = tarfile.TarInfo(name)
    info.type = kind
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    # Base 256, as GNU tar writes sizes beyond eight digits.
    block[124:136] = b'\x80' + size.to_bytes(11, 'big')
    block[148:156] = b' ' * 8
    block[148:156] = b'%06o\0 ' % sum(block)
    return bytes(block) + pad + b'\0' * (-len(pad) % 512)


def pax_note(text):
    length = len(text) + 3
    while len(str(length)) + 1 + len(text) + 1 != length:
        length = len(str(length)) + len(text) + 2
    return str(length).encode() + b' ' + text + b'\n'


END = b'\0' * 1024
NEXT = tar_header('next', 3, pad=b'abc')
CLAIMS = {
    'a petabyte': (tar_header('big', 1 << 50, pad=b'abc') + END, 'ends within a file'),
    'more than is there': (tar_header('big', 1 << 19, pad=b'abc') + END, 'damaged or cut short'),
    'long name': (tar_header('x', 1_500_000_000, b'L', b'n' * 99) + NEXT + END,
                  'a name or note in it claims 1500000000 bytes'),
    'long link': (tar_header('x', 1 << 40, b'K', b'n' * 99) + NEXT + END, 'claims 1099511627776'),
    'long pax': (tar_header('x', 1 << 31, b'x', b'n' * 99) + NEXT + END, 'claims 2147483648'),
    'global pax': (tar_header('x', 1 << 30, b'g', b'n' * 99) + NEXT + END, 'claims 1073741824'),
    'run of digits': (tar_header('x', 1 << 19, b'x', b'1' * (1 << 19)) + NEXT + END,
                      'not as any program writes them'),
    'size in a note': (tar_header('x', 30, b'x', pax_note(b'size=1125899906842624')) + NEXT + END,
                       'ends within a file'),
}  # fmt: skip


@pytest.mark.parametrize('case', CLAIMS)
@pytest.mark.parametrize('packed', [False, True])
def test_tar_headers_are_not_taken_at_their_word(case, packed, tmp_path):
    data, words = CLAIMS[case]
    (tmp_path / 'a.tar').write_bytes(gzip.compress(data, 1) if packed else data)
    tracemalloc.start()
    with pytest.raises(UserError, match=words) as error:
        read(tmp_path / 'a.tar')
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()
    assert len(str(error.value)) < 400


def test_names_as_long_as_programs_write_them_are_read(tmp_path):
    name = 'folder/' * 30 + 'ä' * 50 + '.jpg'
    for kind in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(tmp_path / 'a.tar', 'w', format=kind) as tar:
            for number in range(3):
                info = tarfile.TarInfo(f'{number}{name}')
                info.size = 4
                tar.addfile(info, io.BytesIO(b'text'))
        found = [(f'{number}{name}', b'text') for number in range(3)]
        assert read(tmp_path / 'a.tar') == (found, [])
    # As long as a megabyte holds, but longer than any file system takes.
    long = b'n' * 5000
    data = tar_header('x', len(long), b'L', long) + NEXT + NEXT + END
    (tmp_path / 'b.tar').write_bytes(data)
    found, refused = read(tmp_path / 'b.tar')
    assert found == [('next', b'abc')]
    assert refused == [('n' * 100, 'a name in an archive that is too long')]


def test_an_archive_that_grows_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, '_SMALL', 1 << 16)
    write_tar(tmp_path / 'a.tar.gz', {'zeros': bytes(1 << 20)}, 'w:gz')
    with pytest.raises(UserError, match='unpacks to more than 100 times its size'):
        read(tmp_path / 'a.tar.gz')
    write_zip(tmp_path / 'a.zip', {'zeros': bytes(1 << 20)})
    with pytest.raises(UserError, match='unpacks to more than 100 times its size'):
        read(tmp_path / 'a.zip')
    monkeypatch.setattr(archives, '_SMALL', 1 << 30)
    assert read(tmp_path / 'a.tar.gz') == ([('zeros', bytes(1 << 20))], [])


def zip_listing(path, change):
    """A zip file whose directory `change` rewrote: it gets its entries as a list of bytes."""
    data = path.read_bytes()
    end = data.rindex(b'PK\5\6')
    start = int.from_bytes(data[end + 16 : end + 20], 'little')
    pieces = [b'PK\1\2' + piece for piece in data[start:end].split(b'PK\1\2')[1:]]
    pieces = change(pieces)
    listing = b''.join(pieces)
    tail = bytearray(data[end:])
    tail[8:12] = len(pieces).to_bytes(2, 'little') * 2
    tail[12:16] = len(listing).to_bytes(4, 'little')
    path.write_bytes(data[:start] + listing + bytes(tail))
    return path


def test_zip_files_that_list_the_same_bytes_again(tmp_path):
    def again(pieces):
        return pieces * 200

    def renamed(pieces):
        return pieces + [pieces[0].replace(b'one.txt', b'two.txt')]

    def within(pieces):
        later = bytearray(pieces[1])
        later[42:46] = (40).to_bytes(4, 'little')
        return [pieces[0], bytes(later)]

    for change in (again, renamed, within):
        path = tmp_path / 'a.zip'
        write_zip(path, {'one.txt': random.Random(1).randbytes(500), 'other': b'x' * 99})
        with pytest.raises(UserError, match='overlaps something else in it'):
            read(zip_listing(path, change))


def test_a_name_twice_in_a_zip_file_is_told(tmp_path):
    with pytest.warns(UserWarning, match='Duplicate name'), zipfile.ZipFile(
        tmp_path / 'a.zip', 'w'
    ) as archive:  # fmt: skip
        archive.writestr('a.txt', b'first')
        archive.writestr('a.txt', b'second')
    found, refused = read(tmp_path / 'a.zip')
    assert found == [('a.txt', b'first')]
    assert refused == [('a.txt', 'a name that an archive has twice')]
