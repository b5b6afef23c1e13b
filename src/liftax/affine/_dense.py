"""The dense layer."""

import math
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine._affine import AbstractAffine, Params, Shape
from liftax.affine._weights import weights


class Dense(AbstractAffine):
    r"""$z = u W + b$ with $W$ of shape (inputs, features); the example is flattened first.

    Initial weights are normal with variance $\mathrm{gain}^2/\mathrm{inputs}$ (gain $\sqrt2$ keeps
    the second moment through a ReLU, He et al. 2015), or gain times a random semi-orthogonal matrix
    ($W^\top W$ or $WW^\top$ is $\mathrm{gain}^2 I$, Saxe et al. 2014); the bias is zero.
    """

    features: int
    use_bias: bool = True
    gain: float = 1.0
    orthogonal: bool = False

    def __check_init__(self) -> None:
        if self.features < 1:
            raise ValueError(f"features must be at least 1, got {self.features}; give the width")

    def out_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) != 1:
            raise ValueError(f"Dense takes one parent, got {len(shapes)}; add maps with affine.Sum")
        return (self.features,)

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        inputs = math.prod(shapes[0])
        params = {"weight": weights(key, inputs, self.features, self.gain, self.orthogonal, dtype)}
        if self.use_bias:
            params["bias"] = jnp.zeros((self.features,), dtype)
        return params

    def apply(self, params: Params, *inputs: Float[Array, "samples ..."]) -> Array:
        (u,) = inputs
        z = u.reshape(u.shape[0], -1) @ params["weight"]
        return z + params["bias"] if self.use_bias else z

    def rows(self, u: Float[Array, "samples ..."]) -> Float[Array, "samples columns"]:
        """The flattened examples, which meet the weights."""
        return u.reshape(u.shape[0], -1)

    def thin(self) -> "Dense":
        return Dense(1, self.use_bias)
