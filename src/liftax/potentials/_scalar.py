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
    equation: Equation,
    data: Any,
    start: Float[Array, "..."],
    lower: Float[Array, "..."],
    upper: Float[Array, "..."],
) -> Float[Array, "..."]:
    """The z in [lower, upper] with residual(z, data) = 0, by Newton's method kept inside a bracket.

    The bracket shrinks with every residual; a Newton step that leaves it becomes a bisection. The
    callers start on the side from which Newton's method converges monotonically, so bisections are
    for rounding only. The loop stops at a relative step of eps^(1/3), which leaves an error of
    eps^(2/3); the last step, outside the loop, squares it. A derivative of the root sees only that
    last step (implicit function theorem) and never the loop.
    """
    frozen, start, lower, upper = jax.lax.stop_gradient((data, start, lower, upper))
    tolerance = float(jnp.finfo(start.dtype).eps) ** (1 / 3)

    def step(state: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        z, low, high, _ = state
        residual, slope = equation(z, frozen)
        low = jnp.where(residual <= 0, z, low)
        high = jnp.where(residual >= 0, z, high)
        newton = z - residual / slope
        inside = (newton >= low) & (newton <= high)
        new = jnp.where(inside, newton, 0.5 * (low + high))
        return new, low, high, jnp.abs(new - z)

    def done(state: tuple[Array, Array, Array, Array]) -> Array:
        # written so that a NaN counts as finished
        return jnp.logical_not(jnp.any(state[3] > tolerance * jnp.abs(state[0])))

    state = (start, lower, upper, jnp.full_like(start, jnp.inf))
    (z, *_), _ = until(step, state, done, MAX_STEPS)
    residual, slope = equation(z, data)
    return z - residual / jax.lax.stop_gradient(slope)


def best_tangent(
    equation: Equation, data: Any, points: Sequence[Array | float], convex: Array
) -> Float[Array, "..."]:
    """The start of a monotone Newton iteration, from the tangents at a few scalar points.

    The zero of each tangent bounds the root from above where the equation is convex in z and from
    below where it is concave; the tightest bound is returned.
    """
    zeros = []
    for point in points:
        residual, slope = equation(jnp.asarray(point, convex.dtype), data)
        zeros.append(point - residual / slope)
    return jnp.where(convex > 0, reduce(jnp.minimum, zeros), reduce(jnp.maximum, zeros))
