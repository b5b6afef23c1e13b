"""Soft-thresholding."""

import math
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.potentials._clipped import clipped
from liftax.potentials._piecewise_linear import AbstractPiecewiseLinear, Pieces
from liftax.potentials._potential import Intervals, Tau


class SoftThreshold(AbstractPiecewiseLinear):
    r"""$\Psi(u) = \rho\|u\|_1$; $\mathrm{prox}_{\tau\Psi}$ moves entries towards 0 by τρ, σ by ρ.

    $\Psi^*(s) = 0$ if $|s| \le \rho$, else $+\infty$; $\varphi^*(z) = \frac12\|\sigma(z)\|^2$.

    Attributes:
        threshold: $\rho \ge 0$; an array broadcasts against the example (one threshold a channel).

    Raises:
        ValueError: for a negative threshold.
    """

    separable: ClassVar[bool] = True
    learnable: ClassVar[Intervals] = {"threshold": (0.0, math.inf)}
    threshold: float | Float[Array, "..."] = 1.0

    def __check_init__(self) -> None:
        if isinstance(self.threshold, int | float) and not self.threshold >= 0:
            raise ValueError(f"threshold must be at least 0, got {self.threshold}; Ψ is not convex")

    def value(self, u: Float[Array, "..."]) -> Float[Array, ""]:
        return jnp.sum(jnp.asarray(self.threshold, u.dtype) * jnp.abs(u))

    def prox(self, v: Float[Array, "..."], tau: Tau) -> Float[Array, "..."]:
        return _shrink(v, jnp.asarray(tau, v.dtype) * jnp.asarray(self.threshold, v.dtype))

    def conjugate(self, s: Float[Array, "..."]) -> Float[Array, ""]:
        rho = jnp.asarray(self.threshold, s.dtype)
        return jnp.sum(jnp.where(jnp.abs(s) <= rho, jnp.zeros_like(s), jnp.inf))

    def activation(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        return _shrink(z, jnp.asarray(self.threshold, z.dtype))

    def phi_conjugate(self, z: Float[Array, "..."]) -> Float[Array, ""]:
        return 0.5 * jnp.sum(self.activation(z) ** 2)

    def pieces(self) -> Pieces:
        rho = self.threshold
        return (
            (-math.inf, -rho, 1.0, rho),
            (-rho, rho, 0.0, 0.0),
            (rho, math.inf, 1.0, -rho),
        )


def _shrink(v: Array, amount: Array) -> Array:
    """Every entry moved towards 0 by the amount: v minus its projection on [-amount, amount]."""
    return v - clipped(v, -amount, amount)
