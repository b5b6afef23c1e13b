"""Parents side by side."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine._affine import AbstractAffine, Params, Shape
from liftax.affine._nothing import Nothing


class Concatenation(AbstractAffine):
    r"""$z = (u_1, \dots, u_m)$ along the last axis (the channels), without parameters.

    An isometry in every parent. Source: Huang et al. 2017 (dense connections), equation 2.
    """

    def out_shape(self, *shapes: Shape) -> Shape:
        if not shapes or len({s[:-1] for s in shapes}) > 1 or not all(shapes):
            raise ValueError(
                "Concatenation takes parents that differ in the last axis only, got "
                f"{shapes}; bring them to one height and width"
            )
        return (*shapes[0][:-1], sum(s[-1] for s in shapes))

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        return {}

    def apply(self, params: Params, *inputs: Float[Array, "samples ... c"]) -> Array:
        return jnp.concatenate(inputs, axis=-1)

    def thin(self) -> Nothing:
        return Nothing(self)
