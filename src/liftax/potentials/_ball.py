"""Projection on a Euclidean ball."""

import math
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.potentials._norms import Axes, norm
from liftax.potentials._potential import AbstractPotential, Intervals, Tau
from liftax.potentials._rounding import slack


class Ball(AbstractPotential):
    r"""Ψ is 0 where $\|u\|_2 \le r$, else $+\infty$; σ and $\mathrm{prox}_{\tau\Psi}$ project.

    $\Psi^*(s) = r\|s\|$; $\varphi^*(z) = \frac12\|z\|^2$ inside, $r\|z\| - \frac12r^2$ outside,
    summed over the balls if there are many. Norms that exceed r by rounding are in the domain.

    Attributes:
        radius: $r > 0$; an array broadcasts against the norms, which have length 1 along the axes.
        axes: The axes of the example along which the norm is taken, None for all: `Ball(r, axes=0)`
            of an image with its channels first has one ball a pixel.

    Raises:
        ValueError: unless the radius is positive.
    """

    separable: ClassVar[bool] = False
    learnable: ClassVar[Intervals] = {"radius": (0.0, math.inf)}
    radius: float | Float[Array, "..."] = 1.0
    axes: Axes = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        if isinstance(self.radius, int | float) and not self.radius > 0:
            raise ValueError(f"radius must be positive, got {self.radius}; take a larger one")

    def value(self, u: Float[Array, "..."]) -> Float[Array, ""]:
        inside = norm(u, self.axes) <= jnp.asarray(self.radius, u.dtype) * (1 + slack(u))
        return jnp.sum(jnp.where(inside, jnp.zeros((), u.dtype), jnp.inf))

    def prox(self, v: Float[Array, "..."], tau: Tau) -> Float[Array, "..."]:
        return self.activation(v)

    def conjugate(self, s: Float[Array, "..."]) -> Float[Array, ""]:
        return jnp.sum(jnp.asarray(self.radius, s.dtype) * norm(s, self.axes))

    def activation(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        size, r = norm(z, self.axes), jnp.asarray(self.radius, z.dtype)
        outside = size > r
        # The quotient last: XLA keeps it for all entries along the axes.
        return jnp.where(outside, r, 1) / jnp.where(outside, size, 1) * z

    def phi_conjugate(self, z: Float[Array, "..."]) -> Float[Array, ""]:
        size = norm(z, self.axes)
        nearest = jnp.minimum(size, jnp.asarray(self.radius, z.dtype))
        return jnp.sum(nearest * (size - 0.5 * nearest))
