"""The dense layer at every position."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine._affine import AbstractAffine, Params, Shape
from liftax.affine._weights import weights


class Pointwise(AbstractAffine):
    r"""$z = u W + b$ on the last axis, (..., d) to (..., features): a 1x1 convolution, token-wise.

    $W$ is (d, features). Initial weights are normal with variance $\mathrm{gain}^2/d$, or gain
    times a random semi-orthogonal matrix; the bias is zero.
    """

    features: int
    use_bias: bool = True
    gain: float = 1.0
    orthogonal: bool = False

    def __check_init__(self) -> None:
        if self.features < 1:
            raise ValueError(f"features must be at least 1, got {self.features}; give the width")

    def out_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) != 1 or not shapes[0]:
            raise ValueError(
                f"Pointwise takes one parent with channels last, got {shapes}; "
                "add maps with affine.Sum"
            )
        return (*shapes[0][:-1], self.features)

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        drawn = weights(key, shapes[0][-1], self.features, self.gain, self.orthogonal, dtype)
        return {"weight": drawn} | (
            {"bias": jnp.zeros((self.features,), dtype)} if self.use_bias else {}
        )

    def apply(self, params: Params, *inputs: Float[Array, "samples ... d"]) -> Array:
        z = inputs[0] @ params["weight"]
        return z + params["bias"] if self.use_bias else z

    def rows(self, u: Float[Array, "... channels"]) -> Float[Array, "positions channels"]:
        """The vectors of all samples and positions, which meet the weights."""
        return u.reshape(-1, u.shape[-1])

    def thin(self) -> "Pointwise":
        return Pointwise(1, self.use_bias)
