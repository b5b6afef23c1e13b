"""The baseline of inversion: Adam through automatic differentiation."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from liftax._iterate import repeat
from liftax.networks import Network, Params

_SMOOTH = 1e-6


class AdamInverse:
    r"""Adam on $\frac12\|N(x) - y\|^2 + \alpha\mathrm{TV}(x)$ from 0, TV smoothed; compiled once."""

    def __init__(self, network: Network):
        """A program for all weights, rates and numbers of steps."""

        @jax.jit
        def run(params: Params, y: Array, alpha: Array, rate: Array, steps: Array) -> Array:
            optimiser = optax.adam(rate)

            def objective(x: Array) -> Array:
                misfit = 0.5 * jnp.sum((network(params, x) - y) ** 2)
                return misfit + alpha * jnp.sum(jax.vmap(_smooth_variation)(x))

            def step(state: tuple[Array, Any]) -> tuple[Array, Any]:
                updates, own = optimiser.update(jax.grad(objective)(state[0]), state[1])
                return jnp.asarray(optax.apply_updates(state[0], updates)), own

            x = jnp.zeros((len(y), *network.input_shape), y.dtype)
            return repeat(step, (x, optimiser.init(x)), steps)[0]

        self._run = run

    def __call__(
        self, params: Params, y: Array, alpha: float, rate: float, steps: int
    ) -> Float[Array, "n h w 1"]:
        """Pictures for many outputs."""
        return self._run(params, y, jnp.float32(alpha), jnp.float32(rate), jnp.int32(steps))


def _smooth_variation(x: Float[Array, "h w 1"]) -> Float[Array, ""]:
    down = jnp.pad(x[1:] - x[:-1], ((0, 1), (0, 0), (0, 0)))
    right = jnp.pad(x[:, 1:] - x[:, :-1], ((0, 0), (0, 1), (0, 0)))
    return jnp.sum(jnp.sqrt(down**2 + right**2 + _SMOOTH))
