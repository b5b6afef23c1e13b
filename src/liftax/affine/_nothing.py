"""The thin map of a map without parameters."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine._affine import AbstractAffine, Params, Shape


class Nothing(AbstractAffine):
    """One channel of zeros in the output's shape: what a map without parameters adds to a sum."""

    map: AbstractAffine

    def out_shape(self, *shapes: Shape) -> Shape:
        return (*self.map.out_shape(*shapes)[:-1], 1)

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        return {}

    def apply(self, params: Params, *inputs: Float[Array, "samples ..."]) -> Array:
        u = inputs[0]
        return jnp.zeros((u.shape[0], *self.out_shape(*(v.shape[1:] for v in inputs))), u.dtype)

    def thin(self) -> "Nothing":
        return self
