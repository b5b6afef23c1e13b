"""The logistic sigmoid."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.potentials._potential import AbstractPotential, Tau
from liftax.potentials._scalar import best_tangent, increasing_root

VANISHED = -100.0  # a point where e^z no longer counts


class Sigmoid(AbstractPotential):
    r"""$\Psi(u) = \sum u\log u + (1-u)\log(1-u) - \frac12u^2$ on $[0, 1]$; σ is logistic.

    The entropy part is $\varphi$, zero at both ends; $\varphi^*(z) = \sum\log(1+e^z)$.
    $\mathrm{prox}_{\tau\Psi}(v) = \sigma(z)$ with $(1-\tau)\sigma(z) + \tau z = v$, solved in z.
    $\Psi^*(s) = \sum\log(1+e^z) - \frac12\sigma(z)^2$ with $z - \sigma(z) = s$.
    """

    separable: ClassVar[bool] = True

    def value(self, u: Float[Array, "..."]) -> Float[Array, ""]:
        inside = (u >= 0) & (u <= 1)
        w = jnp.where(inside, u, 0)
        # Imported here: it would take a third of the time of `import liftax`.
        from jax.scipy.special import xlog1py, xlogy

        psi = xlogy(w, w) + xlog1py(1 - w, -w) - 0.5 * w * w
        return jnp.sum(jnp.where(inside, psi, jnp.inf))

    def prox(self, v: Float[Array, "..."], tau: Tau) -> Float[Array, "..."]:
        t = jnp.asarray(tau, v.dtype)
        # (v, u) -> (1-t-v, 1-u) is a symmetry; z <= 0 keeps small u relatively exact
        mirrored = v > 0.5 * (1 - t)
        w = jnp.where(mirrored, 1 - t - v, v)
        knee = jnp.log(jnp.minimum(t, 1))
        start = best_tangent(_prox_equation, (w, t), (0.0, knee, VANISHED), 1 - t)
        e = jnp.exp(increasing_root(_prox_equation, (w, t), start))
        return jnp.where(mirrored, 1, e) / (1 + e)

    def conjugate(self, s: Float[Array, "..."]) -> Float[Array, ""]:
        z = increasing_root(_dual_equation, s, s + 0.5)
        return self.phi_conjugate(z) - 0.5 * jnp.sum(jax.nn.sigmoid(z) ** 2)

    def activation(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        return jax.nn.sigmoid(z)

    def phi_conjugate(self, z: Float[Array, "..."]) -> Float[Array, ""]:
        return jnp.sum(jnp.logaddexp(z, jnp.zeros_like(z)))


def _prox_equation(z: Array, data: tuple[Array, Array]) -> tuple[Array, Array]:
    """The residual of (1-t) sigmoid(z) + t z = v on z <= 0, convex for t < 1 and concave above."""
    v, t = data
    e = jnp.exp(z)
    u = e / (1 + e)
    return (1 - t) * u + t * z - v, t + (1 - t) * u / (1 + e)


def _dual_equation(z: Array, s: Array) -> tuple[Array, Array]:
    """The residual of z - sigmoid(z) = s."""
    u = jax.nn.sigmoid(z)
    return z - u - s, 1 - u * (1 - u)
