"""The largest entry."""

import math
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.potentials._potential import AbstractPotential, Intervals, Tau
from liftax.potentials._rounding import slack
from liftax.potentials._simplex import excess


class MaxAffine(AbstractPotential):
    r"""$\Psi(u) = w\max_i u_i$ along the last axis; σ cuts the largest entries to one level.

    $\mathrm{prox}_{\tau\Psi}(v) = \min(v, \lambda)$ with $\sum_i\max(v_i - \lambda, 0) = \tau w$
    (Moreau's identity and the projection on a simplex). $\varphi^*(z) = \frac12\|\sigma(z)\|^2$;
    $\Psi^*(s) = 0$ if $s \ge 0$ and $\sum_i s_i = w$ up to rounding, else $+\infty$. Of an affine
    map of u it is a maximum of affine functions.

    Attributes:
        weight: $w > 0$; an array broadcasts against the maxima, which have length 1 along the axis.

    Raises:
        ValueError: unless the weight is positive.
    """

    separable: ClassVar[bool] = False
    learnable: ClassVar[Intervals] = {"weight": (0.0, math.inf)}
    weight: float | Float[Array, "..."] = 1.0

    def __check_init__(self) -> None:
        if isinstance(self.weight, int | float) and not self.weight > 0:
            raise ValueError(f"weight must be positive, got {self.weight}; for 0 use Identity()")

    def value(self, u: Float[Array, "... n"]) -> Float[Array, ""]:
        return jnp.sum(jnp.asarray(self.weight, u.dtype) * jnp.max(u, -1, keepdims=True))

    def prox(self, v: Float[Array, "... n"], tau: Tau) -> Float[Array, "... n"]:
        mass = jnp.asarray(tau, v.dtype) * jnp.asarray(self.weight, v.dtype)
        return jnp.minimum(v, excess(v, mass)[1])

    def conjugate(self, s: Float[Array, "... n"]) -> Float[Array, ""]:
        mass = jnp.asarray(self.weight, s.dtype)
        near = jnp.abs(jnp.sum(s, -1, keepdims=True) - mass) <= slack(s) * s.shape[-1] * mass
        inside = jnp.all(near) & jnp.all(s >= 0)
        return jnp.where(inside, jnp.zeros((), s.dtype), jnp.inf)

    def activation(self, z: Float[Array, "... n"]) -> Float[Array, "... n"]:
        return self.prox(z, 1.0)

    def phi_conjugate(self, z: Float[Array, "... n"]) -> Float[Array, ""]:
        return 0.5 * jnp.sum(self.activation(z) ** 2)
