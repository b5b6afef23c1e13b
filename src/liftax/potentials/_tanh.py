"""The hyperbolic tangent."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.potentials._potential import AbstractPotential, Tau
from liftax.potentials._scalar import best_tangent, increasing_root

SATURATED = 20.0  # tanh is 1 to double precision


class Tanh(AbstractPotential):
    r"""$\Psi(u) = \frac12\sum (1+u)\log(1+u) + (1-u)\log(1-u) - u^2$ on $[-1, 1]$; σ is tanh.

    The entropy part is $\varphi(u) = u\,\mathrm{artanh}\,u + \frac12\log(1-u^2)$, so Ψ ends at
    $\log 2 - \frac12$. $\varphi^*(z) = \sum \log\cosh z$. $\mathrm{prox}_{\tau\Psi}(v) = \tanh z$
    with $(1-\tau)\tanh z + \tau z = v$, solved in z: the slope lies between 1 and τ, also where u
    saturates.
    $\Psi^*(s) = \sum \log\cosh z - \frac12\tanh^2 z$ with $z - \tanh z = s$.
    """

    separable: ClassVar[bool] = True

    def value(self, u: Float[Array, "..."]) -> Float[Array, ""]:
        inside = jnp.abs(u) <= 1
        w = jnp.where(inside, u, 0)
        # Imported here: it would take a third of the time of `import liftax`.
        from jax.scipy.special import xlog1py

        psi = 0.5 * (xlog1py(1 + w, w) + xlog1py(1 - w, -w) - w * w)
        return jnp.sum(jnp.where(inside, psi, jnp.inf))

    def prox(self, v: Float[Array, "..."], tau: Tau) -> Float[Array, "..."]:
        t = jnp.asarray(tau, v.dtype)
        # convex for t > 1; the knee is where the bounded part takes over
        knee = jnp.where(t < 1, jnp.arctanh(jnp.sqrt(jnp.maximum(1 - t, 0))), jax.lax.rsqrt(t))
        size = jnp.abs(v)
        start = best_tangent(_prox_equation, (size, t), (0.0, knee, SATURATED), t - 1)
        start = jnp.where(v < 0, -start, start)
        return jnp.tanh(increasing_root(_prox_equation, (v, t), start))

    def conjugate(self, s: Float[Array, "..."]) -> Float[Array, ""]:
        size = jnp.abs(s)
        # z - tanh z is convex for z > 0, below z^3/3 and above z - 1
        start = jnp.where(size < 0.5, jnp.cbrt(3 * size), size + 1)
        z = increasing_root(_dual_equation, size, start)
        return self.phi_conjugate(z) - 0.5 * jnp.sum(jnp.tanh(z) ** 2)

    def activation(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.tanh(z)

    def phi_conjugate(self, z: Float[Array, "..."]) -> Float[Array, ""]:
        return jnp.sum(jnp.logaddexp(z, -z) - math.log(2))


def _gap(z: Array) -> Array:
    """The gap z - tanh z without cancellation: below 1/2 by the continued fraction of tanh."""
    x = jnp.minimum(z * z, 0.25)
    series = x * (45045 + x * (2772 + 27 * x)) / (135135 + x * (62370 + x * (3150 + 28 * x)))
    return jnp.where(z * z < 0.25, z * series, z - jnp.tanh(z))


def _prox_equation(z: Array, data: tuple[Array, Array]) -> tuple[Array, Array]:
    """The residual of (1-t) tanh z + t z = v, written so that no two terms cancel for any t."""
    v, t = data
    u = jnp.tanh(z)
    bounded, linear, cubic = jnp.maximum(1 - t, 0), jnp.minimum(t, 1), jnp.maximum(t - 1, 0)
    value = bounded * u + linear * z + cubic * _gap(z)
    return value - v, bounded * (1 - u * u) + linear + cubic * u * u


def _dual_equation(z: Array, s: Array) -> tuple[Array, Array]:
    """The residual of z - tanh z = s; the slope vanishes at 0, where the root is 0 as well."""
    slope = jnp.tanh(z) ** 2
    return _gap(z) - s, jnp.where(slope > 0, slope, 1)
