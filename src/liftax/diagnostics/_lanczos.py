"""Extreme eigenvalues from products with a matrix."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax._iterate import scan

Vectors = Float[Array, "batch n"]


def lanczos(
    apply: Callable[[Vectors], Vectors], like: Vectors, steps: int, key: PRNGKeyArray
) -> tuple[Float[Array, " batch"], Float[Array, " batch"]]:
    r"""Smallest and largest Ritz values of symmetric matrices, one for every row of `like`.

    With an orthonormal $V$ of $k = \min(n, \text{steps})$ columns they are the extreme eigenvalues
    of the tridiagonal $V^\top A V$. Each new column is made orthogonal to all earlier ones, until
    that changes nothing; where the Krylov space is exhausted, so that only rounding errors are
    left, a random column, shifted by one place each time, begins another, so that all eigenvalues
    are found if $k = n$, whatever their multiplicity.

    Source: Parlett (1980), "The symmetric eigenvalue problem", chapter 13.
    """
    batch, n = like.shape
    count = min(n, steps)
    eps, tiny = jnp.finfo(like.dtype).eps, jnp.finfo(like.dtype).tiny
    start, other = jax.random.normal(key, (2, *like.shape), like.dtype)

    def unit(v: Vectors) -> Vectors:
        return v / jnp.maximum(jnp.linalg.norm(v, axis=1, keepdims=True), tiny)

    def step(carry: tuple, place: Array) -> tuple[tuple, tuple]:
        basis, v, size = carry
        basis = jax.lax.dynamic_update_index_in_dim(basis, v, place, 1)

        def rejected(w: Vectors) -> Vectors:
            return w - jnp.einsum("bkn,bk->bn", basis, jnp.einsum("bkn,bn->bk", basis, w))

        image = apply(v)
        diagonal = jnp.sum(v * image, axis=1)
        size = jnp.maximum(size, jnp.linalg.norm(image, axis=1))
        left = rejected(image)
        beta = jnp.linalg.norm(left, axis=1)
        # What a second time takes most of was rounding error, and no new direction.
        again = rejected(unit(left))
        goes_on = (beta > 10 * eps * size) & (jnp.linalg.norm(again, axis=1) > 0.7)
        new = jnp.where(goes_on[:, None], again, jnp.roll(other, place, axis=1))
        new = unit(rejected(unit(rejected(unit(new)))))
        return (basis, new, size), (diagonal, jnp.where(goes_on, beta, 0))

    size = jnp.zeros((batch,), like.dtype)
    carry = (jnp.zeros((batch, count, n), like.dtype), unit(start), size)
    _, (diagonal, off) = scan(step, carry, jnp.arange(count, dtype=jnp.int32))

    def ritz(diagonal: Array, off: Array) -> Array:
        side = jnp.diag(off[:-1], 1)
        return jnp.linalg.eigvalsh(jnp.diag(diagonal) + side + side.T)

    values = jax.vmap(ritz, in_axes=1)(diagonal, off)
    return values[:, 0], values[:, -1]
