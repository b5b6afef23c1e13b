"""The convex object that everything else is built from."""

import abc
from collections.abc import Mapping
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

Tau = float | Float[Array, ""]
Intervals = Mapping[str, tuple[float, float]]  # of admissible values, by the name of a field


class AbstractRegulariser(eqx.Module):
    r"""A function Ψ with its proximal map, which is all that a penalty on parameters needs.

    Convention: $\mathrm{prox}_{\tau\Psi}(v) = \arg\min_u\, \tau\Psi(u) + \frac12\|u-v\|^2$ (τ
    multiplies Ψ, the ½ stands at the square). Ψ need not be convex; an `AbstractPotential` is.
    Every method acts on one array of any shape, results keep the dtype of their argument.
    """

    @abc.abstractmethod
    def value(self, u: Float[Array, "..."]) -> Float[Array, ""]:
        r"""$\Psi(u)$, summed over the example; $+\infty$ outside the domain."""

    @abc.abstractmethod
    def prox(self, v: Float[Array, "..."], tau: Tau) -> Float[Array, "..."]:
        r"""$\mathrm{prox}_{\tau\Psi}(v)$ for any $\tau > 0$."""


class AbstractPotential(AbstractRegulariser):
    r"""A proper, convex, lower semi-continuous Ψ, and the activation $\sigma = \mathrm{prox}_\Psi$.

    Conventions: $\mathrm{prox}_{\tau\Psi}(v) = \arg\min_u\, \tau\Psi(u) + \frac12\|u-v\|^2$ (τ
    multiplies Ψ, the ½ stands at the square); $\varphi = \frac12\|\cdot\|^2 + \Psi$ with conjugate
    $\varphi^*$, and $\nabla\varphi^* = \sigma$. Every method acts on one example of any shape;
    batches go through `jax.vmap`. Results keep the dtype of their argument.

    `learnable` maps the fields that may be learnt to their admissible intervals. They may be arrays
    that broadcast against the example, and
    $\partial_\rho\varphi_\rho^*(z) = -\partial_\rho\Psi_\rho(u)$ at $u = \sigma(z)$ held fixed
    (the envelope theorem).

    Source: Moreau (1962); Combettes & Pesquet (2020); arXiv 2510.09796, section 2.
    """

    separable: eqx.AbstractClassVar[bool]
    learnable: ClassVar[Intervals] = {}

    @abc.abstractmethod
    def conjugate(self, s: Float[Array, "..."]) -> Float[Array, ""]:
        r"""$\Psi^*(s) = \sup_u\, \langle u, s\rangle - \Psi(u)$."""

    @abc.abstractmethod
    def activation(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        r"""$\sigma(z) = \mathrm{prox}_\Psi(z)$, in closed form."""

    @abc.abstractmethod
    def phi_conjugate(self, z: Float[Array, "..."]) -> Float[Array, ""]:
        r"""$\varphi^*(z)$, the convex, 1-smooth function whose gradient is the activation."""

    def phi(self, u: Float[Array, "..."]) -> Float[Array, ""]:
        r"""$\varphi(u) = \frac12\|u\|^2 + \Psi(u)$."""
        return 0.5 * jnp.sum(u * u) + self.value(u)
