"""The adjoint of a dense layer as a layer."""

import math
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine._affine import AbstractAffine, Params, Shape
from liftax.affine._weights import weights


class TransposedDense(AbstractAffine):
    r"""$z = u W^\top + b$ with $W$ of shape (features, inputs); the example is flattened first.

    $W$ has the layout of the dense layer from features to inputs. With that layer's parameters, and
    without a bias, this is its adjoint (tied weights; further entries of the parameters are
    ignored). Initial weights are normal with variance $\mathrm{gain}^2/\mathrm{inputs}$, or gain
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
        if len(shapes) != 1:
            raise ValueError(
                f"TransposedDense takes one parent, got {len(shapes)}; add maps with affine.Sum"
            )
        return (self.features,)

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        inputs = math.prod(shapes[0])
        params = {
            "weight": weights(key, inputs, self.features, self.gain, self.orthogonal, dtype).T
        }
        if self.use_bias:
            params["bias"] = jnp.zeros((self.features,), dtype)
        return params

    def apply(self, params: Params, *inputs: Float[Array, "samples ..."]) -> Array:
        (u,) = inputs
        z = u.reshape(u.shape[0], -1) @ params["weight"].T
        return z + params["bias"] if self.use_bias else z

    def thin(self) -> "TransposedDense":
        return TransposedDense(1, self.use_bias)
