"""The way between open_clip's state dictionaries and our parameter tree, as one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from cpad_jax.models import weights
from cpad_jax.models.clip import CLIPConfig

Shape = tuple[int, ...]


class Transform(NamedTuple):
    """How one array of open_clip becomes one or several of ours, and back.

    Attributes:
        to_ours: (array of open_clip, shapes of ours) → our arrays.
        to_theirs: Our arrays → the array of open_clip.
    """

    to_ours: Callable[[np.ndarray, list[Shape]], list[np.ndarray]]
    to_theirs: Callable[[list[np.ndarray]], np.ndarray]


def _thirds(array: np.ndarray, shapes: list[Shape]) -> list[np.ndarray]:
    thirds = np.split(array, 3)
    return [third.T.reshape(shape) for third, shape in zip(thirds, shapes, strict=True)]


# Torch keeps the kernel of a layer as [out, in]. Where ours has heads in its input or output, they
# lie flat in torch's. Query, key and value are stacked in torch's first dimension.
SAME = Transform(lambda a, _: [a], lambda ours: ours[0])
LINEAR = Transform(
    lambda a, shapes: [a.T.reshape(shapes[0])],
    lambda ours: ours[0].reshape(-1, ours[0].shape[-1]).T,
)
CONVOLUTION = Transform(
    lambda a, _: [a.transpose(2, 3, 1, 0)], lambda ours: ours[0].transpose(3, 2, 0, 1)
)
QUERY_KEY_VALUE = Transform(
    _thirds, lambda ours: np.concatenate([a.reshape(a.shape[0], -1).T for a in ours])
)
QUERY_KEY_VALUE_BIAS = Transform(
    _thirds, lambda ours: np.concatenate([a.reshape(-1) for a in ours])
)

Row = tuple[str, tuple[str, ...], Transform]

# open_clip's name, our path or paths, how one becomes the other.
_TOWERS: tuple[Row, ...] = (
    ('logit_scale', ('logit_scale',), SAME),
    ('visual.conv1.weight', ('visual/conv1/kernel',), CONVOLUTION),
    ('visual.class_embedding', ('visual/class_embedding',), SAME),
    ('visual.positional_embedding', ('visual/positional_embedding',), SAME),
    ('visual.ln_pre.weight', ('visual/ln_pre/scale',), SAME),
    ('visual.ln_pre.bias', ('visual/ln_pre/bias',), SAME),
    ('visual.ln_post.weight', ('visual/ln_post/scale',), SAME),
    ('visual.ln_post.bias', ('visual/ln_post/bias',), SAME),
    ('visual.proj', ('visual/proj/kernel',), SAME),
    ('token_embedding.weight', ('text/token_embedding/embedding',), SAME),
    ('positional_embedding', ('text/positional_embedding',), SAME),
    ('ln_final.weight', ('text/ln_final/scale',), SAME),
    ('ln_final.bias', ('text/ln_final/bias',), SAME),
    ('text_projection', ('text/text_projection/kernel',), SAME),
)
_BLOCK: tuple[Row, ...] = (
    ('ln_1.weight', ('ln_1/scale',), SAME),
    ('ln_1.bias', ('ln_1/bias',), SAME),
    (
        'attn.in_proj_weight',
        ('attn/query/kernel', 'attn/key/kernel', 'attn/value/kernel'),
        QUERY_KEY_VALUE,
    ),
    (
        'attn.in_proj_bias',
        ('attn/query/bias', 'attn/key/bias', 'attn/value/bias'),
        QUERY_KEY_VALUE_BIAS,
    ),
    ('attn.out_proj.weight', ('attn/out/kernel',), LINEAR),
    ('attn.out_proj.bias', ('attn/out/bias',), SAME),
    ('ln_2.weight', ('ln_2/scale',), SAME),
    ('ln_2.bias', ('ln_2/bias',), SAME),
    ('mlp.c_fc.weight', ('mlp/c_fc/kernel',), LINEAR),
    ('mlp.c_fc.bias', ('mlp/c_fc/bias',), SAME),
    ('mlp.c_proj.weight', ('mlp/c_proj/kernel',), LINEAR),
    ('mlp.c_proj.bias', ('mlp/c_proj/bias',), SAME),
)


def _rows(config: CLIPConfig) -> Iterator[Row]:
    """The table for one configuration: the towers' own rows, and `_BLOCK` for each block."""
    yield from _TOWERS
    for theirs, ours, layers in (
        ('visual.transformer', 'visual/transformer', config.vision_layers),
        ('transformer', 'text/transformer', config.text_layers),
    ):
        for i in range(layers):
            block = f'resblocks.{i}'
            for name, paths, transform in _BLOCK:
                ours_here = tuple(f'{ours}/{block}/{path}' for path in paths)
                yield f'{theirs}.{block}.{name}', ours_here, transform


def to_open_clip(params: Mapping[str, Any], config: CLIPConfig) -> dict[str, np.ndarray]:
    """Our parameter tree as a state dictionary of open_clip's `CLIP`."""
    flat = {name: np.asarray(leaf) for name, leaf in weights.flatten(params).items()}
    return {
        name: np.asarray(transform.to_theirs([flat[path] for path in paths]), order='C')
        for name, paths, transform in _rows(config)
    }


def from_open_clip(
    state: Mapping[str, np.ndarray], config: CLIPConfig, source: str = 'the state dictionary'
) -> dict[str, Any]:
    """A state dictionary of open_clip's `CLIP` as our parameter tree.

    Args:
        state: Arrays by name; float32, float16 or bfloat16.
        config: Whose weights these are. Activation and preprocessing leave no trace in the weights
            and cannot be checked.
        source: Where the weights come from, for the message.

    Returns:
        The tree, with NumPy float32 leaves.

    Raises:
        UserError: A parameter is missing, unexpected or of another shape; all are named.
    """
    ours = weights.parameter_shapes(config)
    expected = {}
    for name, paths, transform in _rows(config):
        blanks = [np.broadcast_to(np.float32(0), ours[path]) for path in paths]
        expected[name] = transform.to_theirs(blanks).shape
    found = {name: np.shape(array) for name, array in state.items()}
    weights.check_shapes(found, expected, source, config.name)
    flat = {}
    for name, paths, transform in _rows(config):
        array = np.asarray(state[name]).astype(np.float32)
        arrays = transform.to_ours(array, [ours[path] for path in paths])
        for path, ours_array in zip(paths, arrays, strict=True):
            flat[path] = np.asarray(ours_array, order='C')
    return weights.unflatten(flat)
