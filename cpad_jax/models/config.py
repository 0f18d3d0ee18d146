"""What there is to know about a CLIP beside its weights: sizes, variants, and what it is fed.

A variant is a value here, not another module: the towers of OpenAI's CLIP, of open_clip's own
models, of CLIPA and of SigLIP differ in how they pool, mask, normalise and activate.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

ACTIVATIONS = ('gelu', 'quick_gelu', 'gelu_tanh')
IMAGE_POOLING = ('class', 'mean', 'map')
TEXT_POOLING = ('end', 'last', 'first')
PROJECTIONS = ('linear', 'affine', 'none')
RESIZE = ('shortest', 'squash')
INTERPOLATION = ('bicubic', 'bilinear')
DTYPES = ('float32', 'bfloat16')  # Of the factors in matrix products.


def _choose(where: str, **chosen: tuple[str, tuple[str, ...]]) -> None:
    """Refuses a value that is none of the options, given as name=(value, options)."""
    for name, (value, options) in chosen.items():
        if value not in options:
            raise ValueError(
                f'{where}{name} must be one of {", ".join(options)}, not {value!r:.60}'
            )


def _positive(where: str, **numbers: float) -> None:
    for name, number in numbers.items():
        if number <= 0:
            raise ValueError(f'{where}{name} must be above 0')


def _divide(where: str, whole: int, whole_name: str, part: int, part_name: str) -> None:
    if whole % part:
        raise ValueError(f'{where}{part_name} must divide {whole_name}')


@dataclasses.dataclass(frozen=True)
class ViTConfig:
    """Sizes and variant of a vision transformer.

    Attributes:
        image_size: S, side of the square image in pixels.
        patch_size: Side of a patch in pixels; what is left over at the right and below is not
            looked at, as in a convolution.
        width: w.
        layers: Number of blocks.
        heads: Number of attention heads; divides `width`.
        mlp_width: Width of the hidden layer of each block; 0 for 4 · `width`.
        activation: In the blocks: 'gelu' (exact), 'quick_gelu' (x·σ(1.702x), what OpenAI's weights
            were trained with) or 'gelu_tanh' (the approximation with tanh).
        epsilon: Of the layer normalisations.
        class_token: Whether a learned token stands before the patches.
        patch_bias: Whether the patch embedding has a bias.
        normed_input: Whether a layer normalisation stands before the blocks.
        layer_scale: Whether each branch of a block is multiplied by a learned gain per channel.
        pooling: 'class' takes the class token, 'mean' the mean of the patches, 'map' attends to
            the patches from a learned query and adds an MLP (SigLIP).
        projection: 'linear' to the joint space, or 'none' where the width already is the joint's.
    """

    image_size: int
    patch_size: int
    width: int
    layers: int
    heads: int
    mlp_width: int = 0
    activation: str = 'gelu'
    epsilon: float = 1e-5
    class_token: bool = True
    patch_bias: bool = False
    normed_input: bool = True
    layer_scale: bool = False
    pooling: str = 'class'
    projection: str = 'linear'

    def __post_init__(self) -> None:
        _positive(
            'vision.',
            image_size=self.image_size,
            patch_size=self.patch_size,
            width=self.width,
            layers=self.layers,
            heads=self.heads,
        )
        _divide('vision.', self.width, 'width', self.heads, 'heads')
        _choose(
            'vision.',
            activation=(self.activation, ACTIVATIONS),
            pooling=(self.pooling, IMAGE_POOLING),
            projection=(self.projection, ('linear', 'none')),
        )
        if self.patch_size > self.image_size:
            raise ValueError('vision.patch_size must not be larger than image_size')
        if self.pooling == 'class' and not self.class_token:
            raise ValueError("vision.pooling 'class' needs class_token")

    @property
    def grid(self) -> int:
        """Patches along a side."""
        return self.image_size // self.patch_size

    @property
    def positions(self) -> int:
        """Length of the sequence: patches, and the class token where there is one."""
        return self.grid**2 + self.class_token


@dataclasses.dataclass(frozen=True)
class ResNetConfig:
    """Sizes of CLIP's residual network.

    Attributes:
        image_size: S, side of the square image in pixels; a multiple of 32.
        width: Channels after the stem; the last stage has 32 times as many.
        blocks: Bottleneck blocks of the four stages.
        heads: Attention heads of the pooling; divides 32 · `width`.
    """

    image_size: int
    width: int
    blocks: tuple[int, int, int, int]
    heads: int

    def __post_init__(self) -> None:
        _positive('vision.', image_size=self.image_size, width=self.width, heads=self.heads)
        _divide('vision.', self.image_size, 'image_size', 32, '32')
        _divide('vision.', 32 * self.width, '32 · width', self.heads, 'heads')
        _positive('vision.', **{f'blocks[{i}]': count for i, count in enumerate(self.blocks)})
        if len(self.blocks) != 4:
            raise ValueError(f'vision.blocks must be four numbers, not {list(self.blocks)}')


@dataclasses.dataclass(frozen=True)
class TextConfig:
    """Sizes and variant of a text transformer.

    Attributes:
        context_length: Largest number of tokens, end tokens included.
        width: W.
        layers: Number of blocks.
        heads: Number of attention heads; divides `width`.
        vocab_size: Rows of the token embedding. [TOK]'s id is this number, above every word's.
        mlp_width: As in `ViTConfig`.
        activation: As in `ViTConfig`.
        epsilon: Of the layer normalisations.
        causal: Whether a position sees only those before it. Where it sees all, a text must be
            padded to the full length.
        pooling: 'end' takes the first end token, 'last' the last position, 'first' the first.
        end_token: Id of the end of text.
        pad_token: Id that fills up the rest.
        projection: To the joint space: 'linear', 'affine' (with a bias) or 'none'.
        tokenizer: 'clip' for CLIP's own, built in; 'file' for a `tokenizer.json` that comes with
            the weights.
        clean: What a tokenizer from a file does to a text first, as open_clip calls it:
            'whitespace', 'canonicalize' or 'lower'.
        strip_separator: Whether a tokenizer from a file turns its separators into padding.
    """

    context_length: int
    width: int
    layers: int
    heads: int
    vocab_size: int = 49408
    mlp_width: int = 0
    activation: str = 'gelu'
    epsilon: float = 1e-5
    causal: bool = True
    pooling: str = 'end'
    end_token: int = 49407
    pad_token: int = 0
    projection: str = 'linear'
    tokenizer: str = 'clip'
    clean: str = 'whitespace'
    strip_separator: bool = False

    def __post_init__(self) -> None:
        _positive(
            'text.',
            context_length=self.context_length,
            width=self.width,
            layers=self.layers,
            heads=self.heads,
        )
        _divide('text.', self.width, 'width', self.heads, 'heads')
        _choose(
            'text.',
            activation=(self.activation, ACTIVATIONS),
            pooling=(self.pooling, TEXT_POOLING),
            projection=(self.projection, PROJECTIONS),
            tokenizer=(self.tokenizer, ('clip', 'file')),
            clean=(self.clean, ('whitespace', 'canonicalize', 'lower')),
        )
        for name in ('end_token', 'pad_token'):
            if not 0 <= getattr(self, name) < self.vocab_size:
                raise ValueError(f'text.{name} must be 0 … vocab_size - 1')

    @property
    def person_token(self) -> int:
        """Id of [TOK]: above every word's."""
        return self.vocab_size


@dataclasses.dataclass(frozen=True)
class CLIPConfig:
    """One CLIP: its towers, and what its image tower expects to be fed.

    Attributes:
        name: Name in the zoo.
        embed_dim: D, width of the joint space.
        vision: The image tower.
        text: The text tower.
        logit_bias: Whether the model has one, as those trained with SigLIP's loss do.
        resize: How an image becomes square: 'shortest' brings the shorter side to S and cuts the
            centre out, 'squash' changes the aspect ratio.
        interpolation: 'bicubic' or 'bilinear'.
        mean: Of red, green and blue in 0 … 1; subtracted from the pixels.
        std: Of red, green and blue in 0 … 1; divides the pixels.
    """

    name: str
    embed_dim: int
    vision: ViTConfig | ResNetConfig
    text: TextConfig
    logit_bias: bool = False
    resize: str = 'shortest'
    interpolation: str = 'bicubic'
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)

    def __post_init__(self) -> None:
        try:
            _positive('', embed_dim=self.embed_dim)
            _choose(
                '',
                resize=(self.resize, RESIZE),
                interpolation=(self.interpolation, INTERPOLATION),
            )
            _positive('', **{f'std[{i}]': std for i, std in enumerate(self.std)})
            for name, tower in (('vision', self.vision), ('text', self.text)):
                projection = getattr(tower, 'projection', 'linear')
                if projection == 'none' and tower.width != self.embed_dim:
                    raise ValueError(f"{name}.projection 'none' needs a width of {self.embed_dim}")
        except ValueError as error:
            raise ValueError(f'{self.name}: {error}') from None

    @property
    def image_size(self) -> int:
        """S, side of the square image in pixels."""
        return self.vision.image_size


_LONGEST = 200
_IN_WORDS = {
    str: f'up to {_LONGEST} printable characters',
    int: 'a whole number, 0 or more',
    float: 'a number above 0',
    bool: 'true or false',
    tuple[float, float, float]: 'three numbers',
    tuple[int, int, int, int]: 'four whole numbers above 0',
}


def from_values(values: Mapping[str, Any]) -> CLIPConfig:
    """The inverse of `dataclasses.asdict`, for values that somebody else wrote.

    Args:
        values: As JSON holds them: lists instead of tuples.

    Returns:
        The configuration.

    Raises:
        ValueError: A key is missing, unknown, or of the wrong type or range.
    """
    return _build(CLIPConfig, values, '')


def _build(kind: type, values: Any, where: str) -> Any:
    if not isinstance(values, Mapping):
        raise ValueError(f'{where.rstrip(".") or "the whole"} must be an object')
    types_of = typing.get_type_hints(kind)
    fields = dataclasses.fields(kind)
    required = {field.name for field in fields if field.default is dataclasses.MISSING}
    for words, names in (
        ('misses', required - values.keys()),
        ('has unknown', values.keys() - types_of.keys()),
    ):
        if names:
            listed = ', '.join(ascii(where + name)[1:-1][:60] for name in sorted(names)[:5])
            raise ValueError(f'{words} {listed}' + (', …' if len(names) > 5 else ''))
    built = {}
    for name, value in values.items():
        expected = types_of[name]
        if isinstance(expected, types.UnionType):
            has_blocks = isinstance(value, Mapping) and 'blocks' in value
            expected = ResNetConfig if has_blocks else ViTConfig
        if dataclasses.is_dataclass(expected):
            built[name] = _build(expected, value, f'{where}{name}.')
        else:
            built[name] = _checked(expected, value, where + name)
    return kind(**built)


def _checked(expected: Any, value: Any, name: str) -> Any:
    if typing.get_origin(expected) is tuple:
        each = typing.get_args(expected)
        good = isinstance(value, list | tuple) and len(value) == len(each)
        kinds = (int,) if each[0] is int else (int, float)
        good = good and all(type(v) in kinds and 0 <= v < 2**31 for v in value)
        value = tuple(value) if good else value
    elif expected is float:
        good = type(value) in (int, float) and 0 < value < 1
    elif expected is str:
        good = type(value) is str and len(value) <= _LONGEST and value.isprintable()
    else:
        good = type(value) is expected and (expected is not int or 0 <= value < 2**31)
    if not good:
        raise ValueError(f'{name} is {value!r:.60}, expected {_IN_WORDS[expected]}')
    return value
