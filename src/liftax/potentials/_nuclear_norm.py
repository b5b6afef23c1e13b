"""Soft-thresholding of singular values."""

import math
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.potentials._potential import AbstractPotential, Intervals, Tau


class NuclearNorm(AbstractPotential):
    r"""$\Psi(u) = w\sum_k s_k(u)$, the singular values of matrices (last two axes).

    $\mathrm{prox}_{\tau\Psi}$ replaces $s_k$ by $\max(s_k - \tau w, 0)$, σ by τ = 1.
    $\varphi^*(z) = \frac12\sum_k\max(s_k - w, 0)^2$; $\Psi^*(y) = 0$ if all $s_k(y) \le w$, else
    $+\infty$. The gradient of $\varphi^*$ exists everywhere; JAX's derivative of the prox divides
    by differences of the singular values.

    Attributes:
        weight: $w \ge 0$; an array broadcasts against the singular values.

    Raises:
        ValueError: for a negative weight.

    Source: Cai, Candès & Shen (2010).
    """

    separable: ClassVar[bool] = False
    learnable: ClassVar[Intervals] = {"weight": (0.0, math.inf)}
    weight: float | Float[Array, "..."] = 1.0

    def __check_init__(self) -> None:
        if isinstance(self.weight, int | float) and not self.weight >= 0:
            raise ValueError(f"weight must be at least 0, got {self.weight}; Ψ is not convex")

    def value(self, u: Float[Array, "... m n"]) -> Float[Array, ""]:
        return jnp.sum(jnp.asarray(self.weight, u.dtype) * jnp.linalg.svd(u, compute_uv=False))

    def prox(self, v: Float[Array, "... m n"], tau: Tau) -> Float[Array, "... m n"]:
        amount = jnp.asarray(tau, v.dtype) * jnp.asarray(self.weight, v.dtype)
        left, values, right = jnp.linalg.svd(v, full_matrices=False)
        return (left * jnp.maximum(values - amount, 0)[..., None, :]) @ right

    def conjugate(self, s: Float[Array, "... m n"]) -> Float[Array, ""]:
        values = jnp.linalg.svd(s, compute_uv=False)
        inside = jnp.all(values <= jnp.asarray(self.weight, s.dtype))
        return jnp.where(inside, jnp.zeros((), s.dtype), jnp.inf)

    def activation(self, z: Float[Array, "... m n"]) -> Float[Array, "... m n"]:
        return self.prox(z, 1.0)

    def phi_conjugate(self, z: Float[Array, "... m n"]) -> Float[Array, ""]:
        values = jnp.linalg.svd(z, compute_uv=False)
        return 0.5 * jnp.sum(jnp.maximum(values - jnp.asarray(self.weight, z.dtype), 0) ** 2)
