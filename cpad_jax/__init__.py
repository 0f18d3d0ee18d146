"""Finds moments of video by who, what and where: CLIP-PAD in JAX and Flax.

`import cpad_jax` is light: the names below are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = '0.1.0'

_LAZY = {
    'load_clip': 'cpad_jax.models.pretrained',
    'load': 'cpad_jax.models.clip_pad_api',
    'fine_tune': 'cpad_jax.training.fine_tuning',
    'People': 'cpad_jax.models.person_store',
    'UserError': 'cpad_jax.errors',
}
__all__ = ['People', 'UserError', '__version__', 'fine_tune', 'load', 'load_clip']


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_LAZY))
