"""The identity."""

import math
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.potentials._piecewise_linear import AbstractPiecewiseLinear, Pieces
from liftax.potentials._potential import Tau


class Identity(AbstractPiecewiseLinear):
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

    def pieces(self) -> Pieces:
        return ((-math.inf, math.inf, 1.0, 0.0),)
