"""The Bregman penalty."""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.penalties._penalty import AbstractPenalty, prox_phi
from liftax.potentials import AbstractPotential, Identity


class Bregman(AbstractPenalty):
    r"""$B_\Psi(u, z) = \varphi(u) + \varphi^*(z) - \langle u, z\rangle$.

    Its gradient in $z$ is $\sigma(z) - u$. Convex in each argument, zero exactly if $u =
    \sigma(z)$, at least $\frac12\|u-\sigma(z)\|^2$, and no derivative of the activation occurs.
    With the identity it is $\frac12\|u-z\|^2$, with softmax and one-hot $u$ the cross-entropy.

    Source: Wang & Benning (2023); elementwise the same as LPOM (Li, Fang & Lin 2019) and as one
    constraint of Fenchel lifted networks (Gu, Askari & El Ghaoui 2020).
    """

    exact: ClassVar[bool] = True

    @property
    def smoothness(self) -> float:
        return 1.0

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

    def smooth(self, potential: AbstractPotential, u: Array, z: Array) -> Float[Array, ""]:
        return potential.phi_conjugate(z) - jnp.sum(u * z)

    def quadratic(self, potential: AbstractPotential) -> bool:
        return isinstance(potential, Identity)

    def prox_z(
        self, potential: AbstractPotential, u: Array, v: Array, tau: float | Float[Array, ""]
    ) -> Float[Array, "..."]:
        # Moreau: prox of t φ* at w is w - t prox_{φ/t}(w/t).
        t = jnp.asarray(tau, v.dtype)
        w = v + t * u
        return w - t * prox_phi(potential, w / t, 1 / t)

    def sensitivity(
        self, potential: AbstractPotential, u: Array, z: Array, dual: Array | None
    ) -> Float[Array, ""]:
        own = potential.value(u) if dual is None else -potential.phi_conjugate(dual)
        return potential.phi_conjugate(z) + own
