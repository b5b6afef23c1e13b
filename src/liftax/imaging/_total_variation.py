"""Restoration with total variation: the classical reference."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float

from liftax._iterate import repeat
from liftax._pixels import check_channels, check_finite, check_numbers, check_weight
from liftax.imaging._operator import AbstractOperator, adjoint, check_linear, measured


class Restored(NamedTuple):
    r"""A restored image, with a certificate.

    Attributes:
        x: the image.
        energy: the objective at x.
        gap: the primal-dual gap, an upper bound of what the objective exceeds its minimum by
            (denoising: $\frac12\|x - x^*\|^2\le$ gap too); NaN if there is none.
    """

    x: Float[Array, "h w c"]
    energy: Float[Array, ""]
    gap: Float[Array, ""]


class _Field(NamedTuple):
    """A number for each pair of neighbours, between zeros: every pixel has four.

    Channels first: a short last axis is slow.
    """

    down: Float[Array, "c h+1 w"]
    right: Float[Array, "c h w+1"]


def total_variation(x: Float[Array, "h w c"], isotropic: bool = True) -> Float[Array, ""]:
    r"""$\sum\sqrt{d^2 + r^2}$ or $\sum|d| + |r|$ of the forward differences, channel by channel."""
    return _variation(jnp.moveaxis(jnp.asarray(x), -1, 0), isotropic)


def _variation(x: Float[Array, "c h w"], isotropic: bool) -> Float[Array, ""]:
    down, right = _gradient(x)
    if isotropic:
        return jnp.sum(jnp.sqrt(_square(down, right)))
    return jnp.sum(jnp.abs(down)) + jnp.sum(jnp.abs(right))


def tv_denoise(
    y: ArrayLike, weight: ArrayLike, iterations: int = 300, isotropic: bool = True
) -> Restored:
    r"""$\operatorname{argmin}_x\frac12\|x - y\|^2 + \mathrm{weight}\,TV(x)$.

    By accelerated projected gradients on the dual, $\min_{|p|\le\mathrm{weight}}\frac12\|y -
    \nabla^\top p\|^2$, with the step 1/8, and $x = y - \nabla^\top p$.

    Args:
        y: image, (height, width, channels); channels are independent.
        weight: may be traced, to try many with one program.
        iterations: of the method; the gap falls like its square.
        isotropic: Euclidean norm of the gradient, or sum of the absolute differences.

    Raises:
        ValueError: unless y has three axes, the channels last, and finite values that are no
            integers, and unless the weight is at least 0.

    Source: Beck & Teboulle (2009), on constrained total variation.
    """
    image = jnp.asarray(y)
    if image.ndim != 3:
        raise ValueError(f"y must be (height, width, channels), got {image.shape}")
    check_numbers(image, "y")
    check_channels(image, "y")
    check_finite(image, "y")
    check_weight(weight)
    image = jnp.moveaxis(image, -1, 0)
    level, step = (jnp.asarray(v, image.dtype) for v in (weight, 1 / 8))

    def iterate(state: tuple[_Field, _Field, Array]) -> tuple[_Field, _Field, Array]:
        p, q, t = state
        down, right = _gradient(image - _transposed(q))
        moved = (_inner(q)[0] + step * down, _inner(q)[1] + step * right)
        new = _field(*_projected(*moved, level, isotropic))
        grown = (1 + jnp.sqrt(1 + 4 * t * t)) / 2
        inertia = (t - 1) / grown
        ahead = _Field(*(a + inertia * (a - b) for a, b in zip(new, p, strict=True)))
        return new, ahead, grown

    start = _zeros(image)
    p, _, _ = repeat(iterate, (start, start, jnp.ones((), image.dtype)), iterations)
    x = image - _transposed(p)
    variation = level * _variation(x, isotropic)
    products = [jnp.sum(a * b) for a, b in zip(_gradient(x), _inner(p), strict=True)]
    energy = 0.5 * jnp.sum((x - image) ** 2) + variation
    return Restored(jnp.moveaxis(x, 0, -1), energy, variation - sum(products))


def tv_restore(
    operator: AbstractOperator,
    y: ArrayLike,
    weight: ArrayLike,
    iterations: int = 500,
    isotropic: bool = True,
    interval: tuple[float, float] | None = None,
) -> Restored:
    r"""$\operatorname{argmin}_x\frac12\|Ax - y\|^2 + \mathrm{weight}\,TV(x)$, x in the interval.

    By the primal-dual iterations
    $$x^+ = P\left(x - \tau(A^\top(Ax - y) + \nabla^\top p)\right),\qquad
      p^+ = P_{\mathrm{weight}}\left(p + s\nabla(2x^+ - x)\right)$$
    from $A^\top y$, with $L = 1.02\,\|A\|^2$, $s = L/16$ and $1/\tau = L/2 + 8s$. There is no gap.

    Args:
        operator: $A$.
        y: measurements, of the operator's `out_shape`.
        weight: of the total variation.
        iterations: of the method.
        isotropic: as for `tv_denoise`.
        interval: values that pixels may have.

    Raises:
        ValueError: for measurements of another shape, integers, or values that are not finite, a
            negative weight, an operator that `check_linear` refuses, and iterations that become
            infinite.

    Source: Condat (2013), Vũ (2013).
    """
    data = measured(operator, y)
    check_weight(weight)
    norm = operator.norm()
    check_linear(operator, norm)
    start = adjoint(operator, data)
    level = jnp.asarray(weight, data.dtype)
    bound = 1.02 * jnp.asarray(norm, data.dtype) ** 2
    dual = bound / 16
    tau = 1 / (bound / 2 + 8 * dual)

    def iterate(state: tuple[Array, _Field]) -> tuple[Array, _Field]:
        x, p = state
        slope = adjoint(operator, operator.apply(x) - data)
        new = x - tau * (slope + jnp.moveaxis(_transposed(p), 0, -1))
        new = new if interval is None else jnp.clip(new, *interval)
        down, right = _gradient(jnp.moveaxis(2 * new - x, -1, 0))
        moved = (_inner(p)[0] + dual * down, _inner(p)[1] + dual * right)
        return new, _field(*_projected(*moved, level, isotropic))

    first = start if interval is None else jnp.clip(start, *interval)
    x, _ = repeat(iterate, (first, _zeros(jnp.moveaxis(first, -1, 0))), iterations)
    if not isinstance(x, Tracer) and not np.isfinite(np.asarray(x)).all():
        raise ValueError(
            f"x became infinite or NaN: norm() of the operator, {float(norm):.4g}, may be too "
            "small (compare with power_norm), or the values of y too large"
        )
    residual = operator.apply(x) - data
    energy = 0.5 * jnp.sum(residual**2) + level * total_variation(x, isotropic)
    return Restored(x, energy, jnp.asarray(jnp.nan, data.dtype))


def _gradient(x: Array) -> tuple[Array, Array]:
    """Forward differences inside the image: one row, one column fewer."""
    return x[:, 1:] - x[:, :-1], x[:, :, 1:] - x[:, :, :-1]


def _transposed(p: _Field) -> Array:
    return p.down[:, :-1] - p.down[:, 1:] + p.right[:, :, :-1] - p.right[:, :, 1:]


def _inner(p: _Field) -> tuple[Array, Array]:
    return p.down[:, 1:-1], p.right[:, :, 1:-1]


def _zeros(x: Array) -> _Field:
    channels, height, width = x.shape
    down = jnp.zeros((channels, height + 1, width), x.dtype)
    return _Field(down, jnp.zeros((channels, height, width + 1), x.dtype))


def _field(down: Array, right: Array) -> _Field:
    none = (0, 0)
    return _Field(jnp.pad(down, (none, (1, 1), none)), jnp.pad(right, (none, none, (1, 1))))


def _square(down: Array, right: Array) -> Array:
    """The squared norm of the gradient at every pixel."""
    none = (0, 0)
    below = jnp.pad(down**2, (none, (0, 1), none))
    return below + jnp.pad(right**2, (none, none, (0, 1)))


def _projected(down: Array, right: Array, level: Array, isotropic: bool) -> tuple[Array, Array]:
    if not isotropic:
        return jnp.clip(down, -level, level), jnp.clip(right, -level, level)
    square = _square(down, right)
    # A quotient by a root takes half as long again as the reciprocal root.
    largest = jnp.maximum(square, jnp.maximum(level**2, jnp.finfo(square.dtype).tiny))
    scale = level * jax.lax.rsqrt(largest)
    return scale[:, :-1] * down, scale[:, :, :-1] * right
