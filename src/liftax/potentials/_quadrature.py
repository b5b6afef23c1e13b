"""Integrals of activations."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from liftax._iterate import scan

NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)
# Panels of length 1 where activations bend, then of lengths that double; the last has no end.
EDGES = (*range(17), *(2.0**k for k in range(5, 15)))


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def integral(sigma: Callable[[Array], Array], z: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""$\int_0^z\sigma(r)\,dr$, elementwise, by 16 Gauss-Legendre nodes a panel.

    The derivative is σ itself, not that of the quadrature.
    """
    sign, size = jnp.where(z < 0, -1, 1).astype(z.dtype), jnp.abs(z)
    nodes = jnp.asarray(0.5 * (NODES + 1), z.dtype)
    weights = jnp.asarray(0.5 * WEIGHTS, z.dtype)

    def panel(total: Array, ends: tuple[Array, Array]) -> tuple[Array, None]:
        low, high = (jnp.minimum(size, end) for end in ends)
        points = low[..., None] + (high - low)[..., None] * nodes
        values = sigma(sign[..., None] * points)
        return total + (high - low) * jnp.sum(weights * values, -1), None

    lows = jnp.asarray(EDGES, z.dtype)
    highs = jnp.asarray([*EDGES[1:], np.inf], z.dtype)
    total, _ = scan(panel, jnp.zeros_like(z), (lows, highs))
    return sign * total


@integral.defjvp
def _derivative(sigma, primals, tangents):
    (z,), (direction,) = primals, tangents
    return integral(sigma, z), sigma(z) * direction
