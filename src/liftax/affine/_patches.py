"""Images cut into patches."""

from typing import Any

from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine._affine import AbstractAffine, Params, Shape
from liftax.affine._nothing import Nothing


class Patches(AbstractAffine):
    r"""(h, w, c) to (h/size * w/size, size * size * c): square patches, row by row, flattened.

    An isometry without parameters. Source: Dosovitskiy et al. 2021, section 3.1.
    """

    size: int

    def __check_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size must be at least 1, got {self.size}; give a patch's width")

    def out_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) != 1 or len(shapes[0]) != 3:
            raise ValueError(
                f"Patches takes one parent of shape (height, width, channels), got {shapes}; "
                "reshape the data to that form"
            )
        height, width, channels = shapes[0]
        if height % self.size or width % self.size:
            raise ValueError(
                f"size must divide the input's height {height} and width {width}, got {self.size}"
            )
        count = (height // self.size) * (width // self.size)
        return (count, self.size * self.size * channels)

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        return {}

    def apply(self, params: Params, *inputs: Float[Array, "samples h w c"]) -> Array:
        (u,) = inputs
        samples, height, width, channels = u.shape
        rows, columns = height // self.size, width // self.size
        split = u.reshape(samples, rows, self.size, columns, self.size, channels)
        return split.swapaxes(2, 3).reshape(samples, *self.out_shape(u.shape[1:]))

    def thin(self) -> Nothing:
        return Nothing(self)
