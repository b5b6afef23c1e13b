"""Norms whose derivatives at zero are zero."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Axes = int | tuple[int, ...] | None


# Up to this length an axis is written out: on CPUs reductions of short axes are ten times slower.
_SHORT = 4


def norm(u: Float[Array, "..."], axes: Axes) -> Float[Array, "..."]:
    """The ℓ2 norm along the axes (all if None), which stay with length 1."""
    # scaled: squares of small and large entries would vanish or overflow; zero is kept out of √
    parts = _parts(u, axes)
    if parts is None:
        largest = jnp.max(jnp.abs(u), axis=axes, keepdims=True, initial=0)
    else:
        largest = functools.reduce(jnp.maximum, (jnp.abs(part) for part in parts))
    size = jax.lax.stop_gradient(largest)
    positive = size > 0
    scale = jnp.where(positive, size, 1)
    if parts is None:
        squares = jnp.sum((u / scale) ** 2, axis=axes, keepdims=True)
    else:
        squares = functools.reduce(jnp.add, ((part / scale) ** 2 for part in parts))
    return jnp.where(positive, scale * jnp.sqrt(jnp.where(positive, squares, 1)), 0)


def _parts(u: Array, axes: Axes) -> list[Array] | None:
    """The entries of a short axis."""
    if not isinstance(axes, int) or not 0 < u.shape[axes] <= _SHORT:
        return None
    return jnp.split(u, u.shape[axes], axes)
