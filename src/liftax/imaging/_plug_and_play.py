"""Plug-and-play restoration: a denoiser in the place of a prior's proximal map."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from liftax._iterate import repeat, scan, until
from liftax._pixels import check_finite, check_numbers
from liftax._solution import Reason
from liftax.imaging._operator import AbstractOperator, adjoint, check_linear, measured
from liftax.imaging._simple import Mask
from liftax.imaging._steps import Fill

Denoise = Callable[[Array], Array]
_LEAST = 7  # side of the kernel of `Fill`


class FixedPoint(NamedTuple):
    r"""Where an iteration ended.

    Attributes:
        x: the image.
        change: $\|x_{k+1} - x_k\|/\|x_k\|$ at the end.
        iterations: how many were made.
        reason: why it ended: `Reason.SETTLED`, the change is below the tolerance; `Reason.MOVING`,
            all iterations were made before; `Reason.DIVERGED`, x is not finite.
    """

    x: Float[Array, "h w c"]
    change: Float[Array, ""]
    iterations: Array
    reason: Reason

    @property
    def converged(self) -> bool:
        """Whether x changes by less than the tolerance."""
        return self.reason is Reason.SETTLED


def plug_and_play(
    operator: AbstractOperator,
    y: ArrayLike,
    denoiser: Denoise,
    *,
    step: ArrayLike | None = None,
    relaxation: ArrayLike = 1.0,
    start: ArrayLike | None = None,
    iterations: int = 200,
    tolerance: float = 1e-4,
) -> FixedPoint:
    r"""Forward-backward iterations $x^+ = (1-r)x + r\,D\left(x - tA^\top(Ax - y)\right)$.

    A denoiser does not fill large holes at once: pixels that A does not see move by D alone,
    slowly, and where they start decides. `half_quadratic` needs fewer iterations.

    With $D = \operatorname{prox}_{tg}$ they minimise $\frac12\|Ax - y\|^2 + g(x)$. They converge
    for every averaged D, and so if D is non-expansive and $r < 1$.

    Args:
        operator: $A$.
        y: measurements, of the operator's `out_shape`.
        denoiser: D, image → image; a function of JAX (an `eqx.Module` that is called, or
            `jax.tree_util.Partial`, compiles once for all its parameters). Of a
            `restoration.Denoiser` take `.at(sigma)`.
        step: $t$; None for $1/\|A\|^2$. At most $2/\|A\|^2$.
        relaxation: $r$, in (0, 1].
        start: $x_0$; None for $A^\top y/\|A\|^2$, and for a `Mask` of zeros and ones the picture
            filled by `Fill`, and far from all pixels that are seen by their mean.
        iterations: at most.
        tolerance: of the relative change, that ends the iterations.

    Raises:
        ValueError: for measurements or a start of another shape, integers, or values that are not
            finite, an operator that `check_linear` refuses, a step that is too long, and a
            relaxation outside (0, 1].

    Source: Venkatakrishnan, Bouman & Wohlberg (2013); the denoisers of arXiv 2308.03139.
    """
    data = measured(operator, y)
    norm = operator.norm()
    check_linear(operator, norm)
    square = float(norm) ** 2
    length = 1 / square if step is None else step
    if not 0 < float(jnp.asarray(length)) <= 2.001 / square:
        raise ValueError(f"step must be in (0, {2 / square:g}], 2/|A|^2, got {length}")
    if not 0 < float(jnp.asarray(relaxation)) <= 1:
        raise ValueError(f"relaxation must be in (0, 1], got {relaxation}; 1 is plain")
    first = _first(operator, data, square) if start is None else jnp.asarray(start)
    if first.shape != operator.in_shape:
        raise ValueError(f"start has the shape {first.shape}, images have {operator.in_shape}")
    check_numbers(first, "start")
    check_finite(first, "start")
    first = first.astype(data.dtype)
    numbers = jnp.asarray([length, relaxation, tolerance], data.dtype)
    x, change, count = _iterate(operator, denoiser, data, first, numbers, iterations)
    reason = Reason.SETTLED if float(change) <= tolerance else Reason.MOVING
    reason = reason if bool(jnp.isfinite(x).all()) else Reason.DIVERGED
    return FixedPoint(x, change, count, reason)


def _first(operator: AbstractOperator, y: Array, square: float) -> Array:
    if not (isinstance(operator, Mask) and np.isin(np.asarray(operator.mask), (0, 1)).all()):
        return adjoint(operator, y) / jnp.asarray(square, y.dtype)
    seen = operator.apply(jnp.ones(operator.in_shape, y.dtype))
    counts = jnp.maximum(jnp.sum(seen, axis=(0, 1)), 1)
    mean = jnp.sum(seen * y, axis=(0, 1)) / counts
    rest = seen * (y - mean)
    near = Fill(operator).apply(rest) if min(y.shape[:2]) >= _LEAST else rest
    return jnp.where(seen > 0, y, mean + near)


@eqx.filter_jit
def _iterate(
    operator: AbstractOperator,
    denoiser: Denoise,
    y: Array,
    start: Array,
    numbers: Array,
    iterations: int,
) -> tuple[Array, Array, Array]:
    step, relaxation, tolerance = numbers

    def iterate(state: tuple[Array, Array]) -> tuple[Array, Array]:
        x, _ = state
        moved = denoiser(x - step * adjoint(operator, operator.apply(x) - y))
        new = x + relaxation * (moved - x)
        return new, jnp.linalg.norm(new - x) / jnp.maximum(jnp.linalg.norm(x), 1e-30)

    begin = (start, jnp.asarray(jnp.inf, y.dtype))
    (x, change), count = until(iterate, begin, lambda s: s[1] <= tolerance, iterations)
    return x, change, count


def lipschitz_estimate(
    function: Callable[[Array], Array],
    points: ArrayLike,
    iterations: int = 30,
    *,
    key: PRNGKeyArray | None = None,
) -> Float[Array, " n"]:
    r"""$\|J(x_i)\|$, the largest singular value of the Jacobian at each point.

    By power iterations of $J^\top J$. The largest of them is a lower bound of the Lipschitz
    constant, and itself reached from below.

    Args:
        function: differentiable almost everywhere, of one point.
        points: $x_1, ..., x_n$, along the first axis.
        iterations: of the power method.
        key: of its start.
    """
    at = jnp.asarray(points)
    start = jax.random.normal(jax.random.key(0) if key is None else key, at.shape, at.dtype)
    return _gains(function, at, start, iterations)


@eqx.filter_jit
def _gains(function: Callable[[Array], Array], points: Array, start: Array, steps: int) -> Array:
    def gain(x: Array, v: Array) -> Array:
        out, pull = jax.vjp(function, x)
        # Jv as the adjoint of the adjoint: some maps state their adjoint and no derivative.
        push = jax.vjp(lambda w: pull(w)[0], jnp.zeros_like(out))[1]

        def step(state: tuple[Array, Array]) -> tuple[Array, Array]:
            image = push(state[0] / jnp.maximum(jnp.linalg.norm(state[0]), 1e-30))[0]
            return pull(image)[0], jnp.linalg.norm(image)

        return repeat(step, (v, jnp.zeros((), x.dtype)), steps)[1]

    return scan(lambda _, pair: (None, gain(*pair)), None, (points, start))[1]
