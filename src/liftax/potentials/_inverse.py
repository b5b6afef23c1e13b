"""Solutions of increasing scalar equations about which nothing else is known."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from liftax._iterate import repeat, until

REACH = 1e8
BISECTIONS = 70
MAX_STEPS = 120


def preimage(
    function: Callable[[Array], Array], y: Float[Array, "..."]
) -> tuple[Float[Array, "..."], Bool[Array, "..."]]:
    """The z nearest to 0 with function(z) = y, elementwise, by bisection, and whether one exists.

    The function is non-decreasing; z is sought on [-1e8, 1e8] and has no derivative.
    """
    y = jax.lax.stop_gradient(y)
    sign = jnp.where(y < function(jnp.zeros_like(y)), -1, 1).astype(y.dtype)

    def passed(size: Array) -> Array:
        return sign * (function(sign * size) - y) >= 0

    def halve(ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = 0.5 * (low + high)
        over = passed(middle)
        return jnp.where(over, low, middle), jnp.where(over, middle, high)

    reach = jnp.full_like(y, REACH)
    reached = passed(reach)
    _, size = repeat(halve, (jnp.zeros_like(y), reach), BISECTIONS)
    arrived = sign * (function(jnp.zeros_like(y)) - y) >= 0
    return jnp.where(arrived, 0, sign * jax.lax.stop_gradient(size)), reached


def safeguarded_root(
    sigma: Callable[[Array], Array], v: Float[Array, "..."], t: Array
) -> Float[Array, "..."]:
    """The z with (1-t) σ(z) + t z = v, elementwise: Newton's method, or bisection of a bracket.

    Slopes of σ in [0, 1] make those of the equation lie between 1 and t. A step that leaves the
    bracket, or that is not at most half of the one before the last, is a bisection. Derivatives of
    the root see one Newton step only (implicit function theorem).
    """

    def equation(z: Array, v: Array, t: Array) -> tuple[Array, Array, Array]:
        value, slope = jax.jvp(sigma, (z,), (jnp.ones_like(z),))
        size = jnp.abs((1 - t) * value) + jnp.abs(t * z) + jnp.abs(v)
        slope = (1 - t) * jnp.where(jnp.isnan(slope), 0, slope) + t  # 0/0 at a kink, say
        return (1 - t) * value + t * z - v, slope, size

    fixed_v, fixed_t = jax.lax.stop_gradient(v), jax.lax.stop_gradient(t)
    zero = jnp.zeros_like(v)
    start, *_ = equation(zero, fixed_v, fixed_t)
    end = -start / jnp.minimum(fixed_t, 1)
    end = end + 1e-3 * end  # beyond rounding
    rounding = 4 * float(jnp.finfo(v.dtype).eps)

    def step(state):
        z, low, high, last, before, _ = state
        residual, slope, scale = equation(z, fixed_v, fixed_t)
        low, high = jnp.where(residual <= 0, z, low), jnp.where(residual >= 0, z, high)
        newton = z - residual / slope
        move = jnp.abs(newton - z)
        useful = (newton > low) & (newton < high) & (2 * move <= before)
        # at the rounding error of either: it stays, while other entries go on
        arrived = (move <= rounding * jnp.abs(newton)) | (jnp.abs(residual) <= rounding * scale)
        new = jnp.where(arrived, z, jnp.where(useful, newton, 0.5 * (low + high)))
        return new, low, high, jnp.abs(new - z), last, ~jnp.all(arrived)

    width = jnp.abs(end)
    bracket = (jnp.minimum(zero, end), jnp.maximum(zero, end))
    state = (zero, *bracket, width, 2 * width, jnp.asarray(True))
    z, *_ = until(step, state, lambda s: ~s[-1], MAX_STEPS)[0]
    residual, slope, _ = equation(z, v, t)
    return z - residual / jax.lax.stop_gradient(slope)
