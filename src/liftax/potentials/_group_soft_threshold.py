"""Soft-thresholding of the norms of groups."""

import math
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.potentials._norms import norm
from liftax.potentials._potential import AbstractPotential, Intervals, Tau


class GroupSoftThreshold(AbstractPotential):
    r"""$\Psi(u) = \rho\sum_g\|u_g\|_2$; σ scales every group by $\max(1 - \rho/\|z_g\|, 0)$.

    $\mathrm{prox}_{\tau\Psi}$ does so by τρ; $\varphi^*(z) = \frac12\sum_g\max(\|z_g\|-\rho, 0)^2$;
    $\Psi^*(s) = 0$ if every $\|s_g\| \le \rho$, else $+\infty$.

    Attributes:
        threshold: $\rho \ge 0$; an array broadcasts against the norms, which have length 1 along
            the axis.
        axis: The axis, or the axes, of the example that a group takes.

    Raises:
        ValueError: for a negative threshold.

    Source: Yuan & Lin (2006).
    """

    separable: ClassVar[bool] = False
    learnable: ClassVar[Intervals] = {"threshold": (0.0, math.inf)}
    threshold: float | Float[Array, "..."] = 1.0
    axis: int | tuple[int, ...] = eqx.field(static=True, default=-1)

    def __check_init__(self) -> None:
        if isinstance(self.threshold, int | float) and not self.threshold >= 0:
            raise ValueError(f"threshold must be at least 0, got {self.threshold}; Ψ is not convex")

    def value(self, u: Float[Array, "..."]) -> Float[Array, ""]:
        return jnp.sum(jnp.asarray(self.threshold, u.dtype) * norm(u, self.axis))

    def prox(self, v: Float[Array, "..."], tau: Tau) -> Float[Array, "..."]:
        amount = jnp.asarray(tau, v.dtype) * jnp.asarray(self.threshold, v.dtype)
        size = norm(v, self.axis)
        over = size > amount
        return jnp.where(over, (size - amount) / jnp.where(over, size, 1), 0) * v

    def conjugate(self, s: Float[Array, "..."]) -> Float[Array, ""]:
        inside = norm(s, self.axis) <= jnp.asarray(self.threshold, s.dtype)
        return jnp.sum(jnp.where(inside, jnp.zeros((), s.dtype), jnp.inf))

    def activation(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        return self.prox(z, 1.0)

    def phi_conjugate(self, z: Float[Array, "..."]) -> Float[Array, ""]:
        rho = jnp.asarray(self.threshold, z.dtype)
        return 0.5 * jnp.sum(jnp.maximum(norm(z, self.axis) - rho, 0) ** 2)
