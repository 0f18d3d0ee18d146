"""JSON objects that carry a digest of themselves, so that damage to them is noticed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from cpad_jax import atomic, strict_json

KEY = 'sha256'


def sealed(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values and their digest, which `opened` checks.

    Args:
        values: What JSON can say; none of them called 'sha256'.
    """
    return {**values, KEY: _digest(values)}


def opened(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values without their digest.

    Raises:
        ValueError: They are not what was sealed.
    """
    values = dict(values)
    if values.pop(KEY, None) != _digest(values):
        raise ValueError('it is not what was written')
    return values


def write(path: str | os.PathLike[str], values: Mapping[str, Any]) -> None:
    """Writes values as JSON with their digest, whole or not at all."""
    atomic.write_json(path, sealed(values))


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads what `write` wrote.

    Raises:
        OSError: The file is not there, or cannot be read.
        ValueError: It is not what was written.
    """
    values = strict_json.read(path)
    if not isinstance(values, dict):
        raise ValueError('it has no digest')
    return opened(values)


def _digest(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, separators=(',', ':'))
    return hashlib.sha256(text.encode()).hexdigest()
