"""The identity map."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine._affine import AbstractAffine, Params, Shape


class Identity(AbstractAffine):
    r"""$z = u$, without parameters: the skip connection."""

    def out_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) != 1:
            raise ValueError(f"Identity takes one parent, got {len(shapes)}; add with affine.Sum")
        return shapes[0]

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        return {}

    def apply(self, params: Params, *inputs: Float[Array, "samples ..."]) -> Array:
        return inputs[0]

    def thin(self) -> "_Nothing":
        return _Nothing()


class _Nothing(AbstractAffine):
    """One channel of zeros: what a map without parameters adds to a thin map."""

    def out_shape(self, *shapes: Shape) -> Shape:
        return (*shapes[0][:-1], 1)

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        return {}

    def apply(self, params: Params, *inputs: Float[Array, "samples ..."]) -> Array:
        return jnp.zeros_like(inputs[0][..., :1])

    def thin(self) -> "_Nothing":
        return self
