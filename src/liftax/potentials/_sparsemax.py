"""Sparsemax: projection on the unit simplex."""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.potentials._potential import AbstractPotential, Tau
from liftax.potentials._rounding import slack
from liftax.potentials._simplex import excess


class Sparsemax(AbstractPotential):
    r"""Ψ is 0 on the unit simplex, else $+\infty$; σ and $\mathrm{prox}_{\tau\Psi}$ project on it.

    Simplices lie along the last axis, Ψ sums over the others; entries that miss the sum 1 by
    rounding are in the domain. $\sigma(z) = \max(z - \lambda, 0)$ with the λ of
    $\sum_i u_i = 1$; $\varphi^*(z) = \lambda + \frac12\|\sigma(z)\|^2$; $\Psi^*(s) = \max_i s_i$.

    Source: Martins & Astudillo (2016).
    """

    separable: ClassVar[bool] = False

    def value(self, u: Float[Array, "... n"]) -> Float[Array, ""]:
        near = jnp.abs(jnp.sum(u, -1) - 1) <= slack(u) * u.shape[-1]
        inside = jnp.all(near & jnp.all(u >= 0, -1))
        return jnp.where(inside, jnp.zeros((), u.dtype), jnp.inf)

    def prox(self, v: Float[Array, "... n"], tau: Tau) -> Float[Array, "... n"]:
        return self.activation(v)

    def conjugate(self, s: Float[Array, "... n"]) -> Float[Array, ""]:
        return jnp.sum(jnp.max(s, -1))

    def activation(self, z: Float[Array, "... n"]) -> Float[Array, "... n"]:
        return excess(z, jnp.ones((), z.dtype))[0]

    def phi_conjugate(self, z: Float[Array, "... n"]) -> Float[Array, ""]:
        u, level = excess(z, jnp.ones((), z.dtype))
        return jnp.sum(level) + 0.5 * jnp.sum(u * u)
