"""CLIP's weights on disk: our own folder, and the way from and to open_clip's names.

A folder holds `config.json` (a `CLIPConfig`) and `weights.safetensors` (the parameters, named by
their path in the tree). Loading is strict: every parameter that is missing, unexpected or of
another shape is named.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

from cpad_jax import strict_json
from cpad_jax.errors import UserError
from cpad_jax.models import config as config_module
from cpad_jax.models import seals
from cpad_jax.models.clip import CLIP, initial_token_embedding
from cpad_jax.models.config import CLIPConfig, ResNetConfig
from cpad_jax.models.seals import file_sha256 as file_sha256
from cpad_jax.models.weights import safetensors, state_dicts

CONFIG_FILE = 'config.json'
OPEN_CLIP_CONFIG = 'open_clip_config.json'
WEIGHTS_FILE = 'weights.safetensors'

Shapes = Mapping[str, tuple[int, ...]]

FLOATS = (np.float32, np.float16, ml_dtypes.bfloat16)
_ASIDE = 'aside/'
_TOKENS = 'text/token_embedding/embedding'
_ROWS = 'text/token_embedding/rows'
_BLOCK = 'resblocks.0/'
# Characters of a message: of one name, and of all lists of them.
_NAME, _ROOM = 60, 140
# The projections tell width and joint space at once, and come first.
_TELLING = ('visual.proj', 'proj')
# Numbers in a token embedding that is made whole from some of its rows: of ViT-bigG, 63 million.
_MOST_EXPANDED = 1 << 26


def parameter_shapes(config: CLIPConfig) -> dict[str, tuple[int, ...]]:
    """Path of every parameter of a CLIP, such as 'visual/conv1/kernel', and its shape."""
    return dict(_parameter_shapes(config))


@functools.cache
def _parameter_shapes(config: CLIPConfig) -> dict[str, tuple[int, ...]]:
    # All blocks of a tower are alike, so one is looked at, however many there are.
    towers = {'visual': config.vision, 'text': config.text}
    layers = {name: getattr(tower, 'layers', 1) for name, tower in towers.items()}
    short = {
        field: dataclasses.replace(tower, layers=1) if hasattr(tower, 'layers') else tower
        for field, tower in (('vision', config.vision), ('text', config.text))
    }
    shapes = {}
    for name, shape in _traced_shapes(dataclasses.replace(config, **short)).items():
        start, block, rest = name.partition(_BLOCK)
        for i in range(layers[start.partition('/')[0]] if block else 1):
            shapes[f'{start}{block[:-2]}{i}/{rest}' if block else name] = shape
    return shapes


def _traced_shapes(config: CLIPConfig) -> dict[str, tuple[int, ...]]:
    pixels = jax.ShapeDtypeStruct((1, config.image_size, config.image_size, 3), jnp.float32)
    ids = jax.ShapeDtypeStruct((1, config.text.context_length), jnp.int32)
    tree = jax.eval_shape(CLIP(config).init, jax.random.key(0), pixels, ids)['params']
    return {name: leaf.shape for name, leaf in flatten(tree).items()}


def flatten(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameter tree as one dictionary from path to array."""
    return flax.traverse_util.flatten_dict(params, sep='/')


def unflatten(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `flatten`."""
    return flax.traverse_util.unflatten_dict(dict(flat), sep='/')


def check_shapes(found: Shapes, expected: Shapes, source: str, model: str) -> None:
    """Compares what a file holds with what a model needs.

    Args:
        found: Name and shape of what is there.
        expected: Name and shape of what should be there.
        source: Where it was found, for the message.
        model: Whose parameters are expected, for the message.

    Raises:
        UserError: They differ. The first missing, unexpected and misshapen parameters are named and
            the rest counted, or it is said what the file seems to be.
    """
    missing, unexpected = expected.keys() - found.keys(), found.keys() - expected.keys()
    misshapen = [
        name
        for name in expected.keys() & found.keys()
        if tuple(found[name]) != tuple(expected[name])
    ]
    if not (missing or unexpected or misshapen):
        return
    start = f'{source} does not hold the parameters of {model}: '
    # Of a name or two that are missing, no other kind of file is made.
    if 4 * max(len(missing), len(unexpected)) > len(expected):
        if seen := state_dicts.kind(found):
            raise UserError(f'{start}it seems to be {seen}')
    room = _ROOM // sum(map(bool, (missing, unexpected, misshapen)))
    problems = [
        f'{kind} {_first_of(names, room)}'
        for kind, names in (('missing', missing), ('unexpected', unexpected))
        if names
    ]
    if misshapen:
        shapes = {
            name: f'{name[:_NAME]} is {list(found[name])}, expected {list(expected[name])}'
            for name in misshapen
        }
        problems.append(_first_of(shapes, room, shapes))
    raise UserError(
        f'{start}{"; ".join(problems)}; '
        'check that the configuration is the one the weights were trained with'
    )


def _first_of(names: Iterable[str], room: int, words: Mapping[str, str] | None = None) -> str:
    """The first names, or words on them, as many as a line has room for; the rest is counted."""
    ordered = sorted(names, key=lambda n: (*(part not in n for part in _TELLING), len(n), n))
    shown: list[str] = []
    for name in ordered:
        said = words[name] if words else name[:_NAME]
        if shown and sum(map(len, shown)) + len(said) > room:
            break
        shown.append(said)
    rest = len(ordered) - len(shown)
    return ', '.join(shown) + (f' and {rest} more' if rest else '')


def save_clip(
    directory: str | os.PathLike[str],
    config: CLIPConfig,
    params: Mapping[str, Any],
    dtype: str | None = 'float32',
    compact_vocabulary: bool = False,
    aside: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Writes the folder that `cpad_jax.load_clip` reads.

    Args:
        directory: The folder; it is made if need be.
        config: Sizes.
        params: The parameter tree.
        dtype: Type of the numbers in the file: 'float32', 'float16' or 'bfloat16'; None keeps
            that of each leaf.
        compact_vocabulary: Leaves out the rows of the token embedding that are still those of
            `initial_token_embedding`. A CLIP trained on few words becomes several times smaller.
        aside: Arrays that are kept for `load_aside`, and that the model does not need.

    Raises:
        UserError: `params` are not the parameters of `config`.
    """
    directory = Path(directory)
    flat = flatten(params)
    shapes = {name: np.shape(leaf) for name, leaf in flat.items()}
    check_shapes(shapes, parameter_shapes(config), 'the tree to save', config.name)
    stored = {name: safetensors.Stored(leaf, dtype) for name, leaf in flat.items()}
    if compact_vocabulary:
        tokens = stored[_TOKENS]()
        initial = initial_token_embedding(*tokens.shape).astype(tokens.dtype)
        rows = np.flatnonzero((tokens != initial).any(axis=1)).astype(np.int32)
        stored |= {
            _ROWS: safetensors.Stored(rows),
            _TOKENS: safetensors.Stored(tokens[rows]),
        }
    stored |= {_ASIDE + name: safetensors.Stored(array) for name, array in (aside or {}).items()}
    safetensors.write(directory / WEIGHTS_FILE, stored)
    seals.write(directory / CONFIG_FILE, dataclasses.asdict(config), WEIGHTS_FILE)


def checked_sha256(directory: str | os.PathLike[str]) -> str:
    """The sha256 of a CLIP's weights.

    Raises:
        UserError: They, or another file of the folder, are not what was written.
    """
    path = Path(directory) / CONFIG_FILE
    values = strict_json.read(path)
    seals.check(path, values)
    return seals.checked_sha256(path, values, WEIGHTS_FILE)


def load_clip_variables(
    directory: str | os.PathLike[str], place: Callable[[np.ndarray], Any] = np.asarray
) -> tuple[CLIPConfig, dict[str, Any]]:
    """Reads a folder that `save_clip` or the converter wrote.

    Args:
        directory: The folder.
        place: Where each leaf goes as soon as it is read, such as `jax.device_put`. Only one leaf
            at a time is held here beside what that gives.

    Returns:
        The configuration, and the parameter tree with float32 leaves.

    Raises:
        UserError: Something is missing or does not fit together.
    """
    config, found = _open_folder(Path(directory))
    leaves = {}
    for name in sorted(found):
        array = found.pop(name)
        # A copy even of float32: what lies in the file need not be aligned, and may go away.
        leaves[name] = place(np.array(array, np.float32))
        safetensors.release(array)
    return config, unflatten(leaves)


def stored_params(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """As `load_clip_variables`, with each leaf as it lies in the file: its type, not copied."""
    stored = unflatten(_open_folder(Path(directory))[1])
    checked_sha256(directory)
    return stored


def check_folder(directory: Path) -> None:
    """Looks whether a folder may hold a CLIP.

    Raises:
        UserError: It is not there, or has no configuration or no weights.
    """
    if not directory.is_dir():
        raise UserError(
            f'there is no folder {directory}; expected one with {CONFIG_FILE} and {WEIGHTS_FILE}, '
            'as cpad-convert writes it'
        )
    if (directory / OPEN_CLIP_CONFIG).is_file() and not (directory / CONFIG_FILE).is_file():
        raise UserError(
            f'{directory} holds weights of open_clip: convert them first, '
            f'`cpad-convert {directory} --out FOLDER`'
        )
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (directory / name).is_file():
            raise UserError(
                f'{directory} has no {name}: a CLIP is a folder with both {CONFIG_FILE} and '
                f'{WEIGHTS_FILE}, a trained CLIP-PAD is opened by cpad_jax.load'
            )


def _open_folder(directory: Path) -> tuple[CLIPConfig, dict[str, np.ndarray]]:
    """The configuration, and the parameters by path, checked."""
    check_folder(directory)
    config = read_config(directory / CONFIG_FILE)
    path = directory / WEIGHTS_FILE
    found = {k: v for k, v in safetensors.read(path).items() if not k.startswith(_ASIDE)}
    rows = found.pop(_ROWS, None)
    for name, array in found.items():
        if array.dtype not in FLOATS:
            raise UserError(f'{path}: {name} has type {array.dtype}, expected a float type')
    _check_sizes(config, {name: a.shape for name, a in found.items()}, path, rows is not None)
    expected = parameter_shapes(config)
    if rows is not None:
        found[_TOKENS] = _expand_tokens(rows, found[_TOKENS], expected[_TOKENS], path)
    shapes = {name: array.shape for name, array in found.items()}
    check_shapes(shapes, expected, str(path), config.name)
    return config, found


def _check_sizes(config: CLIPConfig, found: Shapes, path: Path, compact: bool) -> None:
    """Holds what a configuration says against the weights, before anything is made of that size."""
    text, vision = config.text, config.vision
    blocks = 'transformer/resblocks.'
    sizes = [
        ('text.layers', text.layers, _parts(found, f'text/{blocks}')),
        ('text.width', text.width, (_TOKENS, 1)),
        ('text.context_length', text.context_length, ('text/positional_embedding', 0)),
        ('text.mlp_width', text.mlp_width or 4 * text.width,
         (f'text/{blocks}0/mlp/c_fc/kernel', 1)),
    ]  # fmt: skip
    if not compact:
        sizes.append(('text.vocab_size', text.vocab_size, (_TOKENS, 0)))
    elif text.vocab_size * text.width > _MOST_EXPANDED:
        raise UserError(
            f'{path}: text.vocab_size of the configuration is {text.vocab_size}, more than a '
            'vocabulary of which only some rows are stored may have; convert the weights again'
        )
    if isinstance(vision, ResNetConfig):
        sizes += [
            (f'vision.blocks[{i}]', count, _parts(found, f'visual/layer{i + 1}/'))
            for i, count in enumerate(vision.blocks)
        ]
        sizes += [
            ('vision.width', vision.width, ('visual/conv3/kernel', 3)),
            ('the positions of vision.image_size', (vision.image_size // 32) ** 2 + 1,
             ('visual/attnpool/positional_embedding', 0)),
        ]  # fmt: skip
    else:
        sizes += [
            ('vision.layers', vision.layers, _parts(found, f'visual/{blocks}')),
            ('vision.width', vision.width, ('visual/conv1/kernel', 3)),
            ('vision.patch_size', vision.patch_size, ('visual/conv1/kernel', 0)),
            ('the positions of vision.image_size', vision.positions,
             ('visual/positional_embedding', 0)),
            ('vision.mlp_width', vision.mlp_width or 4 * vision.width,
             (f'visual/{blocks}0/mlp/c_fc/kernel', 1)),
        ]  # fmt: skip
    for key, said, where in sizes:
        if type(where) is tuple:
            name, axis = where
            shape = found.get(name, ())
            if len(shape) <= axis:
                raise UserError(
                    f'{path} does not hold the parameters of {config.name}: missing {name}, or it '
                    'has too few dimensions; convert the weights again'
                )
            where = shape[axis]
        if said != where:
            raise UserError(
                f'{path}: the weights have {where} where {CONFIG_FILE} says {said} ({key}); check '
                'that the configuration is the one the weights were trained with'
            )


def _parts(found: Shapes, start: str) -> int:
    """How many numbered parts there are under a path."""
    return len({n[len(start) :].partition('/')[0] for n in found if n.startswith(start)})


def load_aside(directory: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """What `save_clip` was given as `aside`, by name."""
    arrays = safetensors.read(Path(directory) / WEIGHTS_FILE)
    return {k.removeprefix(_ASIDE): v for k, v in arrays.items() if k.startswith(_ASIDE)}


def _expand_tokens(
    rows: np.ndarray, tokens: np.ndarray, shape: Sequence[int], path: Path
) -> np.ndarray:
    """The whole token embedding from the rows that were stored."""
    fits = rows.shape == tokens.shape[:1] and tokens.shape[1:] == tuple(shape[1:])
    if not fits or len(np.unique(rows)) != len(rows) or ((rows < 0) | (rows >= shape[0])).any():
        raise UserError(
            f'{path}: {_ROWS} {list(rows.shape)} does not number rows of a token embedding '
            f'{list(shape)} for {_TOKENS} {list(tokens.shape)}; export the weights again'
        )
    whole = initial_token_embedding(*shape).astype(tokens.dtype)
    whole[rows] = tokens
    return whole


def read_config(path: str | os.PathLike[str]) -> CLIPConfig:
    """Reads the `config.json` of a CLIP.

    Raises:
        UserError: It is not JSON, or a key is missing, unknown or of the wrong type.
    """
    path = Path(path)
    try:
        values = strict_json.read(path)
    except (OSError, ValueError) as error:
        raise UserError(f'{path} is not JSON ({error})') from error
    if not isinstance(values, dict):
        raise UserError(f'{path} must hold one JSON object of the configuration')
    try:
        return config_module.from_values(seals.bare(values))
    except ValueError as error:
        raise UserError(f'{path}: {error}; convert the weights again') from error
