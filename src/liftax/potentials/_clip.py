"""Clipping to an interval."""

import math
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.potentials._clipped import clipped
from liftax.potentials._piecewise_linear import AbstractPiecewiseLinear, Pieces
from liftax.potentials._potential import Intervals, Tau


class Clip(AbstractPiecewiseLinear):
    r"""Ψ is 0 on $[l, h]$, else $+\infty$; σ and $\mathrm{prox}_{\tau\Psi}$ clip to $[l, h]$.

    Hard tanh with the defaults, ReLU6 with `Clip(0.0, 6.0)`. $\Psi^*(s) = \sum\max(ls, hs)$ and
    $\varphi^*(z) = \sum z\,\sigma(z) - \frac12\sigma(z)^2$.

    Attributes:
        low: $l$.
        high: $h$.

    Raises:
        ValueError: unless low < high are finite numbers.
    """

    separable: ClassVar[bool] = True
    learnable: ClassVar[Intervals] = {
        "low": (-math.inf, math.inf),
        "high": (-math.inf, math.inf),
    }
    low: float | Float[Array, "..."] = -1.0
    high: float | Float[Array, "..."] = 1.0

    def __check_init__(self) -> None:
        low, high = self.low, self.high
        for name, end in (("low", low), ("high", high)):
            if isinstance(end, int | float) and not math.isfinite(end):
                raise ValueError(f"{name} must be finite, got {end}; for half-lines use ReLU()")
        if isinstance(low, int | float) and isinstance(high, int | float) and not low < high:
            raise ValueError(f"low must be less than high, got low={low}, high={high}; swap them")

    def value(self, u: Float[Array, "..."]) -> Float[Array, ""]:
        low, high = self._ends(u)
        return jnp.sum(jnp.where((u >= low) & (u <= high), jnp.zeros_like(u), jnp.inf))

    def prox(self, v: Float[Array, "..."], tau: Tau) -> Float[Array, "..."]:
        return self.activation(v)

    def conjugate(self, s: Float[Array, "..."]) -> Float[Array, ""]:
        low, high = self._ends(s)
        return jnp.sum(jnp.where(s < 0, low, high) * s)

    def activation(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        return clipped(z, *self._ends(z))

    def phi_conjugate(self, z: Float[Array, "..."]) -> Float[Array, ""]:
        low, high = self._ends(z)
        above = jnp.where(z > high, high * (z - 0.5 * high), 0.5 * z * z)
        return jnp.sum(jnp.where(z < low, low * (z - 0.5 * low), above))

    def pieces(self) -> Pieces:
        low, high = self.low, self.high
        return (
            (-math.inf, low, 0.0, low),
            (low, high, 1.0, 0.0),
            (high, math.inf, 0.0, high),
        )

    def _ends(self, u: Float[Array, "..."]) -> tuple[Array, Array]:
        return jnp.asarray(self.low, u.dtype), jnp.asarray(self.high, u.dtype)
