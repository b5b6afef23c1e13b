"""Random initial weights."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


def weights(
    key: PRNGKeyArray, inputs: int, features: int, gain: float, orthogonal: bool, dtype: Any
) -> Float[Array, "inputs features"]:
    r"""Normal entries of variance $\mathrm{gain}^2/\mathrm{inputs}$, or gain times an isometry.

    The orthogonal $W$ is drawn from the Haar measure: $W^\top W = \mathrm{gain}^2 I$ where inputs
    $\ge$ features, $WW^\top = \mathrm{gain}^2 I$ otherwise (Saxe, McClelland, Ganguli 2014).
    """
    if orthogonal:
        return jax.nn.initializers.orthogonal(gain)(key, (inputs, features), dtype)
    scale = jnp.asarray(gain / inputs**0.5, dtype)
    return scale * jax.random.normal(key, (inputs, features), dtype)
