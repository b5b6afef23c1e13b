"""The softplus."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.potentials._dilogarithm import dilogarithm
from liftax.potentials._potential import AbstractPotential, Tau
from liftax.potentials._scalar import best_tangent, increasing_root

LOG2, ZETA2 = math.log(2), math.pi**2 / 6


class Softplus(AbstractPotential):
    r"""$\Psi(u) = \sum\mathrm{Li}_2(e^{-u}) - \frac{\pi^2}6$ for $u \ge 0$; σ is $\log(1+e^z)$.

    Li₂ is the dilogarithm: $\Psi(u) = \int_0^u\log(1-e^{-r})\,dr$, with $\Psi(0) = 0$.
    $\varphi^*(z) = -\sum\mathrm{Li}_2(-e^z)$, which is 0 at $-\infty$; $\Psi^*(s) =
    \sum\mathrm{Li}_2(e^s)$ for $s \le 0$, else $+\infty$. $\mathrm{prox}_{\tau\Psi}(v) = \sigma(z)$
    with $\sigma(z) - \tau\sigma(-z) = v$, solved in z.
    """

    separable: ClassVar[bool] = True

    def value(self, u: Float[Array, "..."]) -> Float[Array, ""]:
        inside = u > 0
        psi = -_deficit(jnp.where(inside, u, 1))
        return jnp.sum(jnp.where(inside, psi, jnp.where(u == 0, 0, jnp.inf)))

    def prox(self, v: Float[Array, "..."], tau: Tau) -> Float[Array, "..."]:
        t = jnp.asarray(tau, v.dtype)
        # the tangents far left and far right, and where both parts have one slope
        lines = (v / t, v, best_tangent(_equation, (v, t), (0.0, jnp.log(t)), 1 - t))
        least = jnp.minimum(jnp.minimum(*lines[:2]), lines[2])
        most = jnp.maximum(jnp.maximum(*lines[:2]), lines[2])
        return jax.nn.softplus(increasing_root(_equation, (v, t), jnp.where(t < 1, least, most)))

    def conjugate(self, s: Float[Array, "..."]) -> Float[Array, ""]:
        inside = s < 0
        star = ZETA2 - _deficit(jnp.where(inside, -s, 1))
        return jnp.sum(jnp.where(inside, star, jnp.where(s == 0, ZETA2, jnp.inf)))

    def activation(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        return jax.nn.softplus(z)

    def phi_conjugate(self, z: Float[Array, "..."]) -> Float[Array, ""]:
        # Li₂(-e^z) + Li₂(-e^-z) = -π²/6 - z²/2
        tail = -dilogarithm(-jax.nn.softplus(jnp.where(z > 0, -z, z)))
        return jnp.sum(jnp.where(z > 0, ZETA2 + 0.5 * z * z - tail, tail))


def _deficit(u: Array) -> Array:
    r"""$\pi^2/6 - \mathrm{Li}_2(e^{-u})$ for u > 0: relatively exact, as a function of u near 0."""
    small = u < LOG2
    log = jnp.log(-jnp.expm1(-u))  # log(1 - e^-u)
    near = dilogarithm(jnp.where(small, u, 0)) - u * log
    far = ZETA2 - dilogarithm(jnp.where(small, 0, -jnp.where(small, 0, log)))
    return jnp.where(small, near, far)


def _equation(z: Array, data: tuple[Array, Array]) -> tuple[Array, Array]:
    """The residual of σ(z) - t σ(-z) = v, convex for t < 1 and concave above."""
    v, t = data
    return jax.nn.softplus(z) - t * jax.nn.softplus(-z) - v, jax.nn.sigmoid(z) + t * jax.nn.sigmoid(
        -z
    )
