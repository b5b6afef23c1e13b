"""What the compiler is kept from fusing."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def once(u: Float[Array, "..."]) -> Float[Array, "..."]:
    """The same numbers, as the end of what the compiler may repeat.

    Along shortcuts XLA would fuse each update into all that reads it, and so on through the sweep,
    whose work then grows much faster than the depth. On a CPU it takes only what it thinks
    expensive, a division (here by one), to prevent that.
    """
    if jax.default_backend() == "cpu":
        return u / (1 + jnp.minimum(jnp.abs(u), 0))
    return jax.lax.optimization_barrier(u)


def apart(u: Float[Array, "..."]) -> Float[Array, "..."]:
    """The same numbers, as the end of what the compiler's library for CPUs takes over.

    A product whose result is only summed up becomes one call of it, five times slower than the
    two; of two arrays whose difference is summed up both are written to memory first. It does not
    know selections.
    """
    return jnp.where(u == 0, 0, u) if jax.default_backend() == "cpu" else u
