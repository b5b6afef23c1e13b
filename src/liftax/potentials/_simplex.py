"""Projection on a simplex of any mass."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def excess(
    z: Float[Array, "... n"], mass: Array
) -> tuple[Float[Array, "... n"], Float[Array, "... 1"]]:
    r"""$\max(z - \lambda, 0)$ and the λ with which it sums to m > 0 along the last axis.

    The first is the projection of z on the simplex of mass m. λ is the largest of
    $(z_{(1)} + \dots + z_{(k)} - m)/k$, sorted from above.

    Source: Held, Wolfe & Crowder (1974); Duchi et al. (2008).
    """
    top = jax.lax.stop_gradient(jnp.max(z, -1, keepdims=True))
    below = z - top  # so that the rounding error is one of m, not of z
    count = jnp.arange(1, z.shape[-1] + 1, dtype=z.dtype)
    sums = jnp.cumsum(jnp.sort(below, -1, descending=True), -1)
    level = jnp.max((sums - mass) / count, -1, keepdims=True)
    return jnp.maximum(below - level, 0), top + level
