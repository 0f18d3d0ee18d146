"""Files of face networks: where they are looked for, and how they are fetched once.

Nothing is downloaded by itself. What is fetched is known beforehand to the byte.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from cpad_jax import atomic, progress
from cpad_jax.errors import UserError, expanded

CACHE_VARIABLE = 'CPAD_CACHE'

_ZOO = 'https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models'
_CHUNK = 1 << 16
_TIMEOUT = 30  # Seconds without a byte.


@dataclass(frozen=True)
class ModelFile:
    """A file that does not come with the package.

    Attributes:
        what: It is, in words.
        name: Of the file.
        size: Bytes.
        sha256: Of its content.
        address: Where its content is.
        licence: Of the file.
        variable: Environment variable that names a file to use in its place.
    """

    what: str
    name: str
    size: int
    sha256: str
    address: str
    licence: str
    variable: str

    @property
    def where(self) -> str:
        """How to come by it, for messages."""
        return (
            f'`cpad-find --fetch` downloads {self.name} of opencv_zoo ('
            f'{self.licence} licence, '
            f'{self.size} bytes, sha256 {self.sha256}); or give the path of one, or set '
            f'{self.variable} to it'
        )


FACE_DETECTOR = ModelFile(
    what='face detector',
    name='face_detection_yunet_2023mar.onnx',
    size=232589,
    sha256='8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4',
    address=f'{_ZOO}/face_detection_yunet/face_detection_yunet_2023mar.onnx',
    licence='MIT',
    variable='CPAD_FACE_DETECTOR',
)
FACE_EMBEDDER = ModelFile(
    what='face embedder',
    name='face_recognition_sface_2021dec.onnx',
    size=38696353,
    sha256='0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79',
    address=f'{_ZOO}/face_recognition_sface/face_recognition_sface_2021dec.onnx',
    licence='Apache-2.0',
    variable='CPAD_FACE_EMBEDDER',
)


def cache_folder() -> Path:
    """Where fetched files lie: CPAD_CACHE, or `cpad_jax` in the user's folder for caches."""
    if named := os.environ.get(CACHE_VARIABLE):
        return expanded(named)
    return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'cpad_jax'


def find(model: ModelFile, path: str | os.PathLike[str] | None = None) -> Path:
    """Finds a model's file; fetches nothing.

    Args:
        model: Which one.
        path: A file that takes its place. Without it the environment variable decides, and after
            it what was fetched before.

    Returns:
        The path of a file that is there.

    Raises:
        UserError: There is none, or not where it should be; says how to come by one.
    """
    path = path or os.environ.get(model.variable)
    if path:
        path = expanded(path)
        if not path.is_file():
            raise UserError(f'{path}: there is no such {model.what}; {model.where}')
        return path
    cached = cache_folder() / model.name
    if not cached.is_file():
        raise UserError(f'no {model.what} is given; {model.where}')
    if cached.stat().st_size != model.size:
        raise UserError(f'{cached}: this is another file, or a part of one; {model.where}')
    return cached


def fetch(model: ModelFile) -> Path:
    """Downloads a model's file into the cache, unless it is there already.

    A download that breaks off continues where it stopped when it is started again.

    Args:
        model: Which one.

    Returns:
        The file, whose size and sha256 are those of `model`.

    Raises:
        UserError: It cannot be had, or is not the file that was expected.
    """
    target = cache_folder() / model.name
    try:
        _fetch(model, target)
    except (OSError, http.client.HTTPException) as error:
        # URLError is an OSError too.
        reason = getattr(error, 'reason', None) or error
        raise UserError(
            f'{model.address}: the download to {target.parent} failed ({reason}); run the same '
            f'command again to go on from there, or copy the file to {target} by hand'
        ) from error
    return target


def _fetch(model: ModelFile, target: Path) -> None:
    if target.is_file() and _sha256(target) == model.sha256:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # The name holds the hash, so that another version's beginning is never gone on with.
    partial = target.with_name(f'{model.name}.{model.sha256[:12]}.partial')
    held = partial.stat().st_size if partial.is_file() else 0
    if held > model.size:
        held = 0
    if held < model.size:
        _download(model, partial, held)
    data = partial.read_bytes()
    if len(data) < model.size:
        raise UserError(
            f'{model.address}: the download broke off at {len(data)} of {model.size} bytes; run '
            'the same command again to go on from there'
        )
    found = hashlib.sha256(data).hexdigest()
    if found != model.sha256:
        partial.unlink()
        raise UserError(
            f'{model.address}: what came is not {model.name} (sha256 {found}, expected '
            f'{model.sha256}) and was deleted; run the same command again, or get the file '
            f'elsewhere and copy it to {target}'
        )
    # What was hashed, not the partial file itself: a second download may be writing to that.
    atomic.write_bytes(target, data)
    partial.unlink(missing_ok=True)


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https and nowhere else."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if not newurl.lower().startswith('https://'):
            raise urllib.error.URLError(f'it leads to {newurl}, which is not https')
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _download(model: ModelFile, partial: Path, held: int) -> None:
    """Appends what is missing to `partial`, or writes all of it; never more than is expected."""
    request = urllib.request.Request(model.address, headers={'User-Agent': 'cpad_jax'})
    if held:
        request.add_header('Range', f'bytes={held}-')
    opener = urllib.request.build_opener(_HttpsOnly)
    try:
        response = opener.open(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and held:
            # The file there is shorter than what is held of it: see what it is.
            return _download(model, partial, 0)
        raise
    with response:
        if response.status != 206 or not _goes_on(response, held):
            held = 0  # The server sends the file from its start.
        said = response.headers.get('Content-Length', '')
        if said.isdecimal() and held + int(said) != model.size:
            raise UserError(
                f'{model.address}: the file there has {held + int(said)} bytes, expected '
                f'{model.size}; it was replaced by another one: get {model.name} elsewhere'
            )
        bar = progress.bar(total=model.size, stage=f'fetching {model.what}', unit='B')
        with partial.open('ab' if held else 'wb') as file, bar:
            bar.update(held)
            # One byte more than expected is enough to know that it is another file.
            while held <= model.size and (
                data := response.read(min(_CHUNK, model.size + 1 - held))
            ):
                file.write(data)
                held += len(data)
                bar.update(len(data))


def _goes_on(response: http.client.HTTPResponse, held: int) -> bool:
    said = re.match(r'bytes (\d+)-', response.headers.get('Content-Range', ''))
    return bool(said) and int(said[1]) == held


def _sha256(path: Path) -> str:
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
