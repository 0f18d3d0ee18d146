"""Reads tar and zip archives of unknown origin, member by member.

Nothing is unpacked by itself, names that would leave their folder are refused, links and devices
are never followed, and neither sizes in headers nor the end of the archive are taken on trust.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from cpad_jax import atomic
from cpad_jax.errors import UserError

# A refused member: (name, reason). Reasons are a few fixed phrases.
Refused = Callable[[str, str], None]

_OPENERS = {b'\x1f\x8b': gzip.open, b'BZh': bz2.open, b'\xfd7zXZ\x00': lzma.open}
_BROKEN = (
    EOFError, OSError, ValueError, NotImplementedError, RuntimeError, zlib.error, lzma.LZMAError,
    tarfile.TarError, zipfile.BadZipFile,
)  # fmt: skip
_BLOCK = 512
# A header before a file's own, in which a tar archive keeps long names and further facts.
_LONGEST_HEADER = 1 << 20
_LONGEST_NAME = 4096
_MOST_NOTES = 1000
_DIGITS = re.compile(rb'\d{40}')
# Pictures and text shrink to a tenth at best; what promises more would be unpacked for ever.
_SMALL, _MOST_TIMES = 1 << 30, 100
_TOO_MUCH = f'it unpacks to more than {_MOST_TIMES} times its size'
_ENDS = 3
_ZIP_HEADER = 30  # Bytes before a name and a file in a zip archive, at least.
_NOTES = (
    tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)  # fmt: skip


class Member(NamedTuple):
    """A file in an archive, to be read before the next member is taken.

    Attributes:
        name: Its path with forward slashes, relative and without '..', e.g.
            'train/n000002/0001_01.jpg'.
        size: What the archive says its length is, bytes; at most `largest`.
        file: Its content.
    """

    name: str
    size: int
    file: BinaryIO

    def read(self) -> bytes:
        """The whole content, never more than `size` bytes."""
        return self.file.read(self.size)


def members(
    path: str | os.PathLike[str], largest: int, refused: Refused | None = None
) -> Iterator[Member]:
    """Goes through the files of an archive in its order; memory does not grow with their number.

    Args:
        path: A .zip, or a .tar that may be compressed by gzip, bzip2 or xz. The content decides,
            not the name.
        largest: Files that claim more bytes are refused.
        refused: Called for each member that is not yielded although it is no folder.

    Yields:
        Files. A member can only be read until the next one is taken.

    Raises:
        UserError: The archive is missing, damaged, cut short or of another kind.
    """
    path = Path(path)
    refused = refused or (lambda name, reason: None)
    if not path.is_file():
        raise UserError(f'{path}: there is no such archive')
    yielded = ''
    # Errors of whoever uses a member are not errors of the archive, hence `iterate` apart.
    iterate = (_zip if _is_zip(path) else _tar)(path, largest, refused)
    while True:
        try:
            member = next(iterate)
        except StopIteration:
            return
        except _BROKEN as error:
            raise _broken(path, yielded, error) from error
        yielded = member.name
        yield member._replace(file=_Guarded(member.file, path, member.name))


def unpack(
    path: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    wanted: Callable[[str], bool],
    largest: int,
    refused: Refused | None = None,
) -> int:
    """Writes files of an archive into a folder; those that are there in full are left.

    Args:
        path: The archive, as in `members`.
        folder: Where to; no file lands outside it.
        wanted: Whether a member of this name is unpacked.
        largest: As in `members`.
        refused: As in `members`.

    Returns:
        Number of files that are in the folder now because of this archive.

    Raises:
        UserError: As `members` does.
    """
    folder = Path(folder)
    count = 0
    for member in members(path, largest, refused):
        if not wanted(member.name):
            continue
        target = folder / member.name
        count += 1
        if target.is_file() and target.stat().st_size == member.size:
            continue
        try:
            with atomic.writing(target) as temporary, temporary.open('wb') as file:
                shutil.copyfileobj(member.file, file, 1 << 20)
        except OSError as error:
            raise UserError(f'{target}: cannot be written ({error.strerror})') from error
    return count


def safe_name(name: str) -> str | None:
    """A member's name without './'; None where it would leave its folder or names no file."""
    if '\0' in name or '\\' in name or name.startswith('/') or name[1:2] == ':':
        return None
    parts = PurePosixPath(name).parts
    return '/'.join(parts) if parts and '..' not in parts else None


class _Guarded:
    """A member's content; a failure to read it names the archive."""

    def __init__(self, file: BinaryIO, path: Path, name: str):
        self._file, self._path, self._name = file, path, name

    def read(self, size: int = -1) -> bytes:
        try:
            return self._file.read(size)
        except _BROKEN as error:
            raise _broken(self._path, self._name, error) from error


def _broken(path: Path, name: str, error: Exception) -> UserError:
    if isinstance(error, OSError) and error.errno is not None:
        return UserError(f'{path}: cannot be read ({error.strerror})')
    where = f' at or after {name!r}' if name else ''
    what = str(error) or type(error).__name__
    return UserError(
        f'{path}: the archive is damaged or cut short{where} ({what}); copy or download it again'
    )


def _is_zip(path: Path) -> bool:
    with path.open('rb') as file:
        return file.read(4) in (b'PK\x03\x04', b'PK\x05\x06')


class _Watched:
    """A stream that remembers what it gave last, and ends where it ends or grows too large.

    Its last bytes tell a cut archive from a whole one. A header may claim a petabyte, which would
    be skipped in billions of steps although nothing is left to skip.
    """

    def __init__(self, file: BinaryIO, stored: int):
        self._file, self._left = file, _most(stored)
        self._ends = 0
        self.tail = b''

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise ValueError(_TOO_MUCH)
        if data:
            self.tail = (self.tail + data)[-_BLOCK:]
            return data
        # Asked for at the end of the headers, and by whoever looks for the end.
        self._ends += 1
        if self._ends > _ENDS:
            raise EOFError('it ends within a file')
        return data


class _TarInfo(tarfile.TarInfo):
    """A header; one that would be read into memory is measured first."""

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> tarfile.TarInfo:
        info = super().frombuf(buf, encoding, errors)
        if info.type in _NOTES and info.size > _LONGEST_HEADER:
            raise ValueError(f'a name or note in it claims {info.size} bytes')
        return info

    def _proc_pax(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        # Older Pythons take time that grows with the square of a run of digits in these notes
        # (CVE-2024-6232), and every file copies those that hold for all files.
        stream = tar.fileobj
        notes = stream.read(self._block(self.size))
        if _DIGITS.search(notes) or len(tar.pax_headers) > _MOST_NOTES:
            raise ValueError('the notes on its files are not as any program writes them')
        tar.fileobj = _Again(notes, stream)
        try:
            return super()._proc_pax(tar)
        finally:
            tar.fileobj = stream


class _Again:
    """A stream that gives once more what was just read from it."""

    def __init__(self, data: bytes, stream: BinaryIO):
        self._data, self._stream = data, stream

    def read(self, size: int) -> bytes:
        if self._data:
            data, self._data = self._data, b''
            return data
        return self._stream.read(size)

    def tell(self) -> int:
        return self._stream.tell()


def _most(stored: int) -> int:
    """Bytes that may come out of an archive of a size."""
    return _SMALL + _MOST_TIMES * stored


def _open_tar(path: Path) -> BinaryIO:
    with path.open('rb') as file:
        start = file.read(6)
    for magic, opener in _OPENERS.items():
        if start.startswith(magic):
            return opener(path, 'rb')
    return path.open('rb')


def _tar(path: Path, largest: int, refused: Refused) -> Iterator[Member]:
    with contextlib.closing(_open_tar(path)) as file:
        watched = _Watched(file, path.stat().st_size)
        # As a stream, which never seeks: one pass over the archive, whatever its size.
        with tarfile.open(fileobj=watched, mode='r|', bufsize=1 << 18, tarinfo=_TarInfo) as tar:
            while (info := tar.next()) is not None:
                # Or it would remember every member.
                tar.members.clear()
                if info.isdir():
                    continue
                if info.issym() or info.islnk():
                    refused(info.name, 'a link in an archive')
                elif not info.isreg():
                    refused(info.name, 'neither a file nor a folder in an archive')
                elif (name := _allowed(info.name, info.size, largest, refused)) is not None:
                    yield Member(name, info.size, tar.extractfile(info))
        while watched.read(1 << 18):  # Up to the checksum at the end of the compressed stream.
            pass
    # tarfile takes any end for the end; a whole archive closes with empty blocks.
    if len(watched.tail) < _BLOCK or watched.tail.strip(b'\0'):
        raise EOFError('its closing blocks are missing')


def _zip(path: Path, largest: int, refused: Refused) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        _check_entries(archive.infolist(), path.stat().st_size)
        names: set[str] = set()
        for info in archive.infolist():
            if info.is_dir():
                continue
            if info.filename in names:
                refused(info.filename, 'a name that an archive has twice')
                continue
            names.add(info.filename)
            kind = info.external_attr >> 16 & 0o170000
            if kind not in (0, 0o100000):
                refused(info.filename, 'a link in an archive')
            elif info.flag_bits & 1:
                refused(info.filename, 'encrypted in an archive')
            elif (name := _allowed(info.filename, info.file_size, largest, refused)) is not None:
                with archive.open(info) as file:
                    yield Member(name, info.file_size, file)


def _check_entries(entries: list[zipfile.ZipInfo], stored: int) -> None:
    """Refuses a directory that lists the same bytes twice, or promises too many."""
    if sum(info.file_size for info in entries) > _most(stored):
        raise ValueError(_TOO_MUCH)
    end = 0
    for info in sorted(entries, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise ValueError(f'{info.filename[:100]!r} overlaps something else in it')
        end = info.header_offset + _ZIP_HEADER + info.compress_size


def _allowed(name: str, size: int, largest: int, refused: Refused) -> str | None:
    if len(name) > _LONGEST_NAME:
        refused(name[:100], 'a name in an archive that is too long')
        return None
    safe = safe_name(name)
    if safe is None:
        refused(name, 'a name in an archive that leaves its folder')
    elif size > largest:
        refused(name, 'too large a file in an archive')
        return None
    return safe
