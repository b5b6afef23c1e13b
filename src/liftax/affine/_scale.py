"""A number and an offset per channel."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine._affine import AbstractAffine, Params, Shape


class Scale(AbstractAffine):
    r"""$z = a\,u + b$ per channel (last axis), $a$ ("scale") and $b$ ("shift") of shape (c,).

    What batch normalisation is once its statistics are fixed for good. At first $a = 1$, $b = 0$.
    """

    def out_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) != 1 or not shapes[0]:
            raise ValueError(
                f"Scale takes one parent with channels last, got {shapes}; add maps with affine.Sum"
            )
        return shapes[0]

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        channels = shapes[0][-1:]
        return {"scale": jnp.ones(channels, dtype), "shift": jnp.zeros(channels, dtype)}

    def apply(self, params: Params, *inputs: Float[Array, "samples ... c"]) -> Array:
        return params["scale"] * inputs[0] + params["shift"]

    def thin(self) -> "Scale":
        # Blocks for single channels differ, so all stay.
        return self
