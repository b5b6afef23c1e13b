"""The baseline of inversion: Adam through automatic differentiation."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from liftax._iterate import repeat
from liftax.networks import Network, Params

_SMOOTH = 1e-6


def adam_inversion(
    model: tuple[Network, Params],
    y: Array,
    start: Array,
    choice: tuple[float, float],
    steps: int,
    box: bool = False,
) -> Float[Array, "n h w 1"]:
    r"""Adam on $\frac12\|N(x) - y\|^2 + \alpha\mathrm{TV}(x)$, TV smoothed, many pictures at once.

    The choice: the rate, and α. With `box` projected on [0, 1] after every step. One program serves
    all numbers and steps.
    """
    rate, alpha = map(jnp.float32, choice)
    return _descended(model, (y, start), (rate, alpha, jnp.int32(steps)), box)


@eqx.filter_jit
def _descended(
    model: tuple[Network, Params],
    given: tuple[Array, Array],
    numbers: tuple[Array, Array, Array],
    box: bool,
) -> Array:
    (network, params), (y, start), (rate, alpha, steps) = model, given, numbers
    optimiser = optax.adam(rate)

    def objective(x: Array) -> Array:
        misfit = 0.5 * jnp.sum((network(params, x) - y) ** 2)
        return misfit + alpha * jnp.sum(jax.vmap(_smooth_variation)(x))

    def step(state: tuple[Array, Any]) -> tuple[Array, Any]:
        updates, own = optimiser.update(jax.grad(objective)(state[0]), state[1])
        x = jnp.asarray(optax.apply_updates(state[0], updates))
        return jnp.clip(x, 0, 1) if box else x, own

    return repeat(step, (start, optimiser.init(start)), steps)[0]


def _smooth_variation(x: Float[Array, "h w 1"]) -> Float[Array, ""]:
    down = jnp.pad(x[1:] - x[:-1], ((0, 1), (0, 0), (0, 0)))
    right = jnp.pad(x[:, 1:] - x[:, :-1], ((0, 0), (0, 1), (0, 0)))
    return jnp.sum(jnp.sqrt(down**2 + right**2 + _SMOOTH))
