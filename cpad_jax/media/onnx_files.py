"""Reads ONNX files of face networks; one that is not known is tried in another process first."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from cpad_jax.errors import UserError
from cpad_jax.media import onnx_trial

# Files that were in use when this was written, which are opened without a trial.
KNOWN = {
    # SFace, YuNet and YuNet for 320 pixels, of OpenCV's zoo; MobileFace identification V2.
    '0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79',
    '8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4',
    '81dbde155e982455488235acb8ec2dec5d647edf7cf7080d33e4abb69b93a0d2',
    'd7ab279f6c76c7de62ad926a26f242e8db95e3087e37480225a56674ca8991b9',
}
# The largest that is in use, ArcFace's ResNet-100, has 261 MB; a file is read into memory.
MAX_BYTES = 512 << 20

_SECONDS = 300  # For machines that do much else; the processor's time is limited by the trial.
_GOOD: set[tuple[str, str]] = set()
_MEND = 'download it again; `cpad-find --fetch` gets one that works'


def read(path: Path, kind: str) -> tuple[bytes, str]:
    """The bytes of a network's file and their sha256.

    Args:
        path: The file. Its name may be of any bytes, since OpenCV is given its content.
        kind: 'detector' or 'embedder', for the trial.

    Raises:
        UserError: It cannot be read, is too large, or OpenCV crashes on it. A file that OpenCV
            merely refuses is given back: whoever opens it says so.
    """
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= MAX_BYTES else b''
    except OSError as error:
        raise UserError(f'{path}: this file cannot be read ({error.strerror})') from error
    if size > MAX_BYTES:
        raise UserError(
            f'{path}: the file has {size} bytes, more than the {MAX_BYTES} of any face network'
        )
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 not in KNOWN and (sha256, kind) not in _GOOD:
        _try(path, data, kind)
        _GOOD.add((sha256, kind))
    return data, sha256


def _try(path: Path, data: bytes, kind: str) -> None:
    command = [sys.executable, '-P', onnx_trial.__file__, kind]
    # One thread, for each would claim address space; and no coverage or the like of the parent.
    environment = os.environ | {'OPENBLAS_NUM_THREADS': '1', 'OPENCV_LOG_LEVEL': 'SILENT'}
    try:
        done = subprocess.run(
            command, input=data, capture_output=True, timeout=_SECONDS, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        raise UserError(f'{path}: OpenCV does not come to an end with this file; {_MEND}') from None
    if done.returncode in (0, onnx_trial.NO_NETWORK):
        return
    if done.returncode == -signal.SIGXCPU:
        raise UserError(f'{path}: OpenCV does not come to an end with this file; {_MEND}')
    what = f'signal {-done.returncode}' if done.returncode < 0 else 'out of memory, or worse'
    raise UserError(
        f'{path}: OpenCV crashed ({what}) when this file was tried in a process of its own, so it '
        f'is damaged or was made to do harm; {_MEND}'
    )
