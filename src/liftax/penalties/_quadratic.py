"""The quadratic penalty of the method of auxiliary coordinates."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax._solution import NoClosedForm
from liftax.penalties._penalty import AbstractPenalty
from liftax.potentials import AbstractPiecewiseLinear, AbstractPotential


class Quadratic(AbstractPenalty):
    r"""MAC-QP: $\frac12\|u - \sigma(z)\|^2$, with $\nabla_z C = \sigma'(z)^\top(\sigma(z) - u)$.

    The only penalty here that differentiates the activation. The curvature in $z$ is not bounded by
    one as with the others (it is for piecewise linear activations), so that steps from Lipschitz
    constants carry no promise of descent for curved activations.

    Source: Carreira-Perpiñán & Wang (2014).
    """

    exact: ClassVar[bool] = True

    @property
    def smoothness(self) -> float:
        return 1.0

    def value(self, potential: AbstractPotential, u: Array, z: Array) -> Float[Array, ""]:
        return 0.5 * jnp.sum((u - potential.activation(z)) ** 2)

    def residual(self, potential: AbstractPotential, u: Array, z: Array) -> Float[Array, "..."]:
        out, pull = jax.vjp(potential.activation, z)
        return pull(out - u)[0]

    def linear(self, potential: AbstractPotential, z: Array) -> Float[Array, "..."]:
        return potential.activation(z)

    def prox(
        self, potential: AbstractPotential, v: Array, tau: float | Float[Array, ""]
    ) -> Float[Array, "..."]:
        return v / (1 + jnp.asarray(tau, v.dtype))

    def smooth(self, potential: AbstractPotential, u: Array, z: Array) -> Float[Array, ""]:
        out = potential.activation(z)
        return 0.5 * jnp.sum(out * out) - jnp.sum(u * out)

    def quadratic(self, potential: AbstractPotential) -> bool:
        return True

    def prox_z(
        self, potential: AbstractPotential, u: Array, v: Array, tau: float | Float[Array, ""]
    ) -> Float[Array, "..."]:
        # Not convex: the best of the minimisers on the pieces of the activation.
        if not isinstance(potential, AbstractPiecewiseLinear):
            raise NoClosedForm(
                f"the quadratic penalty of a {type(potential).__name__} node has no closed form in "
                "z; take a piecewise linear activation, or the Bregman penalty"
            )
        t = jnp.asarray(tau, v.dtype)
        best = jnp.full(v.shape, jnp.inf, v.dtype)
        found = v
        for low, high, slope, intercept in potential.pieces():
            a, b = jnp.asarray(slope, v.dtype), jnp.asarray(intercept, v.dtype)
            z = (v + t * a * (u - b)) / (1 + t * a * a)
            z = jnp.clip(z, jnp.asarray(low, v.dtype), jnp.asarray(high, v.dtype))
            cost = t * (u - a * z - b) ** 2 + (z - v) ** 2
            found, best = jnp.where(cost < best, z, found), jnp.minimum(cost, best)
        return found

    def sensitivity(
        self, potential: AbstractPotential, u: Array, z: Array, dual: Array | None
    ) -> Float[Array, ""]:
        out = potential.activation(z)
        return 0.5 * jnp.sum((u - out) ** 2) if dual is None else jnp.sum((z - dual) * out)
