"""The identity."""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.potentials._potential import AbstractPotential, Tau


class Identity(AbstractPotential):
    r"""$\Psi = 0$: $\mathrm{prox}_{\tau\Psi}(v) = v$ and $\sigma(z) = z$.

    $\varphi^*(z) = \frac12\|z\|^2$; $\Psi^*$ is 0 at $s = 0$ and $+\infty$ elsewhere.
    """

    separable: ClassVar[bool] = True

    def value(self, u: Float[Array, "..."]) -> Float[Array, ""]:
        return jnp.zeros((), u.dtype)

    def prox(self, v: Float[Array, "..."], tau: Tau) -> Float[Array, "..."]:
        return v

    def conjugate(self, s: Float[Array, "..."]) -> Float[Array, ""]:
        return jnp.sum(jnp.where(s == 0, jnp.zeros_like(s), jnp.inf))

    def activation(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        return z

    def phi_conjugate(self, z: Float[Array, "..."]) -> Float[Array, ""]:
        return 0.5 * jnp.sum(z * z)
