"""Trained CLIP-PADs in files."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cpad_jax import strict_json, whole_folders
from cpad_jax.errors import UserError
from cpad_jax.models import name_adapter as models_name_adapter
from cpad_jax.models import seals
from cpad_jax.models.clip_pad import CPAD, CPADConfig, name_adapter
from cpad_jax.models.config import CLIPConfig
from cpad_jax.models.video_adapter import VideoAdapter
from cpad_jax.models.weights import folder as weights_io
from cpad_jax.models.weights import safetensors

KIND = 'CLIP-PAD'
CONFIG_FILE = weights_io.CONFIG_FILE
WEIGHTS_FILE = weights_io.WEIGHTS_FILE
_MEMORY = 'name_memory'
_BACKGROUND = 'background'
_PARAMS = 'params/'
# Sizes that an export names only where they are not these: older ones have no such key.
_MAX_CONFIG = 16 << 20  # It names everybody whose name was learned.
_MOST = 1 << 20
_ABOVE_ZERO = ('face_width', 'num_tokens', 'adapter_width', 'token_norm')
_UNLESS_GIVEN = {'visual_prompts': 0, 'face_sha256': '', 'clip_width': 0}


@dataclasses.dataclass(frozen=True)
class SavedCPAD:
    """All that an export holds.

    Attributes:
        config: Sizes.
        params: The parameters of `CPAD`; with `name_adapter` and `clip_adapter`, those of
            `NameAdapter` and `VideoAdapter`, where there are such.
        backbone: Name or folder of the frozen CLIP, as `load_clip` takes it.
        backbone_sha256: Of that CLIP's weights.
        names: The people whose names were learned, in the order of `memory`.
        memory: float32 [N, K, W], the mean face token of each of them, or None.
        background: float32 [M, D], embeddings of some training photos, from which fine-tuning
            tells a person apart, or None.
    """

    config: CPADConfig
    params: Any
    backbone: str
    backbone_sha256: str
    names: Sequence[str] = ()
    memory: np.ndarray | None = None
    background: np.ndarray | None = None


def parameter_shapes(config: CPADConfig, clip_config: CLIPConfig) -> dict[str, tuple[int, ...]]:
    """Path of every parameter of an export, such as 'adapter/out/kernel', and its shape."""
    features = jax.ShapeDtypeStruct((1, 1, config.face_width), jnp.float32)
    weights = jax.ShapeDtypeStruct((1, 1), jnp.float32)
    tree = jax.eval_shape(CPAD(config, clip_config).init, jax.random.key(0), features, weights)
    params = dict(tree['params'])
    if config.name_width:
        known = jax.ShapeDtypeStruct(
            (1, models_name_adapter.feature_width(clip_config)), jnp.float32
        )
        adapter = name_adapter(config, clip_config)
        params['name_adapter'] = jax.eval_shape(adapter.init, jax.random.key(0), known)['params']
    if config.clip_width:
        clips = jax.ShapeDtypeStruct((1, clip_config.embed_dim), jnp.float32)
        adapter = VideoAdapter(config.clip_width)
        params['clip_adapter'] = jax.eval_shape(adapter.init, jax.random.key(0), clips)['params']
    return {name: leaf.shape for name, leaf in weights_io.flatten(params).items()}


def save_model(directory: str | os.PathLike[str], saved: SavedCPAD) -> None:
    """Writes the folder that `load_model` and `cpad_jax.load` read.

    Args:
        directory: Appears whole or not at all, with `config.json` and `weights.safetensors`; one
            that is there is replaced.
        saved: What to write.
    """
    arrays = {
        _PARAMS + name: np.asarray(leaf, np.float32, order='C')
        for name, leaf in weights_io.flatten(saved.params).items()
    }
    if saved.memory is not None:
        arrays[_MEMORY] = np.asarray(saved.memory, np.float32, order='C')
    if saved.background is not None:
        arrays[_BACKGROUND] = np.asarray(saved.background, np.float32, order='C')
    values = {
        'kind': KIND,
        'backbone': saved.backbone,
        'backbone_sha256': saved.backbone_sha256,
        **dataclasses.asdict(saved.config),
        'names': list(saved.names),
    }
    values = {k: v for k, v in values.items() if k not in _UNLESS_GIVEN or v != _UNLESS_GIVEN[k]}
    with whole_folders.writing(directory) as temporary:
        stored = {name: safetensors.Stored(array) for name, array in arrays.items()}
        safetensors.write(temporary / WEIGHTS_FILE, stored)
        seals.write(temporary / CONFIG_FILE, values, WEIGHTS_FILE)


def read_backbone(directory: str | os.PathLike[str]) -> str:
    """Name or folder of the CLIP that an export was trained on; for errors see `load_model`."""
    return _read_config(Path(directory))['backbone']


def load_model(
    directory: str | os.PathLike[str],
    clip_config: CLIPConfig,
    backbone_sha256: str,
    face_feature: str | None = None,
) -> SavedCPAD:
    """Reads an export.

    Args:
        directory: What `save_model` wrote.
        clip_config: Of the CLIP it is to run on.
        backbone_sha256: Of that CLIP's weights.
        face_feature: The face feature that will be fed; None for whatever the export wants.

    Returns:
        Its content, with NumPy arrays.

    Raises:
        UserError: Something is missing or damaged, or it was trained on another CLIP or another
            face feature.
    """
    directory = Path(directory)
    values = _read_config(directory)
    if values['backbone_sha256'] != backbone_sha256:
        raise UserError(
            f'{directory} was trained on the CLIP {values["backbone"]!r} with sha256 '
            f'{values["backbone_sha256"][:12]}…, not on {clip_config.name!r} with '
            f'{backbone_sha256[:12]}…: give the CLIP that it was trained on, or train again'
        )
    fields = [field.name for field in dataclasses.fields(CPADConfig)]
    config = CPADConfig(**{name: values[name] for name in fields})
    if face_feature is not None and face_feature != config.face_feature:
        raise UserError(
            f'{directory} was trained on the face feature {config.face_feature!r}, not on '
            f'{face_feature!r}: give faces as it knows them, or train again'
        )
    path = directory / WEIGHTS_FILE
    stored = safetensors.read(path)
    # Before anything is made of so many layers.
    layers = len({n.split('/')[2] for n in stored if n.startswith(f'{_PARAMS}adapter/hidden_')})
    if layers != config.adapter_layers:
        raise UserError(
            f'{path}: the weights have {layers} layers where {CONFIG_FILE} says '
            f'adapter_layers {config.adapter_layers}: export the model again'
        )
    arrays = {name: np.array(a) for name, a in stored.items()}
    expected = {
        _PARAMS + name: shape for name, shape in parameter_shapes(config, clip_config).items()
    }
    if _MEMORY in arrays:
        expected[_MEMORY] = (len(values['names']), config.num_tokens, clip_config.text.width)
    if _BACKGROUND in arrays:
        expected[_BACKGROUND] = (*arrays[_BACKGROUND].shape[:1], clip_config.embed_dim)
    shapes = {name: array.shape for name, array in arrays.items()}
    weights_io.check_shapes(shapes, expected, str(path), KIND)
    seals.checked_sha256(directory / CONFIG_FILE, values, WEIGHTS_FILE)
    memory, background = arrays.pop(_MEMORY, None), arrays.pop(_BACKGROUND, None)
    params = weights_io.unflatten({k.removeprefix(_PARAMS): v for k, v in arrays.items()})
    return SavedCPAD(
        config, params, values['backbone'], backbone_sha256, tuple(values['names']), memory,
        background,
    )  # fmt: skip


def _read_config(directory: Path) -> dict[str, Any]:
    """The values of an export's `config.json`, with every key and its type checked."""
    path = directory / CONFIG_FILE
    try:
        values = strict_json.read(path, _MAX_CONFIG)
    except OSError:
        raise UserError(
            f'there is no CLIP-PAD in {directory} ({CONFIG_FILE} and {WEIGHTS_FILE}): train one '
            'with python -m cpad_jax.train, or name the right folder'
        ) from None
    except ValueError as error:
        raise UserError(f'{path} is not JSON ({error}): export the model again') from error
    if not isinstance(values, dict) or values.get('kind') != KIND:
        raise UserError(f'{path} does not describe a CLIP-PAD (no "kind": "{KIND}")')
    written, values = values, _UNLESS_GIVEN | values
    wanted = {'backbone': 'str', 'backbone_sha256': 'str', 'names': 'list'}
    wanted |= {field.name: field.type for field in dataclasses.fields(CPADConfig)}
    for name, kind in wanted.items():
        if type(values.get(name)).__name__ != kind:
            raise UserError(
                f'{path}: {name} is {values.get(name)!r:.60}, expected {kind}: export the model '
                'again'
            )
        value, least = values[name], name in _ABOVE_ZERO
        number = kind in ('int', 'float')
        if number and not (0 < value if least else 0 <= value) or number and value > _MOST:
            raise UserError(
                f'{path}: {name} is {value}, expected {"above" if least else "at least"} 0 and at '
                f'most {_MOST}: export the model again'
            )
    if any(type(name) is not str for name in values['names']):
        raise UserError(f'{path}: names must be a list of texts: export the model again')
    seals.check(path, written)
    return values
