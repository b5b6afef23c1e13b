"""The hard sigmoid."""

import math
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.potentials._clipped import clipped
from liftax.potentials._piecewise_linear import AbstractPiecewiseLinear, Pieces
from liftax.potentials._potential import Intervals, Tau


class HardSigmoid(AbstractPiecewiseLinear):
    r"""$\sigma(z) = \mathrm{clip}(az + \frac12, 0, 1)$ with the slope $a \in (0, 1]$.

    $\Psi(u) = \sum \frac1{2a}(u - \frac12)^2 - \frac12u^2$ on $[0, 1]$, else $+\infty$;
    $\mathrm{prox}_{\tau\Psi}(v) = \mathrm{clip}((av + \frac\tau2)/(a + \tau(1-a)), 0, 1)$.
    $\varphi^*(z) = \sum uz - \frac1{2a}(u - \frac12)^2$ with $u = \sigma(z)$. $\Psi^*(s)$ likewise
    with $u = \mathrm{clip}((as + \frac12)/(1 - a), 0, 1)$.

    Attributes:
        slope: $a$; 1/6 as in most libraries, 1/4 is the slope of the logistic function at 0.

    Raises:
        ValueError: for a slope outside (0, 1]: above 1 the activation is not 1-Lipschitz.
    """

    separable: ClassVar[bool] = True
    learnable: ClassVar[Intervals] = {"slope": (1e-3, 1.0)}
    slope: float | Float[Array, "..."] = 1 / 6

    def __check_init__(self) -> None:
        if isinstance(self.slope, int | float) and not 0 < self.slope <= 1:
            raise ValueError(f"slope must lie in (0, 1], got {self.slope}; take 1/6 or 1/4")

    def value(self, u: Float[Array, "..."]) -> Float[Array, ""]:
        inside = (u >= 0) & (u <= 1)
        w = jnp.where(inside, u, 0)
        return jnp.sum(jnp.where(inside, self._parabola(w) - 0.5 * w * w, jnp.inf))

    def prox(self, v: Float[Array, "..."], tau: Tau) -> Float[Array, "..."]:
        a, t = jnp.asarray(self.slope, v.dtype), jnp.asarray(tau, v.dtype)
        return jnp.clip((a * v + 0.5 * t) / (a + t * (1 - a)), 0, 1)

    def conjugate(self, s: Float[Array, "..."]) -> Float[Array, ""]:
        a = jnp.asarray(self.slope, s.dtype)
        top = a * s + 0.5  # u = top / (1 - a), which may be 1/0
        inner = top / jnp.where(a < 1, 1 - a, 1)
        u = jnp.where(top <= 0, 0, jnp.where(top >= 1 - a, 1, inner))
        return jnp.sum(u * s - (self._parabola(u) - 0.5 * u * u))

    def activation(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        return clipped(jnp.asarray(self.slope, z.dtype) * z + 0.5, 0, 1)

    def phi_conjugate(self, z: Float[Array, "..."]) -> Float[Array, ""]:
        u = self.activation(z)
        return jnp.sum(u * z - self._parabola(u))

    def pieces(self) -> Pieces:
        end = 0.5 / self.slope
        return (
            (-math.inf, -end, 0.0, 0.0),
            (-end, end, self.slope, 0.5),
            (end, math.inf, 0.0, 1.0),
        )

    def _parabola(self, u: Float[Array, "..."]) -> Float[Array, "..."]:
        return 0.5 / jnp.asarray(self.slope, u.dtype) * (u - 0.5) ** 2
