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

from cpad_jax.models.config import TextConfig, ViTConfig

Array = jax.Array
LowRank = Mapping[str, Mapping[str, Mapping[str, Array]]]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 3))
def einsum_f32(spec: str, x: Array, y: Array, dtype: Any) -> Array:
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
    return _einsum_f32(spec, x, y, dtype)


def _einsum_f32(spec: str, x: Array, y: Array, dtype: Any) -> Array:
    return jnp.einsum(
        spec,
        x.astype(dtype),
        y.astype(dtype),
        precision='highest' if dtype == jnp.float32 else None,
        preferred_element_type=jnp.float32,
    )


def _einsum_f32_forward(spec: str, x: Array, y: Array, dtype: Any) -> tuple[Array, Any]:
    # Kept for the backward pass as rounded: half the memory, and nothing to round again. The empty
    # arrays remember the types that the cotangents must have.
    kept = (x.astype(dtype), y.astype(dtype), jnp.zeros((), x.dtype), jnp.zeros((), y.dtype))
    return _einsum_f32(spec, x, y, dtype), kept


def _einsum_f32_backward(spec: str, dtype: Any, kept: Any, cotangent: Array) -> tuple[Array, Array]:
    x, y, x_like, y_like = kept
    factors, out = spec.split('->')
    left, right = factors.split(',')
    dx = _einsum_f32(f'{out},{right}->{left}', cotangent, y, dtype)
    dy = _einsum_f32(f'{left},{out}->{right}', x, cotangent, dtype)
    return dx.astype(x_like.dtype), dy.astype(y_like.dtype)


einsum_f32.defvjp(_einsum_f32_forward, _einsum_f32_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def dense(x: Array, kernel: Array, bias: Array, dtype: Any) -> Array:
    """x·kernel + bias through `product`, with a backward pass that CPUs do well.

    Args:
        x: [n, i].
        kernel: [i, o].
        bias: [o].
        dtype: See `product`.

    Returns:
        float32 [n, o].
    """
    return einsum_f32('ab,bc->ac', x, kernel, dtype) + bias


def _dense_forward(x: Array, kernel: Array, bias: Array, dtype: Any) -> tuple[Array, Any]:
    y, kept = _einsum_f32_forward('ab,bc->ac', x, kernel, dtype)
    return y + bias, kept


def _dense_backward(dtype: Any, kept: Any, cotangent: Array) -> tuple[Array, Array, Array]:
    x, kernel, x_like, kernel_like = kept
    cotangent = _computed_once(cotangent)
    rounded = _computed_once(cotangent.astype(dtype))
    # What is summed over stands last in the left factor: several times faster on a CPU.
    dkernel = _einsum_f32('ba,ac->bc', _computed_once(_computed_once(x).T), rounded, dtype)
    dx = _einsum_f32('ac,bc->ab', rounded, kernel, dtype)
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


dense.defvjp(_dense_forward, _dense_backward)


class Linear(nn.Module):
    """A matrix product over the last dimensions, and a bias.

    Attributes:
        inputs: The dimensions multiplied away.
        outputs: The dimensions that take their place; kernel [*inputs, *outputs].
        std: Standard deviation of the initial kernel.
        use_bias: Whether to add a bias [*outputs].
        dtype: Compute dtype.
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
            x = dense(x, kernel, bias.reshape(columns), self.dtype)
        else:
            x = einsum_f32('ab,bc->ac', x, kernel, self.dtype)
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
        x = einsum_f32('blr,ro->blo', einsum_f32('bli,ir->blr', x, a, self._dtype), b, self._dtype)
        return self._gate[:, None, None] * x


def no_update(layer: str, x: Array) -> float:
    """What stands in for a `LowRankUpdate` where there is none."""
    return 0.0


def take_position(x: Array, at: Array) -> Array:
    """One position of each row: [B, L, w] → [B, 1, w]; `at` is int [B]."""
    return jnp.take_along_axis(x, at[:, None, None], axis=1)


def attend(query: Array, key: Array, value: Array, mask: Array | None, dtype: Any) -> Array:
    """What each position reads from those that it may see, softmax(q·kᵀ/√d)·v per head.

    By two products rather than `jax.nn.dot_product_attention`, which on CPUs costs as much at best
    and has no float32 sums of bfloat16 factors there (`tools/benchmark.py attention` compares).

    Args:
        query: [B, h, Q, d].
        key: [B, h, L, d].
        value: [B, h, L, d].
        mask: bool, broadcast to [B, h, Q, L]: true where a position may be seen; None for all.
        dtype: See `product`.

    Returns:
        float32 [B, h, Q, d].
    """
    weights = einsum_f32('bhqd,bhkd->bhqk', query * query.shape[-1] ** -0.5, key, dtype)
    if mask is not None:
        weights = jnp.where(mask, weights, jnp.finfo(weights.dtype).min)
    return einsum_f32('bhqk,bhkd->bhqd', jax.nn.softmax(weights, axis=-1), value, dtype)


class Attention(nn.Module):
    """Attention of several heads.

    Attributes:
        heads: Number of heads.
        layers: Blocks of the tower; deeper towers start with smaller outputs.
        dtype: Compute dtype.
        out_width: Width of the result; 0 for that of the input.
    """

    heads: int
    layers: int
    dtype: Any
    out_width: int = 0

    @nn.compact
    def __call__(
        self,
        x: Array,
        queries: Array | None = None,
        mask: Array | None = None,
        update: Callable = no_update,
    ) -> Array:
        """Attends to all positions.

        Args:
            x: [B, L, w], what is looked at.
            queries: [B, Q, w], inputs of the queries; None for x itself.
            mask: bool, broadcast to [B, heads, Q, L]: true where a position may be seen.
            update: Low-rank update.

        Returns:
            [B, Q, out_width].
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
        query = heads('query', x if queries is None else queries)
        x = attend(query, key, value, mask, self.dtype)  # [B, h, Q, w/h]
        x = x.swapaxes(1, 2).reshape(x.shape[0], -1, width)  # [B, Q, w]
        std = width**-0.5 * (2 * self.layers) ** -0.5
        outputs = (self.out_width or width,)
        out = Linear(inputs=shape, outputs=outputs, std=std, dtype=self.dtype, name='out')
        return out(x.reshape(*x.shape[:2], *shape)) + update('out', x)


ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    'gelu': functools.partial(jax.nn.gelu, approximate=False),
    'gelu_tanh': functools.partial(jax.nn.gelu, approximate=True),
    'quick_gelu': lambda x: x * jax.nn.sigmoid(1.702 * x),
}


class MLP(nn.Module):
    """The two layers that follow attention.

    Attributes:
        layers: Blocks of the tower; deeper towers start with smaller outputs.
        hidden: Width of the hidden layer.
        activation: A key of `ACTIVATIONS`.
        dtype: Compute dtype.
    """

    layers: int
    hidden: int
    activation: str
    dtype: Any

    @nn.compact
    def __call__(self, x: Array, update: Callable = no_update) -> Array:
        """[B, L, w] → [B, L, w]."""
        width = x.shape[-1]
        linear = functools.partial(Linear, dtype=self.dtype)
        std = (2 * width) ** -0.5
        fc = linear(inputs=(width,), outputs=(self.hidden,), std=std, name='c_fc')
        std = width**-0.5 * (2 * self.layers) ** -0.5
        proj = linear(inputs=(self.hidden,), outputs=(width,), std=std, name='c_proj')
        x = ACTIVATIONS[self.activation](fc(x) + update('c_fc', x))
        return proj(x) + update('c_proj', x)


def layer_norm(epsilon: float, name: str | None = None) -> nn.LayerNorm:
    """A layer normalisation in float32."""
    # As PyTorch does it: the fast variance, E[x²] - E[x]², loses digits.
    return nn.LayerNorm(epsilon=epsilon, dtype=jnp.float32, use_fast_variance=False, name=name)


class LayerScale(nn.Module):
    """One learned factor per channel: LayerScale of Touvron et al. 2021.

    Attributes:
        initial: Its first value.
    """

    initial: float = 1e-4

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """[..., w] → [..., w]."""
        return x * self.param('gamma', nn.initializers.constant(self.initial), x.shape[-1:])


class Block(nn.Module):
    """One residual block: attention, then the MLP, each after a layer normalisation.

    Attributes:
        config: Of the tower.
        dtype: Compute dtype.
    """

    config: ViTConfig | TextConfig
    dtype: Any

    @nn.compact
    def __call__(
        self,
        x: Array,
        mask: Array | None,
        at: Array | None,
        low_rank: Mapping[str, Mapping[str, Array]] | None,
        gate: Array | None,
    ) -> Array:
        """The block at all positions, or at one of each row.

        Args:
            x: [B, L, w].
            mask: bool [L, L], true where a position (row) may see another (column); None for all.
            at: int [B], the only positions that are computed; None for all.
            low_rank: Of this block, by layer; None for none.
            gate: float [B], see `CLIP.encode_embeddings`.

        Returns:
            [B, L, w], or [B, 1, w].
        """
        c = self.config
        update = LowRankUpdate(low_rank, gate, self.dtype) if low_rank else no_update
        attn = Attention(c.heads, c.layers, self.dtype, name='attn')
        mlp = MLP(c.layers, c.mlp_width or 4 * c.width, c.activation, self.dtype, name='mlp')
        scaled = isinstance(c, ViTConfig) and c.layer_scale
        gains = [LayerScale(name=name) if scaled else _same for name in ('ls_1', 'ls_2')]
        normed = layer_norm(c.epsilon, 'ln_1')(x)
        queries = None
        if at is not None:
            x, queries = take_position(x, at), take_position(normed, at)
            mask = None if mask is None else mask[at][:, None, None]  # [B, 1, 1, L]
        x = x + gains[0](attn(normed, queries, mask, update))
        return x + gains[1](mlp(layer_norm(c.epsilon, 'ln_2')(x), update))


def _same(x: Array) -> Array:
    return x


class Transformer(nn.Module):
    """The blocks of a tower.

    Attributes:
        config: Of the tower.
        dtype: Compute dtype.
        remat: Whether the backward pass computes each block's inside anew, for less memory.
    """

    config: ViTConfig | TextConfig
    dtype: Any
    remat: bool = False

    @nn.compact
    def __call__(
        self,
        x: Array,
        at: Array | None = None,
        mask: Array | None = None,
        low_rank: LowRank | None = None,
        gate: Array | None = None,
    ) -> Array:
        """[B, L, w] → [B, L, w]; or [B, 1, w] where `at` [B] names what is looked at.

        The last block then computes nothing but that position. For the rest see `Block`.
        """
        block = nn.remat(Block) if self.remat else Block
        for i in range(self.config.layers):
            name = f'resblocks.{i}'
            only = at if i == self.config.layers - 1 else None
            update = (low_rank or {}).get(name)
            x = block(self.config, self.dtype, name=name)(x, mask, only, update, gate)
        return x
