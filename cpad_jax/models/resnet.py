"""CLIP's residual network: three convolutions as a stem, blurred strides, attention as pooling.

Radford et al. 2021, section 2.4. Names and shapes of the parameters are those of Scenic's CLIP;
the running statistics of the batch normalisations, which Scenic keeps apart, are parameters here,
as this tower is never trained: `mean` and `var` beside `scale` and `bias`.
"""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from cpad_jax.models.config import ResNetConfig
from cpad_jax.models.transformer import Array, Attention

_EPSILON = 1e-5


class Convolution(nn.Module):
    """A square convolution without bias, padded so that a stride of 1 keeps the size.

    Attributes:
        features: Channels of the result.
        size: Side of the kernel, odd.
        stride: Step.
        dtype: Compute dtype; sums are float32.
    """

    features: int
    size: int
    stride: int = 1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """[B, H, W, c] → float32 [B, H/stride, W/stride, features]."""
        shape = (self.size, self.size, x.shape[-1], self.features)
        normal = nn.initializers.normal(math.prod(shape[:3]) ** -0.5)
        kernel = self.param('kernel', normal, shape)
        return jax.lax.conv_general_dilated(
            x.astype(self.dtype),
            kernel.astype(self.dtype),
            (self.stride, self.stride),
            [(self.size // 2, self.size // 2)] * 2,
            dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
            precision='highest' if self.dtype == jnp.float32 else None,
            preferred_element_type=jnp.float32,
        )


class FrozenBatchNorm(nn.Module):
    """A batch normalisation by statistics that were collected long ago."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """[..., c] → [..., c]."""
        ones, zeros, shape = nn.initializers.ones, nn.initializers.zeros, x.shape[-1:]
        scale, bias = self.param('scale', ones, shape), self.param('bias', zeros, shape)
        mean, var = self.param('mean', zeros, shape), self.param('var', ones, shape)
        return (x - mean) * (scale * jax.lax.rsqrt(var + _EPSILON)) + bias


def _blur(x: Array, stride: int) -> Array:
    return nn.avg_pool(x, (stride, stride), (stride, stride)) if stride > 1 else x


class Shortcut(nn.Module):
    """What brings the input of a block to the size of its output.

    Attributes:
        features: Channels of the result.
        stride: Step.
        dtype: Compute dtype.
    """

    features: int
    stride: int
    dtype: Any

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """[B, H, W, c] → [B, H/stride, W/stride, features]."""
        x = Convolution(self.features, 1, dtype=self.dtype, name='0')(_blur(x, self.stride))
        return FrozenBatchNorm(name='1')(x)


class Bottleneck(nn.Module):
    """One residual block.

    Attributes:
        features: Channels inside; the result has four times as many.
        stride: Step, taken by an average.
        dtype: Compute dtype.
    """

    features: int
    stride: int
    dtype: Any

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """[B, H, W, c] → [B, H/stride, W/stride, 4 · features]."""
        wide = 4 * self.features
        y = Convolution(self.features, 1, dtype=self.dtype, name='conv1')(x)
        y = nn.relu(FrozenBatchNorm(name='bn1')(y))
        y = Convolution(self.features, 3, dtype=self.dtype, name='conv2')(y)
        y = nn.relu(FrozenBatchNorm(name='bn2')(y))
        y = Convolution(wide, 1, dtype=self.dtype, name='conv3')(_blur(y, self.stride))
        y = FrozenBatchNorm(name='bn3')(y)
        if self.stride > 1 or x.shape[-1] != wide:
            x = Shortcut(wide, self.stride, self.dtype, name='downsample')(x)
        return nn.relu(x + y)


class Stage(nn.Module):
    """Blocks of one width.

    Attributes:
        features: See `Bottleneck`.
        blocks: Their number.
        stride: Of the first one.
        dtype: Compute dtype.
    """

    features: int
    blocks: int
    stride: int
    dtype: Any

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """[B, H, W, c] → [B, H/stride, W/stride, 4 · features]."""
        for i in range(self.blocks):
            stride = self.stride if i == 0 else 1
            x = Bottleneck(self.features, stride, self.dtype, name=str(i))(x)
        return x


class AttentionPooling(nn.Module):
    """The mean of all places attends to them.

    Attributes:
        config: Of the tower.
        embed_dim: D.
        dtype: Compute dtype.
    """

    config: ResNetConfig
    embed_dim: int
    dtype: Any

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """[B, H, W, c] → [B, D]."""
        x = x.reshape(x.shape[0], -1, x.shape[-1])
        x = jnp.concatenate([x.mean(axis=1, keepdims=True), x], axis=1)
        normal = nn.initializers.normal(x.shape[-1] ** -0.5)
        x = x + self.param('positional_embedding', normal, x.shape[1:])
        attn = Attention(self.config.heads, 1, self.dtype, out_width=self.embed_dim, name='attn')
        return attn(x, x[:, :1])[:, 0]


class ResNetTower(nn.Module):
    """The whole network.

    Attributes:
        config: Sizes.
        embed_dim: D.
        dtype: Compute dtype.
    """

    config: ResNetConfig
    embed_dim: int
    dtype: Any

    @nn.compact
    def __call__(self, pixels: Array) -> Array:
        """Pixels [B, S, S, 3] → [B, D]."""
        width, x = self.config.width, pixels
        for i, (features, stride) in enumerate(((width // 2, 2), (width // 2, 1), (width, 1)), 1):
            x = Convolution(features, 3, stride, self.dtype, name=f'conv{i}')(x)
            x = nn.relu(FrozenBatchNorm(name=f'bn{i}')(x))
        x = _blur(x, 2)
        for i, blocks in enumerate(self.config.blocks):
            stage = Stage(
                width * 2**i, blocks, 1 if i == 0 else 2, self.dtype, name=f'layer{i + 1}'
            )
            x = stage(x)
        return AttentionPooling(self.config, self.embed_dim, self.dtype, name='attnpool')(x)
