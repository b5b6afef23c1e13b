"""What replaces the constraint u = σ(z)."""

import abc

import equinox as eqx
import jax
from jaxtyping import Array, Float

from liftax.potentials import AbstractPotential


class AbstractPenalty(eqx.Module):
    r"""Penalty of one node, $C(u, z) = \kappa(u) - \langle u, c(z)\rangle + d(z)$.

    As a function of $u$ it is a simple convex $\kappa$ minus a linear term, so that the block
    update of $u$ is $\mathrm{prox}_{t\kappa}(v + t\,c(z))$. All methods act on one example.

    Source: arXiv 2510.09796, section 3.
    """

    @abc.abstractmethod
    def value(self, potential: AbstractPotential, u: Array, z: Array) -> Float[Array, ""]:
        """$C(u, z)$."""

    @abc.abstractmethod
    def residual(self, potential: AbstractPotential, u: Array, z: Array) -> Float[Array, "..."]:
        r"""$\nabla_z C(u, z)$."""

    @abc.abstractmethod
    def linear(self, potential: AbstractPotential, z: Array) -> Float[Array, "..."]:
        r"""$c(z)$: $C(u,z)$ depends on $u$ through $\kappa(u) - \langle u, c(z)\rangle$."""

    @abc.abstractmethod
    def prox(
        self, potential: AbstractPotential, v: Array, tau: float | Float[Array, ""]
    ) -> Float[Array, "..."]:
        r"""$\mathrm{prox}_{\tau\kappa}(v)$."""


def prox_phi(
    potential: AbstractPotential, v: Array, tau: float | Float[Array, ""]
) -> Float[Array, "..."]:
    r"""$\mathrm{prox}_{\tau\varphi}(v) = \mathrm{prox}_{\tau/(1+\tau)\,\Psi}(v/(1+\tau))$."""
    tau = jax.numpy.asarray(tau, v.dtype)
    return potential.prox(v / (1 + tau), tau / (1 + tau))
