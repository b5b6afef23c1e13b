"""Values mixed by weights."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine._affine import Params, Shape
from liftax.affine._bilinear import AbstractBilinear
from liftax.affine._nothing import Nothing


class Mix(AbstractBilinear):
    r"""$O_h = S_h V_h$ from $S$ (H, n, m) and $V$ (m, d) to (n, d), for $H$ heads side by side.

    $V_h$ are the columns of $V$ from $hd/H$ on. The norm in $V$ is $\max_h\|S_h\|$ and the norm in
    $S$ is $\max_h\|V_h\|$, both bounded by Frobenius norms.

    Source: Vaswani et al. 2017, section 3.2.
    """

    heads: int = 1

    def __check_init__(self) -> None:
        if self.heads < 1:
            raise ValueError(f"heads must be at least 1, got {self.heads}; give how many there are")

    def out_shape(self, *shapes: Shape) -> Shape:
        if [len(s) for s in shapes] != [3, 2] or shapes[0][2] != shapes[1][0]:
            raise ValueError(
                f"Mix takes two parents of shapes (heads, n, m) and (m, d), got {shapes}; "
                "give the weights first"
            )
        (heads, n, _), (_, width) = shapes
        if heads != self.heads or width % heads:
            raise ValueError(
                f"heads must be the first parent's {heads} and divide the width {width}, "
                f"got {self.heads}"
            )
        return (n, width)

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        return {}

    def apply(self, params: Params, *inputs: Float[Array, "samples ..."]) -> Array:
        s, v = inputs
        mixed = jnp.einsum("shnm,smhc->snhc", s, self._split(v))
        return mixed.reshape(*mixed.shape[:2], v.shape[2])

    def norms(self, inputs: tuple[Array, Array], parent: int) -> Float[Array, " samples"]:
        s, v = inputs
        if parent == 0:
            squares = jnp.sum(jnp.square(self._split(v)), axis=(1, 3))
        else:
            squares = jnp.sum(jnp.square(s), axis=(2, 3))
        return jnp.sqrt(jnp.max(squares, axis=1))

    def thin(self) -> Nothing:
        return Nothing(self)

    def _split(self, v: Array) -> Float[Array, "samples tokens heads c"]:
        return v.reshape(*v.shape[:2], self.heads, v.shape[2] // self.heads)
