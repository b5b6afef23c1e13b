"""The inverse square root unit."""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.potentials._saturating import AbstractSaturating


class ISRU(AbstractSaturating):
    r"""$\Psi(u) = \sum 1 - \sqrt{1-u^2} - \frac12u^2$ on $[-1, 1]$; $\sigma(z) = z/\sqrt{1+z^2}$.

    $\varphi^*(z) = \sum\sqrt{1+z^2} - 1$. $\mathrm{prox}_{\tau\Psi}(v) = \sigma(z)$ with
    $(1-\tau)\sigma(z) + \tau z = v$; $\Psi^*(s) = \varphi^*(z) - \frac12\|\sigma(z)\|^2$ with
    $z - \sigma(z) = s$; both are solved in z.

    Source: Carlile et al. (2017).
    """

    separable: ClassVar[bool] = True
    end: ClassVar[float] = 1.0
    cubic: ClassVar[float] = 2.0

    def value(self, u: Float[Array, "..."]) -> Float[Array, ""]:
        inside = jnp.abs(u) <= 1
        inner = jnp.abs(u) < 1  # the root has an infinite slope at the ends
        w = jnp.where(inner, u, 0)
        square = w * w
        psi = 0.5 * (square / (1 + jnp.sqrt(1 - square))) ** 2
        return jnp.sum(jnp.where(inner, psi, jnp.where(inside, 0.5, jnp.inf)))

    def activation(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        return z / jnp.sqrt(1 + z * z)

    def phi_conjugate(self, z: Float[Array, "..."]) -> Float[Array, ""]:
        return jnp.sum(z * z / (1 + jnp.sqrt(1 + z * z)))

    def _bend(self, z: Array) -> Array:
        return -jnp.expm1(-1.5 * jnp.log1p(z * z))

    def _gap(self, z: Array) -> Array:
        r = jnp.sqrt(1 + z * z)
        return z * (z / r) * (z / (1 + r))
