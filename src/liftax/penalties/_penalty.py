"""What replaces the constraint u = σ(z)."""

import abc

import equinox as eqx
import jax
from jaxtyping import Array, Float

from liftax.penalties._loss import AbstractLoss
from liftax.potentials import AbstractPotential


class AbstractPenalty(AbstractLoss):
    r"""Penalty of one node, $C(u, z) = \kappa(u) - \langle u, c(z)\rangle + d(z)$.

    As a function of $u$ it is a simple convex $\kappa$ minus a linear term, so that the block
    update of $u$ is $\mathrm{prox}_{t\kappa}(v + t\,c(z))$. All methods act on one example.

    `exact` says that $C(\sigma(z), z) = 0$ is the least value, so that a forward pass minimises.

    Source: arXiv 2510.09796, section 3.
    """

    exact: eqx.AbstractClassVar[bool]

    @abc.abstractmethod
    def smooth(self, potential: AbstractPotential, u: Array, z: Array) -> Float[Array, ""]:
        r"""$C(u, z) - \kappa(u) = d(z) - \langle u, c(z)\rangle$."""

    @abc.abstractmethod
    def linear(self, potential: AbstractPotential, z: Array) -> Float[Array, "..."]:
        r"""$c(z)$: $C(u,z)$ depends on $u$ through $\kappa(u) - \langle u, c(z)\rangle$."""

    @abc.abstractmethod
    def prox(
        self, potential: AbstractPotential, v: Array, tau: float | Float[Array, ""]
    ) -> Float[Array, "..."]:
        r"""$\mathrm{prox}_{\tau\kappa}(v)$."""

    @abc.abstractmethod
    def quadratic(self, potential: AbstractPotential) -> bool:
        r"""Whether $\kappa(u) = \frac12\|u\|^2$, so that a $u$-block can be solved exactly."""

    @abc.abstractmethod
    def prox_z(
        self, potential: AbstractPotential, u: Array, v: Array, tau: float | Float[Array, ""]
    ) -> Float[Array, "..."]:
        r"""$\arg\min_z\, \tau C(u, z) + \frac12\|z-v\|^2$: a node that copies $z$ has it as block.

        Raises:
            NoClosedForm: if there is none.
        """

    @abc.abstractmethod
    def sensitivity(
        self, potential: AbstractPotential, u: Array, z: Array, dual: Array | None
    ) -> Float[Array, ""]:
        r"""A function whose gradient in the potential's hyper-parameters is that of the penalty.

        `dual` is a $\tilde z\in\partial\varphi(u)$, or None. By the envelope theorem
        $\partial_\rho\Psi_\rho(u) = -\partial_\rho\varphi^*_\rho(\tilde z)$; the right side also
        serves where $u$ sits at the end of a domain that depends on ρ.
        """


def prox_phi(
    potential: AbstractPotential, v: Array, tau: float | Float[Array, ""]
) -> Float[Array, "..."]:
    r"""$\mathrm{prox}_{\tau\varphi}(v) = \mathrm{prox}_{\tau/(1+\tau)\,\Psi}(v/(1+\tau))$."""
    tau = jax.numpy.asarray(tau, v.dtype)
    return potential.prox(v / (1 + tau), tau / (1 + tau))
