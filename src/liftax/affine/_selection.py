"""Some rows and columns of pictures."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine._affine import AbstractAffine, Params, Shape
from liftax.affine._nothing import Nothing

Places = tuple[int, ...]


class Selection(AbstractAffine):
    r"""$z = u[R, C]$ with rows R and columns C of (height, width, channels), each in its order.

    With ``less = (R', C')``, as many of both, $z = u[R, C] - u[R', C']$: differences inside
    windows, as `networks.max_pooling` needs them. Without parameters. An index may occur more than
    once.
    """

    rows: Places
    columns: Places
    less: tuple[Places, ...] = ()

    def __check_init__(self) -> None:
        if not self.rows or not self.columns or min(*self.rows, *self.columns) < 0:
            raise ValueError(
                f"rows and columns must be numbers of at least 0, got {self.rows}, {self.columns}"
            )
        sizes = [len(places) for places in self.less]
        if self.less and sizes != [len(self.rows), len(self.columns)]:
            raise ValueError(
                f"less must have {len(self.rows)} rows and {len(self.columns)} columns, got "
                f"{sizes}; two pictures of one size are subtracted"
            )

    def out_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) != 1 or len(shapes[0]) != 3:
            raise ValueError(
                f"Selection takes one parent of shape (height, width, channels), got {shapes}; "
                "reshape the data to that form"
            )
        pairs = ((self.rows, self.columns), *((self.less,) if self.less else ()))
        for places in pairs:
            if any(max(p) >= size for p, size in zip(places, shapes[0][:2], strict=True)):
                raise ValueError(f"a place is outside of an input of {shapes[0]}; select inside")
        return (len(self.rows), len(self.columns), shapes[0][2])

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        return {}

    def apply(self, params: Params, *inputs: Float[Array, "samples h w c"]) -> Array:
        (u,) = inputs
        first = _taken(_taken(u, self.rows, 1), self.columns, 2)
        if not self.less:
            return first
        rows, columns = self.less
        return first - _taken(_taken(u, rows, 1), columns, 2)

    def thin(self) -> Nothing:
        return Nothing(self)


def _taken(u: Array, places: Places, axis: int) -> Array:
    first, last = min(places), max(places)
    step = max(1, (last - first) // max(1, len(places) - 1))
    if list(places) != list(range(first, last + 1, step)):
        return jnp.take(u, jnp.asarray(places), axis=axis)
    cut = slice(first, last + 1, step)
    return u[:, cut] if axis == 1 else u[:, :, cut]
