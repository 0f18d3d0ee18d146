"""The vision transformer: from pixels to the joint space."""

from __future__ import annotations

import functools
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from cpad_jax.models.config import ViTConfig
from cpad_jax.models.transformer import MLP, Array, Attention, Linear, Transformer, layer_norm
from cpad_jax.models.visual_prompts import NAME as VISUAL_PROMPTS


class MapPooling(nn.Module):
    """A learned query attends to all patches, and an MLP follows (Zhai et al. 2022, "MAP head").

    Attributes:
        config: Of the tower.
        dtype: Compute dtype.
    """

    config: ViTConfig
    dtype: Any

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """[B, L, w] → [B, w]."""
        c = self.config
        latent = self.param('latent', nn.initializers.normal(c.width**-0.5), (1, 1, c.width))
        queries = jnp.broadcast_to(latent, (x.shape[0], 1, c.width))
        x = Attention(c.heads, c.layers, self.dtype, name='attn')(x, queries)
        mlp = MLP(c.layers, c.mlp_width or 4 * c.width, c.activation, self.dtype, name='mlp')
        return (x + mlp(layer_norm(c.epsilon, 'ln')(x)))[:, 0]


class VisionTower(nn.Module):
    """A vision transformer over patches.

    Where its parameters have visual prompts (`visual_prompts.into`), all positions see them; the
    result is read off the others.

    Attributes:
        config: Sizes and variant.
        embed_dim: D.
        dtype: Compute dtype.
        remat: See `Transformer`.
    """

    config: ViTConfig
    embed_dim: int
    dtype: Any
    remat: bool = False

    @nn.compact
    def __call__(self, pixels: Array) -> Array:
        """Pixels [B, S, S, 3] → [B, D]."""
        c, batch = self.config, pixels.shape[0]
        width, p, grid = c.width, c.patch_size, c.grid
        x = pixels[:, : grid * p, : grid * p]
        x = x.reshape(batch, grid, p, grid, p, 3).swapaxes(2, 3)  # [B, rows, columns, p, p, 3]
        linear = functools.partial(Linear, dtype=self.dtype)
        # A convolution whose stride is its size is a matrix product over patches.
        std = (3 * p * p) ** -0.5
        conv1 = linear(
            inputs=(p, p, 3), outputs=(width,), std=std, use_bias=c.patch_bias, name='conv1'
        )
        x = conv1(x).reshape(batch, grid * grid, width)
        normal = nn.initializers.normal(width**-0.5)
        if c.class_token:
            first = self.param('class_embedding', normal, (width,))
            x = jnp.concatenate([jnp.broadcast_to(first, (batch, 1, width)), x], axis=1)
        x = x + self.param('positional_embedding', normal, (c.positions, width))  # [B, L, w]
        prompts = self.get_variable('params', VISUAL_PROMPTS)
        if prompts is not None:  # Attention has no order, so they may stand last.
            prompts = jnp.broadcast_to(prompts, (batch, *prompts.shape))
            x = jnp.concatenate([x, prompts], axis=1)
        if c.normed_input:
            x = layer_norm(c.epsilon, 'ln_pre')(x)
        at = jnp.zeros((batch,), jnp.int32) if c.pooling == 'class' else None
        x = Transformer(c, self.dtype, self.remat, name='transformer')(x, at)
        ln_post = layer_norm(c.epsilon, 'ln_post')
        if c.pooling == 'class':
            x = ln_post(x[:, 0])
        elif c.pooling == 'mean':
            x = ln_post(x[:, c.class_token : c.positions].mean(axis=1))
        else:
            x = MapPooling(c, self.dtype, name='attn_pool')(ln_post(x[:, : c.positions]))
        if c.projection == 'none':
            return x
        proj = linear(
            inputs=(width,), outputs=(self.embed_dim,), std=width**-0.5, use_bias=False, name='proj'
        )
        return proj(x)
