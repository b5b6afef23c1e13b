"""The elastic net: an ℓ1 norm and a squared ℓ2 norm."""

import math
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.potentials._piecewise_linear import AbstractPiecewiseLinear, Pieces
from liftax.potentials._potential import Intervals, Tau


class ElasticNet(AbstractPiecewiseLinear):
    r"""$\Psi(u) = \rho\|u\|_1 + \frac\mu2\|u\|^2$; σ soft-thresholds by ρ and divides by $1+\mu$.

    $\mathrm{prox}_{\tau\Psi}(v)$ soft-thresholds by τρ and divides by $1 + \tau\mu$.
    $\varphi^*(z) = \frac1{2(1+\mu)}\sum\max(|z| - \rho, 0)^2$; $\Psi^*(s)$ the same with μ in place
    of $1+\mu$. `ElasticNet(0.0, mu)` is weight decay, the squared norm alone.

    Attributes:
        l1: $\rho \ge 0$.
        l2: $\mu \ge 0$; both broadcast against the example.

    Raises:
        ValueError: for a negative weight.

    Source: Zou & Hastie (2005).
    """

    separable: ClassVar[bool] = True
    learnable: ClassVar[Intervals] = {"l1": (0.0, math.inf), "l2": (0.0, math.inf)}
    l1: float | Float[Array, "..."]
    l2: float | Float[Array, "..."]

    def __check_init__(self) -> None:
        for name, weight in (("l1", self.l1), ("l2", self.l2)):
            if isinstance(weight, int | float) and not weight >= 0:
                raise ValueError(f"{name} must be at least 0, got {weight}; Ψ is not convex")

    def value(self, u: Float[Array, "..."]) -> Float[Array, ""]:
        rho, mu = self._weights(u)
        return jnp.sum(rho * jnp.abs(u) + 0.5 * mu * u * u)

    def prox(self, v: Float[Array, "..."], tau: Tau) -> Float[Array, "..."]:
        rho, mu = self._weights(v)
        t = jnp.asarray(tau, v.dtype)
        return (v - jnp.clip(v, -t * rho, t * rho)) / (1 + t * mu)

    def conjugate(self, s: Float[Array, "..."]) -> Float[Array, ""]:
        rho, mu = self._weights(s)
        over = jnp.maximum(jnp.abs(s) - rho, 0)
        parabola = jnp.where(mu > 0, 0.5 / jnp.where(mu > 0, mu, 1) * over * over, jnp.inf)
        return jnp.sum(jnp.where(over > 0, parabola, 0))

    def activation(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        return self.prox(z, 1.0)

    def phi_conjugate(self, z: Float[Array, "..."]) -> Float[Array, ""]:
        rho, mu = self._weights(z)
        return 0.5 * jnp.sum(jnp.maximum(jnp.abs(z) - rho, 0) ** 2 / (1 + mu))

    def pieces(self) -> Pieces:
        rho, slope = self.l1, 1 / (1 + self.l2)
        return (
            (-math.inf, -rho, slope, slope * rho),
            (-rho, rho, 0.0, 0.0),
            (rho, math.inf, slope, -slope * rho),
        )

    def _weights(self, u: Float[Array, "..."]) -> tuple[Array, Array]:
        return jnp.asarray(self.l1, u.dtype), jnp.asarray(self.l2, u.dtype)
