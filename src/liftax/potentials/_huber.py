"""The Huber function."""

import math
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.potentials._piecewise_linear import AbstractPiecewiseLinear, Pieces
from liftax.potentials._potential import Intervals, Tau


class Huber(AbstractPiecewiseLinear):
    r"""$\Psi = w\sum h_\delta(u)$; $h_\delta$ is $\frac12u^2$ to δ, then $\delta|u| - \delta^2/2$.

    $\mathrm{prox}_{\tau\Psi}(v)$ is $v/(1+\tau w)$ if $|v| \le \delta(1+\tau w)$, else v moved by
    $\tau w\delta$ towards 0; σ is that at τ = 1. $\varphi^*(z) = \langle u, z\rangle - \varphi(u)$
    at $u = \sigma(z)$. $\Psi^*(s) = \frac1{2w}\|s\|^2$ if $|s| \le w\delta$, else $+\infty$.

    Attributes:
        delta: $\delta > 0$.
        weight: $w > 0$; both broadcast against the example.

    Raises:
        ValueError: unless both are positive.

    Source: Huber (1964).
    """

    separable: ClassVar[bool] = True
    learnable: ClassVar[Intervals] = {"delta": (1e-3, math.inf), "weight": (1e-3, math.inf)}
    delta: float | Float[Array, "..."] = 1.0
    weight: float | Float[Array, "..."] = 1.0

    def __check_init__(self) -> None:
        for name, number in (("delta", self.delta), ("weight", self.weight)):
            if isinstance(number, int | float) and not number > 0:
                raise ValueError(f"{name} must be positive, got {number}; without Ψ use Identity()")

    def value(self, u: Float[Array, "..."]) -> Float[Array, ""]:
        delta, weight = self._numbers(u)
        inner = jnp.minimum(jnp.abs(u), delta)
        return jnp.sum(weight * inner * (jnp.abs(u) - 0.5 * inner))

    def prox(self, v: Float[Array, "..."], tau: Tau) -> Float[Array, "..."]:
        delta, weight = self._numbers(v)
        t = jnp.asarray(tau, v.dtype) * weight
        near = jnp.abs(v) <= delta * (1 + t)
        return jnp.where(near, v / (1 + t), v - jnp.sign(v) * t * delta)

    def conjugate(self, s: Float[Array, "..."]) -> Float[Array, ""]:
        delta, weight = self._numbers(s)
        inside = jnp.abs(s) <= weight * delta
        return jnp.sum(jnp.where(inside, 0.5 / weight * s * s, jnp.inf))

    def activation(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        return self.prox(z, 1.0)

    def phi_conjugate(self, z: Float[Array, "..."]) -> Float[Array, ""]:
        delta, weight = self._numbers(z)
        size, cut = jnp.abs(z), weight * delta
        near = 0.5 / (1 + weight) * size * size
        far = 0.5 * (size - cut) ** 2 + 0.5 * cut * delta
        return jnp.sum(jnp.where(size <= delta + cut, near, far))

    def pieces(self) -> Pieces:
        cut, end = self.weight * self.delta, (1 + self.weight) * self.delta
        return (
            (-math.inf, -end, 1.0, cut),
            (-end, end, 1 / (1 + self.weight), 0.0),
            (end, math.inf, 1.0, -cut),
        )

    def _numbers(self, u: Float[Array, "..."]) -> tuple[Array, Array]:
        return jnp.asarray(self.delta, u.dtype), jnp.asarray(self.weight, u.dtype)
