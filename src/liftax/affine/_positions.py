"""Learnable offsets of positions."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine._affine import AbstractAffine, Params, Shape


class Positions(AbstractAffine):
    r"""$z = u + p$, $p$ of the example's shape, such as (tokens, d): a positional embedding.

    Initial entries are normal with standard deviation 0.02 (Dosovitskiy et al. 2021).
    """

    def out_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) != 1 or not shapes[0]:
            raise ValueError(
                f"Positions takes one parent with channels last, got {shapes}; "
                "add maps with affine.Sum"
            )
        return shapes[0]

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        return {"positions": jnp.asarray(0.02, dtype) * jax.random.normal(key, shapes[0], dtype)}

    def apply(self, params: Params, *inputs: Float[Array, "samples ..."]) -> Array:
        return inputs[0] + params["positions"]

    def thin(self) -> "_Offset":
        return _Offset()


class _Offset(AbstractAffine):
    r"""$z = p$ for every sample, one channel; per sample the Gram of $p$ is the identity."""

    def out_shape(self, *shapes: Shape) -> Shape:
        return (*shapes[0][:-1], 1)

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        return {"positions": jax.random.normal(key, self.out_shape(*shapes), dtype)}

    def apply(self, params: Params, *inputs: Float[Array, "samples ..."]) -> Array:
        p = params["positions"]
        return jnp.broadcast_to(p, (inputs[0].shape[0], *p.shape))

    def thin(self) -> "_Offset":
        return self
