"""The lifted ("proximal") penalty."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.penalties._penalty import AbstractPenalty, prox_phi
from liftax.potentials import AbstractPotential


class Lifted(AbstractPenalty):
    r"""$E_z(u) = \frac12\|u - z\|^2 + \Psi(u)$, with $\nabla_z E = z - u$.

    Minimal in $u$ at $\sigma(z)$, but not zero there: as a training objective it pulls $z$ into the
    range of the activation.

    Source: Askari, Negiar, Sambharya & El Ghaoui (2018).
    """

    def value(self, potential: AbstractPotential, u: Array, z: Array) -> Float[Array, ""]:
        return 0.5 * jnp.sum((u - z) ** 2) + potential.value(u)

    def residual(self, potential: AbstractPotential, u: Array, z: Array) -> Float[Array, "..."]:
        return z - u

    def linear(self, potential: AbstractPotential, z: Array) -> Float[Array, "..."]:
        return z

    def prox(
        self, potential: AbstractPotential, v: Array, tau: float | Float[Array, ""]
    ) -> Float[Array, "..."]:
        return prox_phi(potential, v, tau)
