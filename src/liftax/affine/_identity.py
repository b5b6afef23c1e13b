"""The identity map."""

from typing import Any

from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine._affine import AbstractAffine, Params, Shape
from liftax.affine._nothing import Nothing


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

    def thin(self) -> Nothing:
        return Nothing(self)
