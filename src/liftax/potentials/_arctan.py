"""The arc tangent."""

import math
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.potentials._saturating import AbstractSaturating

LEVELS = 9  # of the continued fraction of arctan, for |z| <= 1/3


class Arctan(AbstractSaturating):
    r"""$\Psi(u) = \sum -\log\cos u - \frac12u^2$ for $|u| < \frac\pi2$; σ is arctan.

    Results stay below $\frac\pi2$, where Ψ is infinite, by rounding down.
    $\varphi^*(z) = \sum z\arctan z - \frac12\log(1+z^2)$. $\mathrm{prox}_{\tau\Psi}(v) =
    \sigma(z)$ with $(1-\tau)\sigma(z) + \tau z = v$; $\Psi^*(s) = \varphi^*(z) -
    \frac12\|\sigma(z)\|^2$ with $z - \sigma(z) = s$; both are solved in z.
    """

    separable: ClassVar[bool] = True
    end: ClassVar[float] = math.pi / 2
    cubic: ClassVar[float] = 3.0

    def value(self, u: Float[Array, "..."]) -> Float[Array, ""]:
        inside = jnp.abs(u) < self.end
        w = jnp.where(inside, u, 0)
        small = jnp.abs(w) < 0.8
        sine = jnp.sin(jnp.where(small, w, 0))  # cos u rounds to 1
        phi = -0.5 * jnp.log1p(-sine * sine) - jnp.log(jnp.cos(jnp.where(small, 0, w)))
        return jnp.sum(jnp.where(inside, phi - 0.5 * w * w, jnp.inf))

    def activation(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        largest = self.end * (1 - float(jnp.finfo(z.dtype).eps))
        return jnp.clip(jnp.arctan(z), -largest, largest)

    def phi_conjugate(self, z: Float[Array, "..."]) -> Float[Array, ""]:
        return jnp.sum(z * jnp.arctan(z) - 0.5 * jnp.log1p(z * z))

    def _bend(self, z: Array) -> Array:
        return z * z / (1 + z * z)

    def _gap(self, z: Array) -> Array:
        # arctan z = z / (1 + x / b) with x = z², b = 3 + 4x / (5 + 9x / (7 + ...))
        x = jnp.minimum(z * z, 1 / 9)
        b = jnp.full_like(z, 2 * LEVELS + 3)
        for k in range(LEVELS, 0, -1):
            b = 2 * k + 1 + (k + 1) ** 2 * x / b
        return jnp.where(z * z < 1 / 9, z * x / (b + x), z - jnp.arctan(z))
