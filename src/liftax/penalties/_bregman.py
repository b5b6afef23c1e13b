"""The Bregman penalty."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.penalties._penalty import AbstractPenalty, prox_phi
from liftax.potentials import AbstractPotential


class Bregman(AbstractPenalty):
    r"""$B_\Psi(u, z) = \varphi(u) + \varphi^*(z) - \langle u, z\rangle$.

    Its gradient in $z$ is $\sigma(z) - u$. Convex in each argument, zero exactly if $u =
    \sigma(z)$, at least $\frac12\|u-\sigma(z)\|^2$, and no derivative of the activation occurs.
    With the identity it is $\frac12\|u-z\|^2$, with softmax and one-hot $u$ the cross-entropy.

    Source: Wang & Benning (2023); elementwise the same as LPOM (Li, Fang & Lin 2019) and as one
    constraint of Fenchel lifted networks (Gu, Askari & El Ghaoui 2020).
    """

    def value(self, potential: AbstractPotential, u: Array, z: Array) -> Float[Array, ""]:
        return potential.phi(u) + potential.phi_conjugate(z) - jnp.sum(u * z)

    def residual(self, potential: AbstractPotential, u: Array, z: Array) -> Float[Array, "..."]:
        return potential.activation(z) - u

    def linear(self, potential: AbstractPotential, z: Array) -> Float[Array, "..."]:
        return z

    def prox(
        self, potential: AbstractPotential, v: Array, tau: float | Float[Array, ""]
    ) -> Float[Array, "..."]:
        return prox_phi(potential, v, tau)
