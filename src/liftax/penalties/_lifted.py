"""The lifted ("proximal") penalty."""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.penalties._penalty import AbstractPenalty, prox_phi
from liftax.potentials import AbstractPotential, Identity


class Lifted(AbstractPenalty):
    r"""$E_z(u) = \frac12\|u - z\|^2 + \Psi(u)$, with $\nabla_z E = z - u$.

    Minimal in $u$ at $\sigma(z)$, but not zero there: as a training objective it pulls $z$ into the
    range of the activation.

    Source: Askari, Negiar, Sambharya & El Ghaoui (2018).
    """

    exact: ClassVar[bool] = False

    @property
    def smoothness(self) -> float:
        return 1.0

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

    def smooth(self, potential: AbstractPotential, u: Array, z: Array) -> Float[Array, ""]:
        return 0.5 * jnp.sum(z * z) - jnp.sum(u * z)

    def quadratic(self, potential: AbstractPotential) -> bool:
        return isinstance(potential, Identity)

    def prox_z(
        self, potential: AbstractPotential, u: Array, v: Array, tau: float | Float[Array, ""]
    ) -> Float[Array, "..."]:
        t = jnp.asarray(tau, v.dtype)
        return (v + t * u) / (1 + t)

    def sensitivity(
        self, potential: AbstractPotential, u: Array, z: Array, dual: Array | None
    ) -> Float[Array, ""]:
        return potential.value(u) if dual is None else -potential.phi_conjugate(dual)
