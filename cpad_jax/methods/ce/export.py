"""Trained Collaborative Experts in files."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from cpad_jax import strict_json, whole_folders
from cpad_jax.errors import UserError
from cpad_jax.methods.ce.model import CEConfig, init
from cpad_jax.models import seals
from cpad_jax.models.weights import folder as weights_io
from cpad_jax.models.weights import safetensors
from cpad_jax.models.weights.folder import CONFIG_FILE, WEIGHTS_FILE

KIND = 'ce'
_MOST = 1 << 20


@dataclasses.dataclass(frozen=True)
class SavedCE:
    """A trained CE.

    Attributes:
        config: Sizes.
        variables: `params` and `batch_stats` of `CE`.
        backbone: Name or folder of the CLIP whose features it reads.
        backbone_sha256: Hash of the weights of that CLIP.
        frames_per_clip: Frames per clip that its experts read.
        faces_per_clip: Faces per clip that they read.
    """

    config: CEConfig
    variables: Any
    backbone: str
    backbone_sha256: str
    frames_per_clip: int
    faces_per_clip: int


def save_model(directory: str | os.PathLike[str], saved: SavedCE) -> None:
    """Writes the folder that `load_model` reads, whole or not at all."""
    values = {
        'kind': KIND,
        'backbone': saved.backbone,
        'backbone_sha256': saved.backbone_sha256,
        'frames_per_clip': saved.frames_per_clip,
        'faces_per_clip': saved.faces_per_clip,
        **dataclasses.asdict(saved.config),
    }
    with whole_folders.writing(directory) as temporary:
        stored = {
            name: safetensors.Stored(np.asarray(leaf, np.float32, order='C'))
            for name, leaf in weights_io.flatten(saved.variables).items()
        }
        safetensors.write(temporary / WEIGHTS_FILE, stored)
        seals.write(temporary / CONFIG_FILE, values, WEIGHTS_FILE)


def check_there(directory: Path) -> None:
    """Raises a UserError where there is no folder of `save_model`."""
    if not (directory / CONFIG_FILE).is_file():
        raise UserError(
            f'there is no Collaborative Experts in {directory}: train it with '
            'python -m cpad_jax.train --config configs/ce.py, or name the right folder'
        )


def load_model(directory: str | os.PathLike[str], backbone_sha256: str) -> SavedCE:
    """Reads the folder that `save_model` writes.

    Args:
        directory: The folder.
        backbone_sha256: Hash of the weights of the CLIP whose features it will read.

    Raises:
        UserError: It is missing or damaged, or was trained on features of another CLIP.
    """
    directory = Path(directory)
    check_there(directory)
    path = directory / CONFIG_FILE
    try:
        values = strict_json.read(path)
        if values['kind'] != KIND:
            raise ValueError(f'its kind is {values["kind"]!r}, expected {KIND!r}')
        fields = dataclasses.fields(CEConfig)
        config = CEConfig(**{field.name: _size(values, field.name) for field in fields})
        backbone, sha256 = (str(values[name]) for name in ('backbone', 'backbone_sha256'))
        frames, faces = (_size(values, name) for name in ('frames_per_clip', 'faces_per_clip'))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f'{path} is damaged ({error}): train again') from error
    seals.check(path, values)
    if sha256 != backbone_sha256:
        raise UserError(
            f'{directory} was trained on the CLIP {backbone!r} with sha256 '
            f'{sha256[:12]}…, '
            f'not on one with {backbone_sha256[:12]}…: evaluate with that CLIP, or train again'
        )
    path = directory / WEIGHTS_FILE
    arrays = {name: np.array(a) for name, a in safetensors.read(path).items()}
    tree = jax.eval_shape(functools.partial(init, config), jax.random.key(0))
    expected = {name: leaf.shape for name, leaf in weights_io.flatten(tree).items()}
    shapes = {name: array.shape for name, array in arrays.items()}
    weights_io.check_shapes(shapes, expected, str(path), KIND)
    seals.checked_sha256(directory / CONFIG_FILE, values, WEIGHTS_FILE)
    return SavedCE(config, weights_io.unflatten(arrays), backbone, sha256, frames, faces)


def _size(values: Mapping[str, Any], name: str) -> int:
    size = values[name]
    if type(size) is not int or not 0 <= size <= _MOST:
        raise ValueError(f'{name} is {size!r:.60}, expected a whole number from 0 to {_MOST}')
    return size
