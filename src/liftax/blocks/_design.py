"""Layers as one matrix product: the rows that meet the weights."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from liftax.affine import AbstractAffine, Convolution, Dense, Pointwise, Residual
from liftax.imaging import AbstractOperator
from liftax.networks import Params


def design(
    affine: AbstractAffine, inputs: tuple[Array, ...]
) -> Float[Array, "rows columns"] | None:
    r"""$A$ with $f(u;\theta) = A\theta$, θ being the weights over the bias, or None.

    A row for every sample (and position, for a convolution), a last column of ones for the bias.
    """
    rows, ones = _rows(affine, inputs)
    if rows is None or ones is None:
        return rows
    return jnp.concatenate([rows, jnp.full_like(rows[:, :1], ones)], axis=1)


def inner_gram(
    affine: AbstractAffine, inputs: tuple[Array, ...]
) -> Float[Array, "columns columns"] | None:
    r"""$A^\top A$ where $A$, which is not built, has at least as many rows as columns, or None."""
    rows, ones = _rows(affine, inputs)
    if rows is None or len(rows) < rows.shape[1] + (ones is not None):
        return None
    gram = rows.T @ rows
    if ones is None:
        return gram
    sums = ones * jnp.sum(rows, axis=0)[None]
    count = jnp.full((1, 1), ones * ones * len(rows), rows.dtype)
    return jnp.block([[gram, sums.T], [sums, count]])


def outer_gram(
    affine: AbstractAffine, inputs: tuple[Array, ...]
) -> Float[Array, "rows rows"] | None:
    r"""$AA^\top$ where $A$, which is not built, has fewer rows than columns; else None."""
    rows, ones = _rows(affine, inputs)
    if rows is None or len(rows) >= rows.shape[1] + (ones is not None):
        return None
    gram = rows @ rows.T
    return gram if ones is None else gram + ones * ones


def _rows(
    affine: AbstractAffine, inputs: tuple[Array, ...]
) -> tuple[Float[Array, "rows columns"] | None, float | None]:
    """The rows without the column of the bias, and the number in that, None without a bias."""
    if isinstance(affine, Residual):
        if isinstance(affine.factor, AbstractOperator):
            return None, None
        rows, ones = _rows(affine.map, (affine.combined(inputs),))
        if rows is None or affine.factor == 1:
            return rows, ones
        return affine.factor * rows, None if ones is None else affine.factor * ones
    if not isinstance(affine, Dense | Pointwise | Convolution):
        return None, None
    return affine.rows(inputs[0]), 1.0 if affine.use_bias else None


def stacked(theta: Params) -> Float[Array, "columns features"]:
    """Weights over bias, in the order of the columns of the design."""
    weight = theta["weight"].reshape(-1, theta["weight"].shape[-1])
    return jnp.concatenate([weight, theta["bias"][None]]) if "bias" in theta else weight


def split(matrix: Float[Array, "columns features"], theta: Params) -> Params:
    """The inverse of `stacked`, in the shapes of θ."""
    if "bias" not in theta:
        return {"weight": matrix.reshape(theta["weight"].shape)}
    return {"weight": matrix[:-1].reshape(theta["weight"].shape), "bias": matrix[-1]}
