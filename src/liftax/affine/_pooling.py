"""Average pooling."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine._affine import AbstractAffine, Params, Shape
from liftax.affine._nothing import Nothing

Pair = tuple[int, int]


def _pair(size: int | Pair | None) -> Pair | None:
    return (size, size) if isinstance(size, int) else size


class AveragePooling(AbstractAffine):
    r"""Means over windows of (height, width, channels), without padding and without parameters.

    ``window`` and ``stride`` are numbers or pairs; without a ``stride`` it is the window. Rows and
    columns at the end that fill no window are left out.
    """

    window: Any = eqx.field(converter=_pair)
    stride: Any = eqx.field(default=None, converter=_pair)

    def __check_init__(self) -> None:
        if min(*self.window, *(self.stride or (1, 1))) < 1:
            raise ValueError(
                f"window and stride must be at least 1, got {self.window}, {self.stride}"
            )

    def out_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) != 1 or len(shapes[0]) != 3:
            raise ValueError(
                "AveragePooling takes one parent of shape (height, width, channels), got "
                f"{shapes}; reshape the data to that form"
            )
        height, width = self._sizes(shapes[0])
        if min(height, width) < 1:
            raise ValueError(
                f"window {self.window} does not fit an input of {shapes[0]}; shrink it"
            )
        return (height, width, shapes[0][2])

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        return {}

    def apply(self, params: Params, *inputs: Float[Array, "samples h w c"]) -> Array:
        (u,) = inputs
        (height, width), (wh, ww) = self._sizes(u.shape[1:]), self.window
        if self.stride in (None, self.window):
            cut = u[:, : height * wh, : width * ww]
            split = cut.reshape(u.shape[0], height, wh, width, ww, u.shape[3])
            return jnp.mean(split, axis=(2, 4))
        (sh, sw), (last, end) = self.stride, (height - 1, width - 1)
        rows = sum(
            (u[:, i : i + last * sh + 1 : sh] for i in range(1, wh)), u[:, : last * sh + 1 : sh]
        )
        total = sum(
            (rows[:, :, i : i + end * sw + 1 : sw] for i in range(1, ww)),
            rows[:, :, : end * sw + 1 : sw],
        )
        return total * jnp.asarray(1 / (wh * ww), u.dtype)

    def thin(self) -> Nothing:
        return Nothing(self)

    def _sizes(self, shape: Shape) -> Pair:
        stride = self.stride or self.window
        height, width = ((shape[a] - self.window[a]) // stride[a] + 1 for a in (0, 1))
        return height, width
