"""The mean over all positions."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine._affine import AbstractAffine, Params, Shape
from liftax.affine._nothing import Nothing


class Mean(AbstractAffine):
    r"""Mean over all axes but the last: (h, w, c) to (c,), tokens (n, d) to (d,); no parameters."""

    def out_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) != 1 or len(shapes[0]) < 2:
            raise ValueError(
                f"Mean takes one parent with positions and channels, got {shapes}; "
                "give (height, width, channels) or (tokens, channels)"
            )
        return shapes[0][-1:]

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        return {}

    def apply(self, params: Params, *inputs: Float[Array, "samples ... c"]) -> Array:
        (u,) = inputs
        return jnp.mean(u, axis=tuple(range(1, u.ndim - 1)))

    def thin(self) -> Nothing:
        return Nothing(self)
