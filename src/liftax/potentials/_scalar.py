"""Elementwise solution of increasing scalar equations: what a prox without a closed form needs."""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax._iterate import until

MAX_STEPS = 100

# (z, data) -> (residual, slope), elementwise; the residual increases in z, the slope is its
# derivative, stated by hand.
Equation = Callable[[Array, Any], tuple[Array, Array]]


def increasing_root(
    equation: Equation, data: Any, start: Float[Array, "..."]
) -> Float[Array, "..."]:
    """The z with residual(z, data) = 0, elementwise, by Newton's method.

    Safe without a bracket where the callers start: on the side of the root from which, the residual
    being convex or concave in z, the iterates approach it monotonically. (A bracket with bisections
    made the prox of tanh 2.5 times slower and was never used.) The loop stops at a relative step of
    eps^(1/3), which leaves an error of eps^(2/3); the last step, outside the loop, squares it. A
    derivative of the root sees only that last step (implicit function theorem), never the loop.
    """
    frozen = jax.lax.stop_gradient(data)
    tolerance = float(jnp.finfo(start.dtype).eps) ** (1 / 3)

    def step(state: tuple[Array, Array]) -> tuple[Array, Array]:
        z, _ = state
        residual, slope = equation(z, frozen)
        new = z - residual / slope
        return new, jnp.any(jnp.abs(new - z) > tolerance * jnp.abs(new))  # a NaN counts as arrived

    state = (jax.lax.stop_gradient(start), jnp.asarray(True))
    (z, _), _ = until(step, state, lambda state: jnp.logical_not(state[1]), MAX_STEPS)
    residual, slope = equation(z, data)
    return z - residual / jax.lax.stop_gradient(slope)


def best_tangent(
    equation: Equation, data: Any, points: Sequence[Array | float], convex: Array
) -> Float[Array, "..."]:
    """The start of a monotone Newton iteration, from the tangents at a few scalar points.

    The zero of each tangent bounds the root from above where the equation is convex in z
    (`convex` > 0) and from below where it is concave; the tightest of these bounds is returned.
    """
    zeros = []
    for point in points:
        residual, slope = equation(jnp.asarray(point, convex.dtype), data)
        zeros.append(point - residual / slope)
    return jnp.where(convex > 0, reduce(jnp.minimum, zeros), reduce(jnp.maximum, zeros))
