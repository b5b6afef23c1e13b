"""Matrices with orthonormal columns."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.potentials._potential import AbstractRegulariser, Tau
from liftax.potentials._rounding import slack


class Orthogonal(AbstractRegulariser):
    r"""Indicator of the matrices (last two axes) with $U^\top U = I$; if wide, $UU^\top = I$.

    $\mathrm{prox}(V) = PQ^\top$, the polar factor of $V = P\Sigma Q^\top$, for every τ: a nearest
    such matrix, the only one if V has full rank. The set is not convex, so this is no potential:
    the prox is neither non-expansive nor, at rank-deficient V, continuous.

    Source: Higham (1986), "Computing the polar decomposition".
    """

    def value(self, u: Float[Array, "... m n"]) -> Float[Array, ""]:
        error = slack(u) * max(u.shape[-2:])
        thin = u if u.shape[-2] >= u.shape[-1] else jnp.swapaxes(u, -1, -2)
        gram = jnp.swapaxes(thin, -1, -2) @ thin
        inside = jnp.all(jnp.abs(gram - jnp.eye(gram.shape[-1], dtype=u.dtype)) <= error)
        return jnp.where(inside, jnp.zeros((), u.dtype), jnp.inf)

    def prox(self, v: Float[Array, "... m n"], tau: Tau) -> Float[Array, "... m n"]:
        left, _, right = jnp.linalg.svd(v, full_matrices=False)
        return left @ right
