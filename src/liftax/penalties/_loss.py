"""What is paid at a clamped output."""

import abc

import equinox as eqx
from jaxtyping import Array, Float

from liftax.potentials import AbstractPotential


class AbstractLoss(eqx.Module):
    r"""$C(y, z)$, convex in the pre-activation $z$ of the output, with target $y$; one example.

    A loss $\ell(u_J, y)$ of a free output $u_J$ is the same thing: minimised over $u_J$ it becomes
    a function of $z$ (for an identity output the Moreau envelope of $\ell$, see `Envelope`), whose
    gradient needs the prox of $\ell$ only.
    """

    @abc.abstractmethod
    def value(self, potential: AbstractPotential, u: Array, z: Array) -> Float[Array, ""]:
        """$C(u, z)$, $u$ being the target."""

    @abc.abstractmethod
    def residual(self, potential: AbstractPotential, u: Array, z: Array) -> Float[Array, "..."]:
        r"""$\nabla_z C(u, z)$."""

    @property
    @abc.abstractmethod
    def smoothness(self) -> float:
        r"""A Lipschitz constant of $\nabla_z C$, which step sizes are made from."""
