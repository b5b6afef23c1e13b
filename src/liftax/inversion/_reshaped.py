"""Operators on images for inputs of another shape."""

import math

import equinox as eqx
from jaxtyping import Array, Float

from liftax.imaging import AbstractOperator
from liftax.inversion._regulariser import Shape


class Reshaped(AbstractOperator):
    """An operator on images, applied to inputs that have as many entries in another shape."""

    in_shape: Shape = eqx.field(static=True)
    operator: AbstractOperator

    def apply(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return self.operator.apply(x.reshape(self.operator.in_shape))

    def norm(self) -> Float[Array, ""]:
        return self.operator.norm()


def on_images(operator: AbstractOperator, shape: Shape) -> AbstractOperator:
    """The operator for inputs of this shape."""
    return operator if operator.in_shape == tuple(shape) else Reshaped(tuple(shape), operator)


def image_shape(shape: Shape, image: Shape | None, kind: str) -> Shape:
    """The shape of the image that an input is.

    Raises:
        ValueError: if it is none.
    """
    size = tuple(shape if image is None else image)
    if len(size) != 3 or math.prod(size) != math.prod(shape):
        raise ValueError(
            f"{kind} takes images (height, width, channels), got inputs of the shape "
            f"{tuple(shape)} and image={image}; say with image=(h, w, c) which image an input is"
        )
    return size
