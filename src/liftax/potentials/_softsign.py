"""The softsign."""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.potentials._potential import AbstractPotential, Tau


class Softsign(AbstractPotential):
    r"""$\Psi(u) = \sum -|u| - \log(1-|u|) - \frac12u^2$ for $|u| < 1$; $\sigma(z) = z/(1+|z|)$.

    $\mathrm{prox}_{\tau\Psi}(v) = 2v/(1+|v| + \sqrt{(1-|v|)^2 + 4\tau|v|})$; results stay below 1,
    where Ψ is infinite, by rounding down. $\varphi^*(z) = \sum |z| - \log(1+|z|)$. $\Psi^*(s) =
    \varphi^*(z) - \frac12\|\sigma(z)\|^2$ with $|z| = \frac12(|s| + \sqrt{s^2 + 4|s|})$, which
    solves $z - \sigma(z) = s$.
    """

    separable: ClassVar[bool] = True

    def value(self, u: Float[Array, "..."]) -> Float[Array, ""]:
        inside = jnp.abs(u) < 1
        size = jnp.where(inside, jnp.abs(u), 0)
        psi = -size - jnp.log1p(-size) - 0.5 * size * size
        return jnp.sum(jnp.where(inside, psi, jnp.inf))

    def prox(self, v: Float[Array, "..."], tau: Tau) -> Float[Array, "..."]:
        t, size = jnp.asarray(tau, v.dtype), jnp.abs(v)
        # (1-t) u² - (1+v) u + v = 0 for v >= 0, the smaller root
        return _below_one(2 * v / (1 + size + jnp.sqrt((1 - size) ** 2 + 4 * t * size)))

    def conjugate(self, s: Float[Array, "..."]) -> Float[Array, ""]:
        size = jnp.abs(s)
        positive = size > 0  # the root has an infinite slope at 0
        w = jnp.where(positive, size, 1)
        z = jnp.where(positive, 0.5 * (w + jnp.sqrt(w * w + 4 * w)), 0)
        return self.phi_conjugate(z) - 0.5 * jnp.sum((z / (1 + z)) ** 2)

    def activation(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        return _below_one(z / (1 + jnp.abs(z)))

    def phi_conjugate(self, z: Float[Array, "..."]) -> Float[Array, ""]:
        return jnp.sum(jnp.abs(z) - jnp.log1p(jnp.abs(z)))


def _below_one(u: Array) -> Array:
    largest = 1 - float(jnp.finfo(u.dtype).eps)
    return jnp.clip(u, -largest, largest)
