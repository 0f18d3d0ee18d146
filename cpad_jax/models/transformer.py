"""The transformer blocks of CLIP's towers, and the one door for their matrix products."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.experimental.layout import Layout, with_layout_constraint

Array = jax.Array
LowRank = Mapping[str, Mapping[str, Mapping[str, Array]]]

LAYER_NORM_EPSILON = 1e-5


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 3))
def product(spec: str, x: Array, y: Array, dtype: Any) -> Array:
    """The one door for matrix products: an einsum of `dtype` factors, summed in float32.

    The backward pass goes through it too: a cotangent is rounded to `dtype` before it is
    multiplied. Left to itself, JAX multiplies float32 cotangents, which on CPUs with matrix units
    is several times slower.

    Args:
        spec: An einsum of two factors; every letter of a factor occurs in the other or the result.
        x: Left factor.
        y: Right factor.
        dtype: `jnp.bfloat16`, or `jnp.float32` for full precision on every machine.

    Returns:
        float32.
    """
    return _product(spec, x, y, dtype)


def _product(spec: str, x: Array, y: Array, dtype: Any) -> Array:
    return jnp.einsum(
        spec,
        x.astype(dtype),
        y.astype(dtype),
        precision='highest' if dtype == jnp.float32 else None,
        preferred_element_type=jnp.float32,
    )


def _product_forward(spec: str, x: Array, y: Array, dtype: Any) -> tuple[Array, Any]:
    # Kept for the backward pass as rounded: half the memory, and nothing to round again. The empty
    # arrays remember the types that the cotangents must have.
    kept = (x.astype(dtype), y.astype(dtype), jnp.zeros((), x.dtype), jnp.zeros((), y.dtype))
    return _product(spec, x, y, dtype), kept


def _product_backward(spec: str, dtype: Any, kept: Any, cotangent: Array) -> tuple[Array, Array]:
    x, y, x_like, y_like = kept
    factors, out = spec.split('->')
    left, right = factors.split(',')
    dx = _product(f'{out},{right}->{left}', cotangent, y, dtype)
    dy = _product(f'{left},{out}->{right}', x, cotangent, dtype)
    return dx.astype(x_like.dtype), dy.astype(y_like.dtype)


product.defvjp(_product_forward, _product_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def affine(x: Array, kernel: Array, bias: Array, dtype: Any) -> Array:
    """x·kernel + bias through `product`, with a backward pass that CPUs do well.

    Args:
        x: [n, i].
        kernel: [i, o].
        bias: [o].
        dtype: See `product`.

    Returns:
        float32 [n, o].
    """
    return product('ab,bc->ac', x, kernel, dtype) + bias


def _affine_forward(x: Array, kernel: Array, bias: Array, dtype: Any) -> tuple[Array, Any]:
    y, kept = _product_forward('ab,bc->ac', x, kernel, dtype)
    return y + bias, kept


def _affine_backward(dtype: Any, kept: Any, cotangent: Array) -> tuple[Array, Array, Array]:
    x, kernel, x_like, kernel_like = kept
    cotangent = _computed_once(cotangent)
    rounded = _computed_once(cotangent.astype(dtype))
    # What is summed over stands last in the left factor: several times faster on a CPU.
    dkernel = _product('ba,ac->bc', _computed_once(_computed_once(x).T), rounded, dtype)
    dx = _product('ac,bc->ab', rounded, kernel, dtype)
    return dx.astype(x_like.dtype), dkernel.astype(kernel_like.dtype), cotangent.sum(axis=0)


def _computed_once(x: Array) -> Array:
    """Keeps a CPU from computing x anew, in the middle of each sum that reads it.

    XLA for CPUs otherwise draws cheap elementwise steps into slow loops of sums, and renames axes
    where moving the numbers pays.
    """
    row_major = Layout(tuple(range(x.ndim)))

    def write(x: Array) -> Array:
        return jax.lax.optimization_barrier(with_layout_constraint(x, row_major))

    return jax.lax.platform_dependent(x, cpu=write, default=lambda x: x)


affine.defvjp(_affine_forward, _affine_backward)


class Linear(nn.Module):
    """A matrix product over the last dimensions, and a bias.

    Attributes:
        inputs: The dimensions multiplied away.
        outputs: The dimensions that take their place; kernel [*inputs, *outputs].
        std: Standard deviation of the initial kernel.
        use_bias: Whether to add a bias [*outputs].
        dtype: Type of the factors.
    """

    inputs: Sequence[int]
    outputs: Sequence[int]
    std: float
    use_bias: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """[..., *inputs] → [..., prod(outputs)] float32, with the outputs laid flat."""
        kernel = self.param(
            'kernel', nn.initializers.normal(self.std), (*self.inputs, *self.outputs)
        )
        rows, columns = math.prod(self.inputs), math.prod(self.outputs)
        lead = x.shape[: x.ndim - len(self.inputs)]
        x, kernel = x.reshape(-1, rows), kernel.reshape(rows, columns)
        if self.use_bias:
            bias = self.param('bias', nn.initializers.zeros, tuple(self.outputs))
            x = affine(x, kernel, bias.reshape(columns), self.dtype)
        else:
            x = product('ab,bc->ac', x, kernel, self.dtype)
        return x.reshape(*lead, columns)


class LowRankUpdate:
    """What the low-rank update of one block adds to the outputs of its layers."""

    def __init__(self, factors: Mapping[str, Mapping[str, Array]], gate: Array, dtype: Any):
        """See `CLIP.encode_embeddings` for `factors` and `gate`."""
        self._factors, self._gate, self._dtype = factors, gate, dtype

    def __call__(self, layer: str, x: Array) -> Array | float:
        """The addition to `layer`, whose input is x [B, L, in]: [B, L, out], or 0.0 for none."""
        if layer not in self._factors:
            return 0.0
        a, b = self._factors[layer]['a'], self._factors[layer]['b']
        x = product('blr,ro->blo', product('bli,ir->blr', x, a, self._dtype), b, self._dtype)
        return self._gate[:, None, None] * x


def _no_update(layer: str, x: Array) -> float:
    return 0.0


def _pick(x: Array, at: int | Array) -> Array:
    """One position of each row: [B, L, w] → [B, 1, w]; `at` is one for all, or [B]."""
    if isinstance(at, int):
        return x[:, at : at + 1]
    return jnp.take_along_axis(x, at[:, None, None], axis=1)


class Attention(nn.Module):
    """Self-attention of several heads.

    Attributes:
        heads: Number of heads.
        layers: Blocks of the tower; deeper towers start with smaller outputs.
        dtype: Type of the factors.
    """

    heads: int
    layers: int
    dtype: Any

    @nn.compact
    def __call__(
        self, x: Array, mask: Array | None, at: int | Array | None, update: Callable
    ) -> Array:
        """Attends from every position, or from one.

        Args:
            x: [B, L, w].
            mask: bool [L, L], true where a position (row) may see another (column); None for all.
            at: The only position that asks (one for all rows, or [B]); None for all positions.
            update: Low-rank update.

        Returns:
            [B, L, w], or [B, 1, w].
        """
        width = x.shape[-1]
        shape = (self.heads, width // self.heads)
        linear = functools.partial(
            Linear, inputs=(width,), outputs=shape, std=width**-0.5, dtype=self.dtype
        )

        def heads(name: str, x: Array) -> Array:
            x = linear(name=name)(x) + update(name, x)
            return x.reshape(*x.shape[:2], *shape).swapaxes(1, 2)  # [B, h, L, w/h]

        key, value = heads('key', x), heads('value', x)
        query = heads('query', x if at is None else _pick(x, at)) * shape[1] ** -0.5
        weights = product('bhqd,bhkd->bhqk', query, key, self.dtype)
        if mask is not None:
            if at is not None:
                mask = mask[at][..., None, None, :]  # [B, 1, 1, L] or [1, 1, L]
            weights = jnp.where(mask, weights, jnp.finfo(weights.dtype).min)
        weights = jax.nn.softmax(weights, axis=-1)
        x = product('bhqk,bhkd->bhqd', weights, value, self.dtype)
        x = x.swapaxes(1, 2).reshape(x.shape[0], -1, width)  # [B, L, w]
        std = width**-0.5 * (2 * self.layers) ** -0.5
        out = Linear(inputs=shape, outputs=(width,), std=std, dtype=self.dtype, name='out')
        return out(x.reshape(*x.shape[:2], *shape)) + update('out', x)


def quick_gelu(x: Array) -> Array:
    """x·σ(1.702x)."""
    return x * jax.nn.sigmoid(1.702 * x)


def exact_gelu(x: Array) -> Array:
    """x·Φ(x), with the Gaussian's own Φ."""
    return jax.nn.gelu(x, approximate=False)


class MLP(nn.Module):
    """The two layers that follow attention.

    Attributes:
        layers: Blocks of the tower.
        quick_gelu: Which GELU.
        dtype: Type of the factors.
    """

    layers: int
    quick_gelu: bool
    dtype: Any

    @nn.compact
    def __call__(self, x: Array, update: Callable) -> Array:
        """[B, L, w] → [B, L, w]."""
        width = x.shape[-1]
        linear = functools.partial(Linear, dtype=self.dtype)
        fc = linear(inputs=(width,), outputs=(4 * width,), std=(2 * width) ** -0.5, name='c_fc')
        std = width**-0.5 * (2 * self.layers) ** -0.5
        proj = linear(inputs=(4 * width,), outputs=(width,), std=std, name='c_proj')
        x = fc(x) + update('c_fc', x)
        x = quick_gelu(x) if self.quick_gelu else exact_gelu(x)
        return proj(x) + update('c_proj', x)


def layer_norm(name: str) -> nn.LayerNorm:
    """A layer normalisation in float32 with PyTorch's epsilon."""
    return nn.LayerNorm(epsilon=LAYER_NORM_EPSILON, dtype=jnp.float32, name=name)


class Block(nn.Module):
    """One residual block: attention, then the MLP, each after a layer normalisation.

    Attributes:
        heads: Number of heads.
        layers: Blocks of the tower.
        quick_gelu: Which GELU.
        dtype: Type of the factors.
    """

    heads: int
    layers: int
    quick_gelu: bool
    dtype: Any

    @nn.compact
    def __call__(
        self, x: Array, mask: Array | None, at: int | Array | None, update: Callable
    ) -> Array:
        """[B, L, w] → [B, L, w], or [B, 1, w] where `at` is given (see `Attention`)."""
        attn = Attention(self.heads, self.layers, self.dtype, name='attn')
        mlp = MLP(self.layers, self.quick_gelu, self.dtype, name='mlp')
        normed = layer_norm('ln_1')(x)
        x = (x if at is None else _pick(x, at)) + attn(normed, mask, at, update)
        return x + mlp(layer_norm('ln_2')(x), update)


class Transformer(nn.Module):
    """The blocks of a tower.

    Attributes:
        heads: Number of heads.
        layers: Number of blocks.
        quick_gelu: Which GELU.
        dtype: Type of the factors.
    """

    heads: int
    layers: int
    quick_gelu: bool
    dtype: Any

    @nn.compact
    def __call__(
        self,
        x: Array,
        at: int | Array,
        mask: Array | None = None,
        low_rank: LowRank | None = None,
        gate: Array | None = None,
    ) -> Array:
        """The outcome at one position: [B, L, w] → [B, w].

        The last block computes nothing but that position, as nobody looks at the others.
        """
        for i in range(self.layers):
            name = f'resblocks.{i}'
            update = _no_update
            if low_rank and name in low_rank:
                update = LowRankUpdate(low_rank[name], gate, self.dtype)
            block = Block(self.heads, self.layers, self.quick_gelu, self.dtype, name=name)
            x = block(x, mask, at if i == self.layers - 1 else None, update)
        return x[:, 0]
