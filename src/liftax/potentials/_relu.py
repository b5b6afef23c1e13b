"""The rectified linear unit."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.potentials._piecewise_linear import AbstractPiecewiseLinear, Pieces
from liftax.potentials._potential import Tau


class ReLU(AbstractPiecewiseLinear):
    r"""Ψ is 0 for $u \ge 0$, else $+\infty$; σ and $\mathrm{prox}_{\tau\Psi}$ are $\max(\cdot, 0)$.

    $\Psi^*(s) = 0$ for $s \le 0$, else $+\infty$; $\varphi^*(z) = \frac12\|\max(z, 0)\|^2$.
    """

    separable: ClassVar[bool] = True

    def value(self, u: Float[Array, "..."]) -> Float[Array, ""]:
        return jnp.sum(jnp.where(u >= 0, jnp.zeros_like(u), jnp.inf))

    def prox(self, v: Float[Array, "..."], tau: Tau) -> Float[Array, "..."]:
        return jax.nn.relu(v)

    def conjugate(self, s: Float[Array, "..."]) -> Float[Array, ""]:
        return jnp.sum(jnp.where(s <= 0, jnp.zeros_like(s), jnp.inf))

    def activation(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        return jax.nn.relu(z)

    def phi_conjugate(self, z: Float[Array, "..."]) -> Float[Array, ""]:
        return 0.5 * jnp.sum(jax.nn.relu(z) ** 2)

    def pieces(self) -> Pieces:
        return ((-math.inf, 0.0, 0.0, 0.0), (0.0, math.inf, 1.0, 0.0))
