"""A multiple of a map."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine._affine import AbstractAffine, Params, Shape
from liftax.affine._bilinear import AbstractBilinear


class Scaled(AbstractAffine):
    r"""$z = c\,f(u_1, \dots, u_m;\theta)$ for a fixed $c$ (``factor``); $\theta$ is that of $f$."""

    map: AbstractAffine
    factor: float

    def __check_init__(self) -> None:
        if isinstance(self.map, AbstractBilinear):
            raise ValueError(
                "map: a Scaled map states no norms per sample, got a bilinear one; scale a parent"
            )

    def out_shape(self, *shapes: Shape) -> Shape:
        return self.map.out_shape(*shapes)

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        return self.map.init(key, *shapes, dtype=dtype)

    def apply(self, params: Params, *inputs: Float[Array, "samples ..."]) -> Array:
        z = self.map.apply(params, *inputs)
        return jnp.asarray(self.factor, z.dtype) * z

    def thin(self) -> "Scaled":
        return Scaled(self.map.thin(), self.factor)
