"""The leaky rectified linear unit."""

import math
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.potentials._piecewise_linear import AbstractPiecewiseLinear, Pieces
from liftax.potentials._potential import Intervals, Tau


class LeakyReLU(AbstractPiecewiseLinear):
    r"""$\Psi(u) = \sum \frac12(\frac1a - 1)\min(u, 0)^2$ with the slope $a \in (0, 1]$.

    $\mathrm{prox}_{\tau\Psi}(v) = v$ for $v \ge 0$ and $av/(a + \tau(1-a))$ below, so there
    $\sigma(z) = az$. $\varphi^*(z) = \sum\frac12 z\,\sigma(z)$. $\Psi^*(s)$ is
    $\sum\frac{a}{2(1-a)}s^2$ for $s \le 0$, else $+\infty$.

    Attributes:
        slope: $a$.

    Raises:
        ValueError: for a slope outside (0, 1]: above 1 the activation is not 1-Lipschitz, below 0
            it is not monotone, and 0 is `ReLU`.
    """

    separable: ClassVar[bool] = True
    learnable: ClassVar[Intervals] = {"slope": (1e-3, 1.0)}
    slope: float | Float[Array, "..."] = 0.01

    def __check_init__(self) -> None:
        if isinstance(self.slope, int | float) and not 0 < self.slope <= 1:
            raise ValueError(f"slope must lie in (0, 1], got {self.slope}; for 0 use ReLU()")

    def value(self, u: Float[Array, "..."]) -> Float[Array, ""]:
        a = jnp.asarray(self.slope, u.dtype)
        return 0.5 * jnp.sum((1 / a - 1) * jnp.minimum(u, 0) ** 2)

    def prox(self, v: Float[Array, "..."], tau: Tau) -> Float[Array, "..."]:
        a, t = jnp.asarray(self.slope, v.dtype), jnp.asarray(tau, v.dtype)
        return jnp.where(v >= 0, v, a / (a + t * (1 - a)) * v)

    def conjugate(self, s: Float[Array, "..."]) -> Float[Array, ""]:
        a = jnp.asarray(self.slope, s.dtype)
        negative = s < 0  # 0/0 at s = 0, a = 1 otherwise
        parabola = 0.5 * a / jnp.where(negative, 1 - a, 1) * s * s
        return jnp.sum(jnp.where(negative, parabola, jnp.where(s > 0, jnp.inf, 0)))

    def activation(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.where(z >= 0, z, jnp.asarray(self.slope, z.dtype) * z)

    def phi_conjugate(self, z: Float[Array, "..."]) -> Float[Array, ""]:
        return 0.5 * jnp.sum(z * self.activation(z))

    def pieces(self) -> Pieces:
        return ((-math.inf, 0.0, self.slope, 0.0), (0.0, math.inf, 1.0, 0.0))
