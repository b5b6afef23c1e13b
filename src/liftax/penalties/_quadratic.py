"""The quadratic penalty of the method of auxiliary coordinates."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.penalties._penalty import AbstractPenalty
from liftax.potentials import AbstractPotential


class Quadratic(AbstractPenalty):
    r"""MAC-QP: $\frac12\|u - \sigma(z)\|^2$, with $\nabla_z C = \sigma'(z)^\top(\sigma(z) - u)$.

    The only penalty here that differentiates the activation. The curvature in $z$ is not bounded by
    one as with the others (it is for piecewise linear activations), so that steps from Lipschitz
    constants carry no promise of descent for curved activations.

    Source: Carreira-Perpiñán & Wang (2014).
    """

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
