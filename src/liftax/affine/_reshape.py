"""Another shape for the same entries."""

import math
from typing import Any

from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine._affine import AbstractAffine, Params, Shape
from liftax.affine._nothing import Nothing


class Reshape(AbstractAffine):
    r"""The example reshaped to ``split``, its axes permuted by ``axes``, reshaped to ``shape``.

    An isometry without parameters; ``Reshape((784,))`` flattens a picture. With both ``split`` and
    ``axes`` the order of the entries changes: ``Reshape((h, w, c), (c, h, w), (1, 2, 0))`` makes a
    picture of a vector that lists channel after channel. ``axes[i]`` is the axis of ``split`` that
    becomes axis $i$.
    """

    shape: tuple[int, ...]
    split: tuple[int, ...] = ()
    axes: tuple[int, ...] = ()

    def __check_init__(self) -> None:
        if not self.shape or min(*self.shape, *self.split, 1) < 1:
            raise ValueError(
                f"shape and split must be sizes of at least 1, got {self.shape} and {self.split}"
            )
        if sorted(self.axes) != list(range(len(self.split))):
            raise ValueError(
                f"axes must name every axis of split = {self.split} once, got {self.axes}"
            )

    def out_shape(self, *shapes: Shape) -> Shape:
        sizes = {math.prod(s) for s in (*shapes, self.shape, self.split or self.shape)}
        if len(shapes) != 1 or len(sizes) > 1:
            raise ValueError(
                f"Reshape takes one parent of {math.prod(self.shape)} entries, got {shapes}; "
                "give a shape of as many"
            )
        return self.shape

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        return {}

    def apply(self, params: Params, *inputs: Float[Array, "samples ..."]) -> Array:
        (u,) = inputs
        if self.axes:
            order = (0, *(axis + 1 for axis in self.axes))
            u = u.reshape(-1, *self.split).transpose(order)
        return u.reshape(-1, *self.shape)

    def thin(self) -> Nothing:
        return Nothing(self)
