"""Norms whose derivatives at zero are zero."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Axes = int | tuple[int, ...] | None


def norm(u: Float[Array, "..."], axes: Axes) -> Float[Array, "..."]:
    """The ℓ2 norm along the axes (all if None), which stay with length 1."""
    # scaled: squares of small and large entries would vanish or overflow; zero is kept out of √
    largest = jnp.max(jnp.abs(u), axis=axes, keepdims=True, initial=0)
    size = jax.lax.stop_gradient(largest)
    positive = size > 0
    scale = jnp.where(positive, size, 1)
    squares = jnp.sum((u / scale) ** 2, axis=axes, keepdims=True)
    return jnp.where(positive, scale * jnp.sqrt(jnp.where(positive, squares, 1)), 0)
