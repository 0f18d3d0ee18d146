"""Packages that only some commands need, and the extra of setup.py that installs them."""

from __future__ import annotations

import importlib.util

# Embedding, searching, labelling and converting work without these.
_TRAIN = (
    'clu',
    'etils',
    'grain',
    'ml_collections',
    'orbax',
    'tensorboard',
    'tensorflow',
    'tensorflow_datasets',
)


def missing_for_training() -> str | None:
    """What to do about packages of the extra `train` that are not installed; None if all are."""
    missing = [name for name in _TRAIN if importlib.util.find_spec(name) is None]
    return _advice(missing) if missing else None


def advice(error: ModuleNotFoundError) -> str | None:
    """What to do about an import that failed, if an extra installs the package."""
    name = (error.name or '').partition('.')[0]
    return _advice([name]) if name in (*_TRAIN, 'array_record') else None


def _advice(missing: list[str]) -> str:
    are = 'is' if len(missing) == 1 else 'are'
    return (
        'training, evaluation and data sets need the extra "train", of which '
        f'{", ".join(missing)} {are} not installed: '
        "pip install 'cpad_jax[train]' (in a clone: pip install -e '.[train]')"
    )
