"""Telling arrays that JAX traces, inside `jax.jit` or `jax.grad`, from arrays in memory."""

from __future__ import annotations

from typing import Any

import jax

from cpad_jax.errors import UserError


def is_traced(*values: Any) -> bool:
    """Whether any of the values, or of their elements if they are lists, is traced."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(values))


def refuse_traced(method: str, value: Any, instead: str) -> None:
    """Refuses a traced argument of a method that works in memory.

    Args:
        method: Name of the method.
        value: Its argument.
        instead: What to write in place of it.

    Raises:
        UserError: The argument is traced.
    """
    if is_traced(value):
        raise UserError(f'{method} does not work inside jax.jit, jax.grad or jax.vmap: {instead}')
