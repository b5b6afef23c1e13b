"""Odd activations that saturate: what arctan and the inverse square root unit share."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.potentials._potential import AbstractPotential, Tau
from liftax.potentials._scalar import best_tangent, increasing_root

FAR = 1e6  # a point where the activation has saturated


class AbstractSaturating(AbstractPotential):
    r"""σ is odd, concave on $z \ge 0$, bounded by `end`, and $z - \sigma(z) \approx z^3/c$ near 0.

    $\mathrm{prox}_{\tau\Psi}(v) = \sigma(z)$ with $(1-\tau)\sigma(z) + \tau z = v$, solved in z;
    $\Psi^*(s) = \varphi^*(z) - \frac12\|\sigma(z)\|^2$ with $z - \sigma(z) = s$.
    """

    end: eqx.AbstractClassVar[float]
    cubic: eqx.AbstractClassVar[float]

    @abc.abstractmethod
    def _bend(self, z: Array) -> Array:
        r"""$1 - \sigma'(z)$ without cancellation."""

    @abc.abstractmethod
    def _gap(self, z: Array) -> Array:
        r"""$z - \sigma(z)$ without cancellation."""

    def prox(self, v: Float[Array, "..."], tau: Tau) -> Float[Array, "..."]:
        t, size = jnp.asarray(tau, v.dtype), jnp.abs(v)
        # concave on z >= 0 for t < 1, convex above; the knee is where one part takes over
        knee = jnp.sqrt(jnp.maximum(1 - t, 0) / t) + jnp.where(t > 1, 1 / jnp.sqrt(t), 0)
        start = best_tangent(self._prox_equation, (size, t), (0.0, knee, FAR), t - 1)
        start = jnp.where(v < 0, -start, start)
        return self.activation(increasing_root(self._prox_equation, (v, t), start))

    def conjugate(self, s: Float[Array, "..."]) -> Float[Array, ""]:
        size = jnp.abs(s)
        # z - σ(z) is convex for z > 0, below z³/c and above z - end
        start = jnp.where(size < 0.5, jnp.cbrt(self.cubic * size), size + self.end)
        z = increasing_root(self._dual_equation, size, start)
        return self.phi_conjugate(z) - 0.5 * jnp.sum(self.activation(z) ** 2)

    def _prox_equation(self, z: Array, data: tuple[Array, Array]) -> tuple[Array, Array]:
        """The residual of (1-t) σ(z) + t z = v, written so that no two terms cancel for any t."""
        v, t = data
        bounded, linear, more = jnp.maximum(1 - t, 0), jnp.minimum(t, 1), jnp.maximum(t - 1, 0)
        value = bounded * self.activation(z) + linear * z + more * self._gap(z)
        bend = self._bend(z)
        return value - v, bounded * (1 - bend) + linear + more * bend

    def _dual_equation(self, z: Array, s: Array) -> tuple[Array, Array]:
        """The residual of z - σ(z) = s; the slope vanishes at 0, where the root is 0 as well."""
        slope = self._bend(z)
        return self._gap(z) - s, jnp.where(slope > 0, slope, 1)
