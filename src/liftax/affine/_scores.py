"""Products of queries and keys."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine._affine import Params, Shape
from liftax.affine._bilinear import AbstractBilinear
from liftax.affine._nothing import Nothing


class Scores(AbstractBilinear):
    r"""$S_h = Q_h K_h^\top/\sqrt{d/H}$ from $Q$ (n, d) and $K$ (m, d) to (H, n, m), for $H$ heads.

    $Q_h$ are the columns of $Q$ from $hd/H$ on. The norm in $Q$ is
    $\max_h\|K_h\|\sqrt{H/d}$, bounded by the Frobenius norm (in $K$ likewise).

    Source: Vaswani et al. 2017, section 3.2.
    """

    heads: int = 1

    def __check_init__(self) -> None:
        if self.heads < 1:
            raise ValueError(f"heads must be at least 1, got {self.heads}; give how many there are")

    def out_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) != 2 or any(len(s) != 2 for s in shapes) or shapes[0][1] != shapes[1][1]:
            raise ValueError(
                f"Scores takes two parents of shapes (n, d) and (m, d), got {shapes}; "
                "map queries and keys to the same d"
            )
        (n, width), (m, _) = shapes
        if width % self.heads:
            raise ValueError(f"heads must divide the width {width}, got {self.heads}")
        return (self.heads, n, m)

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        return {}

    def apply(self, params: Params, *inputs: Float[Array, "samples tokens d"]) -> Array:
        q, k = (self._split(u) for u in inputs)
        return jnp.einsum("snhc,smhc->shnm", q * self._scale(q), k)

    def norms(self, inputs: tuple[Array, Array], parent: int) -> Float[Array, " samples"]:
        other = self._split(inputs[1 - parent])
        squares = jnp.sum(jnp.square(other), axis=(1, 3))
        return jnp.sqrt(jnp.max(squares, axis=1)) * self._scale(other)

    def thin(self) -> Nothing:
        return Nothing(self)

    def _split(self, u: Array) -> Float[Array, "samples tokens heads c"]:
        return u.reshape(*u.shape[:2], self.heads, u.shape[2] // self.heads)

    def _scale(self, split: Array) -> Array:
        return jnp.asarray(split.shape[-1] ** -0.5, split.dtype)
