"""A map added to another parent."""

from typing import Any

from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine._affine import AbstractAffine, Params, Shape
from liftax.affine._bilinear import AbstractBilinear


class Residual(AbstractAffine):
    r"""$z = u_1 + f(u_2;\theta)$, where $\theta$ are the parameters of $f$ and nothing else.

    So they can be those of another node (a `Sum` would put them into a tuple).
    """

    map: AbstractAffine

    def __check_init__(self) -> None:
        if isinstance(self.map, AbstractBilinear):
            raise ValueError(
                "map: a Residual adds a map of one parent, got a bilinear one; "
                "give it a node of its own"
            )

    def out_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) != 2:
            raise ValueError(
                f"Residual takes two parents, got {len(shapes)}; add more with affine.Sum"
            )
        out = self.map.out_shape(shapes[1])
        if out != shapes[0]:
            raise ValueError(
                f"Residual adds the first parent of shape {shapes[0]} to its map's output of "
                f"shape {out}; make them equal"
            )
        return out

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        return self.map.init(key, shapes[1], dtype=dtype)

    def apply(self, params: Params, *inputs: Float[Array, "samples ..."]) -> Array:
        first, second = inputs
        return first + self.map.apply(params, second)

    def thin(self) -> "_Second":
        return _Second(self.map.thin())


class _Second(AbstractAffine):
    """A map of the second of two parents."""

    map: AbstractAffine

    def out_shape(self, *shapes: Shape) -> Shape:
        return self.map.out_shape(shapes[1])

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        return self.map.init(key, shapes[1], dtype=dtype)

    def apply(self, params: Params, *inputs: Float[Array, "samples ..."]) -> Array:
        return self.map.apply(params, inputs[1])

    def thin(self) -> "_Second":
        return self
