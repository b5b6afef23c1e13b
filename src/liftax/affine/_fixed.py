"""A fixed linear operator as a map."""

from typing import Any

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine._affine import AbstractAffine, Params, Shape
from liftax.affine._nothing import Nothing
from liftax.imaging import AbstractOperator


class Fixed(AbstractAffine):
    r"""$z = Au$ for a linear operator $A$ of `liftax.imaging`, without parameters.

    Raises:
        ValueError: for anything else than an operator.
    """

    operator: AbstractOperator

    def __check_init__(self) -> None:
        if not isinstance(self.operator, AbstractOperator):
            raise ValueError(
                f"operator must be one of liftax.imaging, got {type(self.operator).__name__}; make "
                "one of a linear function by imaging.FromFunction(function, in_shape)"
            )

    def out_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) != 1:
            raise ValueError(f"Fixed takes one parent, got {len(shapes)}; add with affine.Sum")
        if shapes[0] != self.operator.in_shape:
            raise ValueError(
                f"the operator is one on {self.operator.in_shape}, got a parent of shape "
                f"{shapes[0]}; build it for that shape"
            )
        return self.operator.out_shape

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        return {}

    def apply(self, params: Params, *inputs: Float[Array, "samples ..."]) -> Array:
        return jax.vmap(self.operator.apply)(inputs[0])

    def thin(self) -> Nothing:
        return Nothing(self)
