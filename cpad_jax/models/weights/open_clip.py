"""The way between open_clip's state dictionaries and our parameter tree, as one table."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from cpad_jax.errors import UserError
from cpad_jax.models.config import CLIPConfig, ResNetConfig, ViTConfig
from cpad_jax.models.weights import folder
from cpad_jax.models.weights.open_clip_config import is_timm

Shape = tuple[int, ...]

_UNUSED = r'(\.num_batches_tracked|(^|\.)attn_mask)$'


class Transform(NamedTuple):
    """How one array of open_clip becomes one or several of ours, and back.

    Attributes:
        to_ours: (array of open_clip, shapes of ours) → our arrays.
        to_theirs: Our arrays → the array of open_clip.
    """

    to_ours: Callable[[np.ndarray, list[Shape]], list[np.ndarray]]
    to_theirs: Callable[[list[np.ndarray]], np.ndarray]


def _split(array: np.ndarray, shapes: list[Shape]) -> list[np.ndarray]:
    parts = np.split(array, len(shapes))
    return [part.T.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def _flat_inputs(kernel: np.ndarray) -> np.ndarray:
    return kernel.reshape(-1, kernel.shape[-1])


def _flat_outputs(kernel: np.ndarray) -> np.ndarray:
    return kernel.reshape(kernel.shape[0], -1)


# Torch keeps the kernel of a layer as [out, in]. Where ours has heads in its input or output, they
# lie flat in torch's. Some layers are stacked there in the first dimension.
SAME = Transform(lambda a, _: [a], lambda ours: ours[0])
LEADING_ONE = Transform(lambda a, _: [a[0]], lambda ours: ours[0][None])
LINEAR = Transform(lambda a, shapes: [a.T.reshape(shapes[0])], lambda ours: _flat_inputs(ours[0]).T)
CONVOLUTION = Transform(
    lambda a, _: [a.transpose(2, 3, 1, 0)], lambda ours: ours[0].transpose(3, 2, 0, 1)
)
HEADS = Transform(_split, lambda ours: np.concatenate([_flat_outputs(a).T for a in ours]))
HEADS_BIAS = Transform(_split, lambda ours: np.concatenate([a.reshape(-1) for a in ours]))

# open_clip's name, our path or paths, how one becomes the other.
Row = tuple[str, tuple[str, ...], Transform]
Rows = tuple[Row, ...]


def _norm(theirs: str, ours: str) -> Rows:
    return (
        (f'{theirs}.weight', (f'{ours}/scale',), SAME),
        (f'{theirs}.bias', (f'{ours}/bias',), SAME),
    )


def _linear(theirs: str, ours: str) -> Rows:
    return (
        (f'{theirs}.weight', (f'{ours}/kernel',), LINEAR),
        (f'{theirs}.bias', (f'{ours}/bias',), SAME),
    )


def _heads(theirs: str, ours: str, *layers: str, joint: str = '.') -> Rows:
    """One layer of theirs, stacked, that is several of ours."""
    return (
        (f'{theirs}{joint}weight', tuple(f'{ours}/{n}/kernel' for n in layers), HEADS),
        (f'{theirs}{joint}bias', tuple(f'{ours}/{n}/bias' for n in layers), HEADS_BIAS),
    )


_QKV = ('query', 'key', 'value')
_BLOCK = (
    *_norm('ln_1', 'ln_1'),
    *_heads('attn.in_proj', 'attn', *_QKV, joint='_'),
    *_linear('attn.out_proj', 'attn/out'),
    *_norm('ln_2', 'ln_2'),
    *_linear('mlp.c_fc', 'mlp/c_fc'),
    *_linear('mlp.c_proj', 'mlp/c_proj'),
)
_GAINS = (
    ('ls_1.gamma', ('ls_1/gamma',), SAME),
    ('ls_2.gamma', ('ls_2/gamma',), SAME),
)
_TIMM_BLOCK = (
    *_norm('norm1', 'ln_1'),
    *_heads('attn.qkv', 'attn', *_QKV),
    *_linear('attn.proj', 'attn/out'),
    *_norm('norm2', 'ln_2'),
    *_linear('mlp.fc1', 'mlp/c_fc'),
    *_linear('mlp.fc2', 'mlp/c_proj'),
)
_MAP_POOLING = (
    ('latent', ('latent',), SAME),
    *_heads('q', 'attn', 'query'),
    *_heads('kv', 'attn', 'key', 'value'),
    *_linear('proj', 'attn/out'),
    *_norm('norm', 'ln'),
    *_linear('mlp.fc1', 'mlp/c_fc'),
    *_linear('mlp.fc2', 'mlp/c_proj'),
)


def _under(theirs: str, ours: str, rows: Rows) -> Iterator[Row]:
    for name, paths, transform in rows:
        yield f'{theirs}.{name}', tuple(f'{ours}/{path}' for path in paths), transform


def _vit(c: ViTConfig) -> Iterator[Row]:
    yield 'conv1.weight', ('conv1/kernel',), CONVOLUTION
    yield 'class_embedding', ('class_embedding',), SAME
    yield 'positional_embedding', ('positional_embedding',), SAME
    if c.normed_input:
        yield from _norm('ln_pre', 'ln_pre')
    for i in range(c.layers):
        rows = _BLOCK + (_GAINS if c.layer_scale else ())
        yield from _under(f'transformer.resblocks.{i}', f'transformer/resblocks.{i}', rows)
    yield from _norm('ln_post', 'ln_post')
    yield 'proj', ('proj/kernel',), SAME


def _timm_vit(c: ViTConfig) -> Iterator[Row]:
    """SigLIP's image tower, which open_clip takes from timm."""
    yield 'trunk.patch_embed.proj.weight', ('conv1/kernel',), CONVOLUTION
    yield 'trunk.patch_embed.proj.bias', ('conv1/bias',), SAME
    yield 'trunk.pos_embed', ('positional_embedding',), LEADING_ONE
    for i in range(c.layers):
        yield from _under(f'trunk.blocks.{i}', f'transformer/resblocks.{i}', _TIMM_BLOCK)
    yield from _norm('trunk.norm', 'ln_post')
    yield from _under('trunk.attn_pool', 'attn_pool', _MAP_POOLING)


def _batch_norm(theirs: str, ours: str) -> Rows:
    return (
        *_norm(theirs, ours),
        (f'{theirs}.running_mean', (f'{ours}/mean',), SAME),
        (f'{theirs}.running_var', (f'{ours}/var',), SAME),
    )


def _convolutions(count: int) -> Iterator[Row]:
    for i in range(1, count + 1):
        yield f'conv{i}.weight', (f'conv{i}/kernel',), CONVOLUTION
        yield from _batch_norm(f'bn{i}', f'bn{i}')


def _resnet(c: ResNetConfig) -> Iterator[Row]:
    yield from _convolutions(3)
    for stage, blocks in enumerate(c.blocks, 1):
        for i in range(blocks):
            rows = tuple(_convolutions(3))
            if i == 0:
                shortcut = ('downsample.0.weight', ('downsample/0/kernel',), CONVOLUTION)
                rows += (shortcut, *_batch_norm('downsample.1', 'downsample/1'))
            yield from _under(f'layer{stage}.{i}', f'layer{stage}/{i}', rows)
    yield 'attnpool.positional_embedding', ('attnpool/positional_embedding',), SAME
    for name in _QKV:
        yield from _heads(f'attnpool.{name[0]}_proj', 'attnpool/attn', name)
    yield from _linear('attnpool.c_proj', 'attnpool/attn/out')


def _rows(config: CLIPConfig) -> Iterator[Row]:
    """The table for one configuration."""
    yield 'logit_scale', ('logit_scale',), SAME
    if config.logit_bias:
        yield 'logit_bias', ('logit_bias',), SAME
    if isinstance(config.vision, ResNetConfig):
        vision = _resnet(config.vision)
    else:
        vision = _timm_vit(config.vision) if is_timm(config) else _vit(config.vision)
    yield from _under('visual', 'visual', tuple(vision))
    prefix = 'text.' if is_timm(config) else ''
    for name, paths, transform in _text(config):
        yield prefix + name, tuple(f'text/{path}' for path in paths), transform


def _text(config: CLIPConfig) -> Iterator[Row]:
    c = config.text
    yield 'token_embedding.weight', ('token_embedding/embedding',), SAME
    yield 'positional_embedding', ('positional_embedding',), SAME
    for i in range(c.layers):
        yield from _under(f'transformer.resblocks.{i}', f'transformer/resblocks.{i}', _BLOCK)
    yield from _norm('ln_final', 'ln_final')
    if c.projection == 'linear':
        yield 'text_projection', ('text_projection/kernel',), SAME
    elif c.projection == 'affine':
        yield from _linear('text_projection', 'text_projection')


def to_open_clip(params: Mapping[str, Any], config: CLIPConfig) -> dict[str, np.ndarray]:
    """Our parameter tree as a state dictionary of open_clip's `CLIP` or `CustomTextCLIP`."""
    flat = {name: np.asarray(leaf) for name, leaf in folder.flatten(params).items()}
    return {
        name: np.asarray(transform.to_theirs([flat[path] for path in paths]), order='C')
        for name, paths, transform in _rows(config)
    }


def unused(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What a state dictionary holds and no model here needs.

    How often statistics were taken, and the mask that TorchScript keeps although it follows from
    the sizes.
    """
    return {name: array for name, array in state.items() if re.search(_UNUSED, name)}


def shapes(config: CLIPConfig) -> dict[str, Shape]:
    """Name and shape of every array of open_clip that a model needs."""
    ours = folder.parameter_shapes(config)
    return {
        name: transform.to_theirs(
            [np.broadcast_to(np.float32(0), ours[path]) for path in paths]
        ).shape
        for name, paths, transform in _rows(config)
    }


def from_open_clip(
    state: Mapping[str, np.ndarray], config: CLIPConfig, source: str = 'the state dictionary'
) -> dict[str, Any]:
    """A state dictionary of open_clip's models as our parameter tree.

    Position embeddings of another length than the configuration's are resized as open_clip does.

    Args:
        state: Arrays by name; float32, float16, bfloat16, or float64, which becomes float32.
        config: Whose weights these are. Activation and preprocessing leave no trace in the weights
            and cannot be checked.
        source: Where the weights come from, for the message.

    Returns:
        The tree; its leaves are NumPy arrays of the types given, views where that is possible.

    Raises:
        UserError: A parameter is missing, unexpected, of another shape or of a type without
            fractions; the first are named.
    """
    state = {name: a for name, a in state.items() if not re.search(_UNUSED, name)}
    if not is_timm(config):  # Saved from a `CustomTextCLIP` that need not be one.
        twice = [name for name in state if f'text.{name}' in state]
        if twice:
            raise UserError(f'{source} holds {twice[0]} twice, once as text.{twice[0]}; keep one')
        state = {name.removeprefix('text.'): a for name, a in state.items()}
    expected = shapes(config)
    state |= {
        name: np.reshape(state[name], ())
        for name, shape in expected.items()
        if shape == () and name in state and np.shape(state[name]) == (1,)
    }
    state |= _resized(state, expected, config)
    found = {name: np.shape(array) for name, array in state.items()}
    folder.check_shapes(found, expected, source, config.name)
    ours, flat = folder.parameter_shapes(config), {}
    for name, paths, transform in _rows(config):
        array = _as_float(np.asarray(state[name]), name, source)
        arrays = transform.to_ours(array, [ours[path] for path in paths])
        flat |= dict(zip(paths, arrays, strict=True))
    return folder.unflatten(flat)


def _as_float(array: np.ndarray, name: str, source: str) -> np.ndarray:
    if array.dtype in folder.FLOATS:
        return array
    if array.dtype != np.float64:
        raise UserError(
            f'{source}: {name} is of {array.dtype}, expected numbers with fractions; weights that '
            'were quantised are not read: take those before it'
        )
    with np.errstate(over='ignore'):
        rounded = array.astype(np.float32)
    if not np.isfinite(rounded).all():
        raise UserError(f'{source}: {name} holds numbers that are not finite in float32')
    return rounded


def sizes(state: Mapping[str, np.ndarray], config: CLIPConfig) -> tuple[int, int]:
    """The sizes that the position embeddings of a state dictionary are for.

    Args:
        state: Arrays by name.
        config: Of the model but for these two sizes, which stand where the weights say nothing.

    Returns:
        Side of the image in pixels, and context length.
    """
    vision, length = config.vision, config.text.context_length
    resnet = isinstance(vision, ResNetConfig)
    name = next(
        n for n, paths, _ in _rows(config)
        if n.startswith('visual.') and paths[0].endswith('positional_embedding')
    )  # fmt: skip
    step, tokens = (32, 1) if resnet else (vision.patch_size, int(vision.class_token))
    shape = np.shape(state.get(name, ()))
    side, image = 0, config.image_size
    # Of another width they are another model's.
    if len(shape) >= 2 and shape[-1] == (32 * vision.width if resnet else vision.width):
        side = math.isqrt(max(shape[-2] - tokens, 0))
    if side and side**2 + tokens == shape[-2] and side != image // step:
        image = side * step
    for name in ('positional_embedding', 'text.positional_embedding'):
        shape = np.shape(state.get(name, ()))
        if len(shape) == 2 and shape[1] == config.text.width:
            length = shape[0]
    return image, length


def _resized(
    state: Mapping[str, np.ndarray], expected: Mapping[str, Shape], config: CLIPConfig
) -> dict[str, np.ndarray]:
    """The position embeddings that have another length, brought to the configuration's."""
    resized = {}
    image, text = 'visual.positional_embedding', 'positional_embedding'
    for name in (image, text):
        old, shape = state.get(name), expected.get(name)
        if old is None or shape is None or np.ndim(old) != 2 or old.shape[1] != shape[1]:
            continue
        old = np.asarray(old)
        if name == text and len(old) != shape[0]:
            resized[name] = _interpolate(old, shape, 'linear', antialias=False)
        square = math.isqrt(max(len(old) - 1, 0)) ** 2 + 1 == len(old)
        if name == image and len(old) != shape[0] and square:
            resized[name] = resize_positions(old, config.vision.grid)
    return resized


def resize_positions(old: np.ndarray, grid: int) -> np.ndarray:
    """Position embeddings of an image tower for another number of patches, as open_clip does.

    Args:
        old: [1 + side², W], the class token's first.
        grid: Patches along each side now.

    Returns:
        [1 + grid², W] of the same type.
    """
    side, width = math.isqrt(len(old) - 1), old.shape[1]
    patches = old[1:].reshape(side, side, width)
    patches = _interpolate(patches, (grid, grid, width), 'cubic', antialias=True)
    return np.concatenate([old[:1], patches.reshape(-1, width)])


def _interpolate(old: np.ndarray, shape: Shape, method: str, antialias: bool) -> np.ndarray:
    new = jax.image.resize(
        old.astype(np.float32), shape, method, antialias=antialias, precision='highest'
    )
    return np.asarray(new).astype(old.dtype)
