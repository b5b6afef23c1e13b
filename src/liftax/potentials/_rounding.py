"""What membership in a set allows for."""

import jax.numpy as jnp
from jaxtyping import Array

ULPS = 100.0


def slack(u: Array) -> float:
    """The relative error, 100 units in the last place, by which a member of a set may miss it."""
    return ULPS * float(jnp.finfo(u.dtype).eps)
