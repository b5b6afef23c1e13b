"""Projection on matrices of bounded spectral norm."""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.potentials._potential import AbstractPotential, Tau
from liftax.potentials._rounding import slack


class SpectralBall(AbstractPotential):
    r"""Ψ is 0 where all singular values of a matrix (last two axes) are at most r, else $+\infty$.

    σ and $\mathrm{prox}_{\tau\Psi}$ clip them to r. $\Psi^*(y) = r\sum_k s_k(y)$;
    $\varphi^*(z) = \sum_k \min(s_k, r)(s_k - \frac12\min(s_k, r))$. Norms that exceed r by rounding
    are in the domain.

    Attributes:
        radius: $r > 0$; an array broadcasts against the singular values.

    Raises:
        ValueError: unless the radius is positive.
    """

    separable: ClassVar[bool] = False
    radius: float | Float[Array, "..."] = 1.0

    def __check_init__(self) -> None:
        if isinstance(self.radius, int | float) and not self.radius > 0:
            raise ValueError(f"radius must be positive, got {self.radius}; take a larger one")

    def value(self, u: Float[Array, "... m n"]) -> Float[Array, ""]:
        largest = jnp.asarray(self.radius, u.dtype) * (1 + slack(u))
        inside = jnp.all(jnp.linalg.svd(u, compute_uv=False) <= largest)
        return jnp.where(inside, jnp.zeros((), u.dtype), jnp.inf)

    def prox(self, v: Float[Array, "... m n"], tau: Tau) -> Float[Array, "... m n"]:
        return self.activation(v)

    def conjugate(self, s: Float[Array, "... m n"]) -> Float[Array, ""]:
        values = jnp.linalg.svd(s, compute_uv=False)
        return jnp.sum(jnp.asarray(self.radius, s.dtype) * values)

    def activation(self, z: Float[Array, "... m n"]) -> Float[Array, "... m n"]:
        left, values, right = jnp.linalg.svd(z, full_matrices=False)
        clipped = jnp.minimum(values, jnp.asarray(self.radius, z.dtype))
        return (left * clipped[..., None, :]) @ right

    def phi_conjugate(self, z: Float[Array, "... m n"]) -> Float[Array, ""]:
        values = jnp.linalg.svd(z, compute_uv=False)
        nearest = jnp.minimum(values, jnp.asarray(self.radius, z.dtype))
        return jnp.sum(nearest * (values - 0.5 * nearest))
