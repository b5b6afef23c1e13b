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
    if isinstance(affine, Residual):
        if isinstance(affine.factor, AbstractOperator):
            return None
        inner = design(affine.map, (affine.combined(inputs),))
        return inner if inner is None or affine.factor == 1 else affine.factor * inner
    if not isinstance(affine, Dense | Pointwise | Convolution):
        return None
    rows = affine.rows(inputs[0])
    if affine.use_bias:
        rows = jnp.concatenate([rows, jnp.ones_like(rows[:, :1])], axis=1)
    return rows


def stacked(theta: Params) -> Float[Array, "columns features"]:
    """Weights over bias, in the order of the columns of the design."""
    weight = theta["weight"].reshape(-1, theta["weight"].shape[-1])
    return jnp.concatenate([weight, theta["bias"][None]]) if "bias" in theta else weight


def split(matrix: Float[Array, "columns features"], theta: Params) -> Params:
    """The inverse of `stacked`, in the shapes of θ."""
    if "bias" not in theta:
        return {"weight": matrix.reshape(theta["weight"].shape)}
    return {"weight": matrix[:-1].reshape(theta["weight"].shape), "bias": matrix[-1]}
