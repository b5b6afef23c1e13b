"""The exponential linear unit."""

import math
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.potentials._potential import AbstractPotential, Tau
from liftax.potentials._scalar import best_tangent, increasing_root

VANISHED = -100.0  # a point where e^z no longer counts
NEAR, TERMS = -0.4, 14  # where a series gives e^z - 1 - z


class ELU(AbstractPotential):
    r"""$\sigma(z) = z$ for $z \ge 0$ and $\alpha(e^z - 1)$ below, with $\alpha \in (0, 1]$.

    $\Psi(u) = \sum (\alpha+u)\log(1+u/\alpha) - u - \frac12u^2$ for $-\alpha \le u \le 0$, 0 for
    $u \ge 0$ and $+\infty$ below. $\varphi^*(z) = \sum\frac12z^2$ for $z \ge 0$,
    $\alpha(e^z - 1 - z)$ below. $\mathrm{prox}_{\tau\Psi}(v) = v$ for $v \ge 0$, below σ(z) with
    $(1-\tau)\sigma(z) + \tau z = v$. $\Psi^*(s) = \varphi^*(z) - \frac12\sigma(z)^2$ with
    $z - \sigma(z) = s$ for $s \le 0$, else $+\infty$.

    Attributes:
        alpha: $\alpha$; broadcasts against the example.

    Raises:
        ValueError: for an alpha outside (0, 1]: above 1 the activation is not 1-Lipschitz.

    Source: Clevert, Unterthiner & Hochreiter (2016).
    """

    separable: ClassVar[bool] = True
    alpha: float | Float[Array, "..."] = 1.0

    def __check_init__(self) -> None:
        if isinstance(self.alpha, int | float) and not 0 < self.alpha <= 1:
            raise ValueError(f"alpha must lie in (0, 1], got {self.alpha}; for 0 use ReLU()")

    def value(self, u: Float[Array, "..."]) -> Float[Array, ""]:
        a = jnp.asarray(self.alpha, u.dtype)
        inner = (u > -a) & (u < 0)
        w = jnp.where(inner, u, 0)
        psi = (a + w) * jnp.log1p(w / a) - w - 0.5 * w * w
        end = jnp.where(u == -a, a - 0.5 * a * a, jnp.inf)
        return jnp.sum(jnp.where(inner | (u >= 0), psi, end))

    def prox(self, v: Float[Array, "..."], tau: Tau) -> Float[Array, "..."]:
        a, t, w = jnp.asarray(self.alpha, v.dtype), jnp.asarray(tau, v.dtype), jnp.minimum(v, 0)
        knee = jnp.log(jnp.minimum(t / (a * jnp.maximum(1 - t, t)), 1))
        start = best_tangent(_prox_equation, (w, t, a), (0.0, knee, VANISHED), 1 - t)
        z = increasing_root(_prox_equation, (w, t, a), start)
        return jnp.where(v >= 0, v, a * jnp.expm1(jnp.minimum(z, 0)))

    def conjugate(self, s: Float[Array, "..."]) -> Float[Array, ""]:
        a, w = jnp.asarray(self.alpha, s.dtype), jnp.minimum(s, 0)
        # with x = -z, |s| = x - a (1 - e^-x) is at least x - a and a x² / (2 + x): x is at most
        c = -w / a
        negative = c > 0
        root = jnp.sqrt(jnp.where(negative, c * c + 8 * c, 1))
        start = -jnp.where(negative, jnp.minimum(a - w, 0.5 * (c + root)), 0)
        z = jnp.minimum(increasing_root(_dual_equation, (w, a), start), 0)
        star = self.phi_conjugate(z) - 0.5 * jnp.sum((a * jnp.expm1(z)) ** 2)
        return star + jnp.sum(jnp.where(s > 0, jnp.inf, jnp.zeros_like(s)))

    def activation(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        a = jnp.asarray(self.alpha, z.dtype)
        return jnp.where(z >= 0, z, a * jnp.expm1(jnp.minimum(z, 0)))

    def phi_conjugate(self, z: Float[Array, "..."]) -> Float[Array, ""]:
        a, positive = jnp.asarray(self.alpha, z.dtype), jnp.maximum(z, 0)
        return jnp.sum(0.5 * positive * positive - a * _gap(jnp.minimum(z, 0)))


def _gap(z: Array) -> Array:
    """The gap z - (e^z - 1) for z <= 0 without cancellation."""
    x = jnp.maximum(z, NEAR)
    series = jnp.zeros_like(z)
    for k in range(TERMS, 0, -1):
        series = series * x + 1 / math.factorial(k + 1)
    return jnp.where(z > NEAR, -x * x * series, z - jnp.expm1(z))


def _prox_equation(z: Array, data: tuple[Array, Array, Array]) -> tuple[Array, Array]:
    """The residual of (1-t) σ(z) + t z = v on z <= 0, convex for t < 1 and concave above."""
    v, t, a = data
    z = jnp.minimum(z, 0)  # z > 0 by rounding only
    e = jnp.expm1(z)
    bounded, linear, more = jnp.maximum(1 - t, 0), jnp.minimum(t, 1), jnp.maximum(t - 1, 0)
    value = bounded * a * e + linear * z + more * (_gap(z) + (1 - a) * e)
    return value - v, bounded * a * (e + 1) + linear + more * (1 - a - a * e)


def _dual_equation(z: Array, data: tuple[Array, Array]) -> tuple[Array, Array]:
    """The residual of z - σ(z) = s on z <= 0, concave; the slope vanishes at 0 for α = 1."""
    s, a = data
    z = jnp.minimum(z, 0)
    e = jnp.expm1(z)
    slope = 1 - a - a * e
    return _gap(z) + (1 - a) * e - s, jnp.where(slope > 0, slope, 1)
