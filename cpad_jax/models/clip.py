"""CLIP: an image tower and a text tower whose embeddings can be compared.

Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision". The
parameter tree has the names and shapes of Scenic's CLIP (`scenic/projects/baselines/clip`), so that
variables can be passed from one to the other as they are.

The text tower takes embeddings, not ids: who stands behind a [TOK] is decided outside of it.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from cpad_jax.models.transformer import Array, Linear, LowRank, Transformer, layer_norm


@dataclasses.dataclass(frozen=True)
class CLIPConfig:
    """Sizes of one CLIP and what its image tower expects to be fed.

    Attributes:
        name: Name in the zoo.
        embed_dim: D, width of the joint space.
        image_size: S, side of the square image in pixels.
        patch_size: Side of a patch in pixels; divides `image_size`.
        vision_width: Width of the image tower.
        vision_layers: Its number of blocks.
        vision_heads: Its number of attention heads; divides `vision_width`.
        text_width: W, width of the text tower.
        text_layers: Its number of blocks.
        text_heads: Its number of attention heads; divides `text_width`.
        context_length: Largest number of tokens, end tokens included.
        vocab_size: Rows of the token embedding; the last one is the end of text.
        quick_gelu: x·σ(1.702x), as OpenAI's weights were trained with, instead of the exact GELU.
        resize: How an image becomes square: 'shortest' brings the shorter side to S and cuts the
            centre out, 'squash' changes the aspect ratio.
        mean: Of red, green and blue in 0 … 1; subtracted from the pixels.
        std: Of red, green and blue in 0 … 1; divides the pixels.
    """

    name: str
    embed_dim: int
    image_size: int
    patch_size: int
    vision_width: int
    vision_layers: int
    vision_heads: int
    text_width: int
    text_layers: int
    text_heads: int
    context_length: int = 77
    vocab_size: int = 49408
    quick_gelu: bool = False
    resize: str = 'shortest'
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)

    def __post_init__(self) -> None:
        for whole, part in (
            ('image_size', 'patch_size'),
            ('vision_width', 'vision_heads'),
            ('text_width', 'text_heads'),
        ):
            if getattr(self, whole) % getattr(self, part):
                raise ValueError(f'{self.name}: {part} must divide {whole}')
        if self.resize not in ('shortest', 'squash'):
            raise ValueError(
                f"{self.name}: resize must be 'shortest' or 'squash', not {self.resize!r}"
            )

    @property
    def end_token(self) -> int:
        """Id of the end of text: the last of the vocabulary."""
        return self.vocab_size - 1


def initial_token_embedding(vocab_size: int, width: int) -> np.ndarray:
    """The token embedding before training: the same draw always, everywhere.

    NumPy keeps the stream of `RandomState` for ever, so a file of weights can leave out the rows
    that training never touched (see `weights.save_clip`).

    Args:
        vocab_size: Number of rows.
        width: W.

    Returns:
        float32 [vocab_size, W], normal with standard deviation 0.02.
    """
    draw = np.random.RandomState(0).standard_normal((vocab_size, width))
    return (draw * 0.02).astype(np.float32)


class VisionTower(nn.Module):
    """A vision transformer over patches, pooled at its class token.

    Attributes:
        config: Sizes.
        dtype: Type of the factors.
    """

    config: CLIPConfig
    dtype: Any

    @nn.compact
    def __call__(self, pixels: Array) -> Array:
        """Pixels [B, S, S, 3] → [B, D]."""
        c = self.config
        width, p, grid = c.vision_width, c.patch_size, c.image_size // c.patch_size
        if pixels.shape[1:] != (c.image_size, c.image_size, 3):
            raise ValueError(
                f'{c.name} takes pixels [B, {c.image_size}, {c.image_size}, 3], '
                f'not {list(pixels.shape)}'
            )
        x = pixels.reshape(-1, grid, p, grid, p, 3).swapaxes(2, 3)  # [B, rows, columns, p, p, 3]
        linear = functools.partial(Linear, use_bias=False, dtype=self.dtype)
        # A convolution whose stride is its size is a matrix product over patches.
        x = linear(inputs=(p, p, 3), outputs=(width,), std=(3 * p * p) ** -0.5, name='conv1')(x)
        x = x.reshape(-1, grid * grid, width)  # [B, L − 1, w]
        normal = nn.initializers.normal(width**-0.5)
        first = self.param('class_embedding', normal, (width,))
        positions = self.param('positional_embedding', normal, (grid * grid + 1, width))
        first = jnp.broadcast_to(first, (x.shape[0], 1, width))
        x = jnp.concatenate([first, x], axis=1) + positions  # [B, L, w]
        x = layer_norm('ln_pre')(x)
        x = Transformer(
            c.vision_heads, c.vision_layers, c.quick_gelu, self.dtype, name='transformer'
        )(x, at=0)
        x = layer_norm('ln_post')(x)
        return linear(inputs=(width,), outputs=(c.embed_dim,), std=width**-0.5, name='proj')(x)


class TextTower(nn.Module):
    """A causal transformer over token embeddings, pooled at the end token.

    Attributes:
        config: Sizes.
        dtype: Type of the factors.
    """

    config: CLIPConfig
    dtype: Any

    def setup(self) -> None:
        """Makes the parts, which `embed` and `__call__` share."""
        c = self.config
        self.token_embedding = nn.Embed(
            c.vocab_size, c.text_width, embedding_init=_draw_token_embedding
        )
        self.positional_embedding = self.param(
            'positional_embedding',
            nn.initializers.normal(0.01),
            (c.context_length, c.text_width),
        )
        self.transformer = Transformer(c.text_heads, c.text_layers, c.quick_gelu, self.dtype)
        self.ln_final = layer_norm(None)
        self.text_projection = Linear(
            inputs=(c.text_width,),
            outputs=(c.embed_dim,),
            std=c.text_width**-0.5,
            use_bias=False,
            dtype=self.dtype,
        )

    def embed(self, ids: Array) -> Array:
        """Token ids [B, L] → [B, L, W]; ids beyond the vocabulary stand for something else."""
        return self.token_embedding(jnp.where(ids < self.config.vocab_size, ids, 0))

    def __call__(
        self, embeddings: Array, end: Array, low_rank: LowRank | None, gate: Array | None
    ) -> Array:
        """[B, L, W], pooled at `end` [B] → [B, D]."""
        length = embeddings.shape[1]
        if length > self.config.context_length:
            raise ValueError(
                f'{self.config.name} takes at most {self.config.context_length} tokens, '
                f'not {length}'
            )
        x = embeddings + self.positional_embedding[:length]
        causal = jnp.tril(jnp.ones((length, length), bool))
        x = self.transformer(x, at=end, mask=causal, low_rank=low_rank, gate=gate)
        return self.text_projection(self.ln_final(x))


def _draw_token_embedding(key: Array, shape: tuple[int, int], dtype: Any) -> Array:
    # A callback, so that tracing alone (`jax.eval_shape`) draws nothing.
    result = jax.ShapeDtypeStruct(shape, jnp.float32)
    return jax.pure_callback(lambda: initial_token_embedding(*shape), result).astype(dtype)


class CLIP(nn.Module):
    """Both towers.

    Attributes:
        config: Sizes.
        dtype: Type of the factors in matrix products: `jnp.float32` or `jnp.bfloat16`. Parameters,
            sums, normalisations and results are float32 in either case.
    """

    config: CLIPConfig
    dtype: Any = jnp.float32

    def setup(self) -> None:
        """Makes the towers."""
        self.visual = VisionTower(self.config, self.dtype)
        self.text = TextTower(self.config, self.dtype)
        self.logit_scale = self.param(
            'logit_scale', nn.initializers.constant(math.log(1 / 0.07)), ()
        )

    def encode_image(self, pixels: Array, normalize: bool = False) -> Array:
        """Embeds images.

        Args:
            pixels: float [B, S, S, 3], as `preprocess` makes them.
            normalize: Whether to scale to length 1.

        Returns:
            float32 [B, D].
        """
        return _normalized(self.visual(pixels), normalize)

    def encode_text(self, ids: Array, normalize: bool = False) -> Array:
        """Embeds texts; a [TOK] has no meaning here, see `encode_embeddings`.

        Args:
            ids: int [B, L], L at most `context_length`; each row holds the end token.
            normalize: Whether to scale to length 1.

        Returns:
            float32 [B, D].
        """
        # The first end token, found by its id: ids above it exist, so that argmax would not do.
        end = jnp.argmax(ids == self.config.end_token, axis=-1)
        return self.encode_embeddings(self.embed_tokens(ids), end, normalize=normalize)

    def embed_tokens(self, ids: Array) -> Array:
        """Looks tokens up.

        Args:
            ids: int [B, L]. Where an id lies beyond the vocabulary, as [TOK] does, the result is
                to be replaced by the caller.

        Returns:
            float32 [B, L, W], without positions.
        """
        return self.text.embed(ids)

    def encode_embeddings(
        self,
        embeddings: Array,
        end: Array,
        low_rank: LowRank | None = None,
        gate: Array | None = None,
        normalize: bool = False,
    ) -> Array:
        """Embeds texts given as token embeddings.

        Args:
            embeddings: float [B, L, W], without positions.
            end: int [B], the position of the end token in each row.
            low_rank: `{'resblocks.0': {'query': {'a': [in, r], 'b': [r, out]}, …}, …}` for any of
                the layers query, key, value, out, c_fc and c_proj: gate · x·a·b is added to the
                layer's output.
            gate: float [B], 1 for rows to which `low_rank` applies and 0 for the others.
            normalize: Whether to scale to length 1.

        Returns:
            float32 [B, D].
        """
        if (low_rank is None) != (gate is None):
            raise ValueError('low_rank and gate go together: give both or neither')
        return _normalized(self.text(embeddings, end, low_rank, gate), normalize)

    def __call__(self, pixels: Array, ids: Array) -> dict[str, Array]:
        """Unit embeddings `image` and `text`, each [B, D], and `logit_scale` (its logarithm)."""
        return {
            'image': self.encode_image(pixels, normalize=True),
            'text': self.encode_text(ids, normalize=True),
            'logit_scale': self.logit_scale,
        }


def _normalized(x: Array, normalize: bool) -> Array:
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True) if normalize else x
