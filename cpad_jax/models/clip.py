"""CLIP: an image tower and a text tower whose embeddings can be compared.

Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision". The
parameter tree has the names and shapes of Scenic's CLIP (`scenic/projects/baselines/clip`), so that
variables can be passed from one to the other as they are.

The text tower takes embeddings, not ids: who stands behind a [TOK] is decided outside of it.
"""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from cpad_jax.models.config import CLIPConfig, ResNetConfig, TextConfig
from cpad_jax.models.resnet import ResNetTower
from cpad_jax.models.transformer import Array, Linear, LowRank, Transformer, layer_norm
from cpad_jax.models.vision import VisionTower


def initial_token_embedding(vocab_size: int, width: int) -> np.ndarray:
    """The token embedding before training: the same draw always, everywhere.

    NumPy keeps the stream of `RandomState` for ever, so a file of weights can leave out the rows
    that training never touched (see `folder.save_clip`).

    Args:
        vocab_size: Number of rows.
        width: W.

    Returns:
        float32 [vocab_size, W], normal with standard deviation 0.02.
    """
    draw = np.random.RandomState(0).standard_normal((vocab_size, width))
    return (draw * 0.02).astype(np.float32)


class TextTower(nn.Module):
    """A transformer over token embeddings, pooled at one position.

    Attributes:
        config: Sizes and variant.
        embed_dim: D.
        dtype: Compute dtype.
        remat: See `Transformer`.
    """

    config: TextConfig
    embed_dim: int
    dtype: Any
    remat: bool = False

    def setup(self) -> None:
        """Makes the parts, which `embed` and `__call__` share."""
        c = self.config
        self.token_embedding = nn.Embed(c.vocab_size, c.width, embedding_init=_draw_token_embedding)
        self.positional_embedding = self.param(
            'positional_embedding', nn.initializers.normal(0.01), (c.context_length, c.width)
        )
        self.transformer = Transformer(c, self.dtype, self.remat)
        self.ln_final = layer_norm(c.epsilon)
        if c.projection != 'none':
            self.text_projection = Linear(
                inputs=(c.width,),
                outputs=(self.embed_dim,),
                std=c.width**-0.5,
                use_bias=c.projection == 'affine',
                dtype=self.dtype,
            )

    def embed(self, ids: Array) -> Array:
        """Token ids [B, L] → [B, L, W]; ids beyond the vocabulary stand for something else."""
        return self.token_embedding(jnp.where(ids < self.config.vocab_size, ids, 0))

    def __call__(
        self, embeddings: Array, at: Array, low_rank: LowRank | None, gate: Array | None
    ) -> Array:
        """[B, L, W], pooled at `at` [B] → [B, D]."""
        c, length = self.config, embeddings.shape[1]
        if length > c.context_length or not (c.causal or length == c.context_length):
            most = 'at most' if c.causal else 'exactly'
            raise ValueError(
                f'this text tower takes {most} {c.context_length} tokens, not {length}'
            )
        x = embeddings + self.positional_embedding[:length]
        mask = jnp.tril(jnp.ones((length, length), bool)) if c.causal else None
        x = self.transformer(x, at, mask, low_rank, gate)
        x = self.ln_final(x[:, 0])
        return x if c.projection == 'none' else self.text_projection(x)


def _draw_token_embedding(key: Array, shape: tuple[int, int], dtype: Any) -> Array:
    # A callback, so that tracing alone (`jax.eval_shape`) draws nothing.
    result = jax.ShapeDtypeStruct(shape, jnp.float32)
    return jax.pure_callback(lambda: initial_token_embedding(*shape), result).astype(dtype)


class CLIP(nn.Module):
    """Both towers.

    Attributes:
        config: Sizes and variant.
        dtype: Compute dtype of matrix products: `jnp.float32` or `jnp.bfloat16`. Parameters,
            sums, normalisations and results are float32 in either case.
        remat: Whether a backward pass computes the inside of each block anew: slower, and in
            memory that no longer grows with what a block holds.
    """

    config: CLIPConfig
    dtype: Any = jnp.float32
    remat: bool = False

    def setup(self) -> None:
        """Makes the towers."""
        c = self.config
        if isinstance(c.vision, ResNetConfig):
            self.visual = ResNetTower(c.vision, c.embed_dim, self.dtype)
        else:
            self.visual = VisionTower(c.vision, c.embed_dim, self.dtype, self.remat)
        self.text = TextTower(c.text, c.embed_dim, self.dtype, self.remat)
        scale, bias = (10.0, -10.0) if c.logit_bias else (1 / 0.07, 0.0)
        self.logit_scale = self.param('logit_scale', nn.initializers.constant(math.log(scale)), ())
        if c.logit_bias:
            self.logit_bias = self.param('logit_bias', nn.initializers.constant(bias), ())

    def encode_image(self, pixels: Array, normalize: bool = False) -> Array:
        """Embeds images.

        Args:
            pixels: float [B, S, S, 3], as `preprocess` makes them.
            normalize: Whether to scale to length 1.

        Returns:
            float32 [B, D].
        """
        size = self.config.image_size
        if pixels.shape[1:] != (size, size, 3):
            raise ValueError(
                f'{self.config.name} takes pixels [B, {size}, {size}, 3], not {list(pixels.shape)}'
            )
        return _normalized(self.visual(pixels), normalize)

    def encode_text(self, ids: Array, normalize: bool = False) -> Array:
        """Embeds texts; a [TOK] has no meaning here, see `encode_embeddings`.

        Args:
            ids: int [B, L], L at most `context_length`; as `pooled_position` wants them.
            normalize: Whether to scale to length 1.

        Returns:
            float32 [B, D].
        """
        at = self.pooled_position(ids)
        return self.encode_embeddings(self.embed_tokens(ids), at, normalize=normalize)

    def pooled_position(self, ids: Array) -> Array:
        """Where a text's meaning is read off: int32 [B] from ids int [B, L].

        Where texts are pooled at their end, each row holds the end token. The first one is found by
        its id: ids above it exist, so that the largest would not do.
        """
        c = self.config.text
        if c.pooling == 'end':
            return jnp.argmax(ids == c.end_token, axis=-1)
        return jnp.full(ids.shape[:1], ids.shape[1] - 1 if c.pooling == 'last' else 0)

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
        at: Array,
        low_rank: LowRank | None = None,
        gate: Array | None = None,
        normalize: bool = False,
    ) -> Array:
        """Embeds texts given as token embeddings.

        Args:
            embeddings: float [B, L, W], without positions.
            at: int [B], the position that is read off, see `pooled_position`.
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
        return _normalized(self.text(embeddings, at, low_rank, gate), normalize)

    def __call__(self, pixels: Array, ids: Array) -> dict[str, Array]:
        """Unit embeddings `image` and `text`, each [B, D], and `logit_scale` (its logarithm)."""
        return {
            'image': self.encode_image(pixels, normalize=True),
            'text': self.encode_text(ids, normalize=True),
            'logit_scale': self.logit_scale,
        }


def _normalized(x: Array, normalize: bool) -> Array:
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True) if normalize else x
