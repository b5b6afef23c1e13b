"""The adjoint of a convolution as a layer (NHWC)."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine._affine import AbstractAffine, Params, Shape
from liftax.affine._correlation import (
    Padding,
    Pads,
    Pair,
    along,
    check,
    correlate,
    extent,
    input_adjoint,
    weight_adjoint,
)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _stated(u: Array, w: Array, shape: Shape, stride: Pair, pads: Pads) -> Array:
    """Adjoint of the convolution that maps ``shape`` to the shape of ``u``.

    Its own adjoints are stated for the reason that the convolution's are: they are a forward
    convolution and shifted matrix products, which XLA's CPU backend compiles well in loops.
    """
    return input_adjoint(shape, w, stride, pads, u)


def _stated_forward(u: Array, w: Array, shape: Shape, stride: Pair, pads: Pads):
    return input_adjoint(shape, w, stride, pads, u), (u, w)


def _stated_adjoint(
    shape: Shape, stride: Pair, pads: Pads, kept: tuple[Array, Array], r: Array
) -> tuple[Array, Array]:
    u, w = kept
    return correlate(r, w, stride, pads), weight_adjoint(r, w.shape, stride, pads, u)


_stated.defvjp(_stated_forward, _stated_adjoint)


class TransposedConvolution(AbstractAffine):
    r"""$z = w^* u + b$, the adjoint of a convolution; $w$ is (kh, kw, features, channels).

    With the parameters of ``Convolution(channels, kernel, stride, padding)`` on an input of that
    many ``features``, and without a bias, it is that layer's adjoint (tied weights; further entries
    of the parameters are ignored). The output size is size * stride for "same",
    (size - 1) * stride + kernel for "valid", and that less the padding where it is
    ((top, bottom), (left, right)); ``shape`` = (height, width) chooses another one that the
    convolution maps to the input's size.

    Initial weights are normal with variance
    $\mathrm{gain}^2\,sh\,sw/(kh\,kw\,\mathrm{channels})$ for the stride $(sh, sw)$ (an output pixel
    sees that many inputs), the bias is zero.
    """

    features: int
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    padding: Padding = "same"
    use_bias: bool = True
    gain: float = 1.0
    shape: tuple[int, int] | None = None

    def __check_init__(self) -> None:
        check(self.features, self.kernel, self.stride, self.padding)

    def out_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) != 1 or len(shapes[0]) != 3:
            raise ValueError(
                "TransposedConvolution takes one parent of shape (height, width, channels), got "
                f"{shapes}; reshape the data to that form"
            )
        height, width = self._sizes(shapes[0])
        if min(height, width) < 1:
            raise ValueError(
                f"padding {self.padding} leaves nothing of the output of {shapes[0]}; take less"
            )
        image = tuple(self._extent(size, axis)[0] for axis, size in enumerate((height, width)))
        if image != shapes[0][:2]:
            raise ValueError(
                f"shape: the convolution maps {(height, width)} to {image}, not to the input's "
                f"{shapes[0][:2]}; give another shape or none"
            )
        return (height, width, self.features)

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        channels = shapes[0][-1]
        seen = math.prod(self.kernel) * channels / math.prod(self.stride)
        normal = jax.random.normal(key, (*self.kernel, self.features, channels), dtype)
        params = {"weight": jnp.asarray(self.gain / math.sqrt(seen), dtype) * normal}
        if self.use_bias:
            params["bias"] = jnp.zeros((self.features,), dtype)
        return params

    def apply(self, params: Params, *inputs: Float[Array, "samples h w channels"]) -> Array:
        (u,) = inputs
        height, width = self._sizes(u.shape[1:])
        pads = (self._extent(height, 0)[1:], self._extent(width, 1)[1:])
        shape, w = (u.shape[0], height, width, self.features), params["weight"]
        if jax.default_backend() == "cpu":
            stated: Any = _stated
            z = stated(u, w, shape, self.stride, pads)
        else:
            z = input_adjoint(shape, w, self.stride, pads, u)
        return z + params["bias"] if self.use_bias else z

    def thin(self) -> "TransposedConvolution":
        return TransposedConvolution(
            1, self.kernel, self.stride, self.padding, self.use_bias, shape=self.shape
        )

    def _sizes(self, shape: Shape) -> tuple[int, int]:
        """Height and width of the output for an input of the given shape."""
        if self.shape is not None:
            return self.shape
        if self.padding == "same":
            return shape[0] * self.stride[0], shape[1] * self.stride[1]
        height, width = (
            (shape[a] - 1) * self.stride[a] + self.kernel[a] - sum(self._extent(1, a)[1:])
            for a in (0, 1)
        )
        return height, width

    def _extent(self, size: int, axis: int) -> tuple[int, int, int]:
        return extent(size, self.kernel[axis], self.stride[axis], along(self.padding, axis))
