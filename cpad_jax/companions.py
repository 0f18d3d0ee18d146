"""Folders that lie beside the package in a clone, and inside it where it was installed as a wheel.

Inside comes first: beside an installed package lie those of others, such as Hugging Face's
`datasets`.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """The folder `configs` or `datasets`; setup.py puts both into the wheel."""
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name
