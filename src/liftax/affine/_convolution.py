"""The convolution layer (NHWC), with its adjoint and weight gradient stated by hand."""

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
from liftax.affine._weights import weights


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _stated(x: Array, w: Array, stride: Pair, pads: Pads) -> Array:
    """Convolution whose adjoints avoid the forms that XLA's CPU backend compiles badly in loops.

    Inside ``scan`` and ``fori_loop`` the automatic gradients of a convolution are 10 to 20 times
    slower there; a forward convolution and shifted matrix products are not.
    """
    return correlate(x, w, stride, pads)


def _stated_forward(x: Array, w: Array, stride: Pair, pads: Pads):
    return correlate(x, w, stride, pads), (x, w)


def _stated_adjoint(stride: Pair, pads: Pads, kept: tuple[Array, Array], r: Array):
    x, w = kept
    return input_adjoint(x.shape, w, stride, pads, r), weight_adjoint(x, w.shape, stride, pads, r)


_stated.defvjp(_stated_forward, _stated_adjoint)


class Convolution(AbstractAffine):
    r"""$z = w * u + b$ on (height, width, channels), $w$ of shape (kh, kw, channels, features).

    ``padding`` is "same" (zeros, output size = ceil(size/stride)), "valid", or the rows and columns
    of zeros ((top, bottom), (left, right)). As everywhere in deep learning the kernel is not
    flipped (cross-correlation). Initial weights are normal with variance
    $\mathrm{gain}^2/(kh\,kw\,\mathrm{channels})$, or gain times a random semi-orthogonal matrix
    of shape (kh kw channels, features); the bias is zero.
    """

    features: int
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    padding: Padding = "same"
    use_bias: bool = True
    gain: float = 1.0
    orthogonal: bool = False

    def __check_init__(self) -> None:
        check(self.features, self.kernel, self.stride, self.padding)

    def out_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) != 1 or len(shapes[0]) != 3:
            raise ValueError(
                f"Convolution takes one parent of shape (height, width, channels), got {shapes}; "
                "reshape the data to that form"
            )
        height, width = (self._extent(shapes[0][axis], axis)[0] for axis in (0, 1))
        if min(height, width) < 1:
            raise ValueError(
                f"a {self.kernel} kernel with {self.padding!r} padding does not fit an input of "
                f"{shapes[0]}; use a smaller kernel or padding='same'"
            )
        return (height, width, self.features)

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        shape = (*self.kernel, shapes[0][-1], self.features)
        inputs = math.prod(shape[:3])
        drawn = weights(key, inputs, self.features, self.gain, self.orthogonal, dtype)
        params = {"weight": drawn.reshape(shape)}
        if self.use_bias:
            params["bias"] = jnp.zeros((self.features,), dtype)
        return params

    def apply(self, params: Params, *inputs: Float[Array, "samples h w channels"]) -> Array:
        (u,) = inputs
        pads = (self._extent(u.shape[1], 0)[1:], self._extent(u.shape[2], 1)[1:])
        convolve: Any = _stated if jax.default_backend() == "cpu" else correlate
        z = convolve(u, params["weight"], self.stride, pads)
        return z + params["bias"] if self.use_bias else z

    def rows(self, u: Float[Array, "samples h w channels"]) -> Float[Array, "positions columns"]:
        """The patches that meet the kernel, in the order of its flattened entries."""
        pads = (self._extent(u.shape[1], 0)[1:], self._extent(u.shape[2], 1)[1:])
        padded = jnp.pad(u, ((0, 0), *pads, (0, 0)))
        height, width, _ = self.out_shape(u.shape[1:])
        (down, right), reach = self.stride, (self.stride[0] * height, self.stride[1] * width)
        shifts = [
            padded[:, i : i + reach[0] : down, j : j + reach[1] : right]
            for i in range(self.kernel[0])
            for j in range(self.kernel[1])
        ]
        shifts = [s[:, :height, :width] for s in shifts]
        columns = len(shifts) * u.shape[-1]
        if u.shape[-1] < 4:
            # Few numbers side by side are slow to write: column by column instead.
            return jnp.concatenate([jnp.moveaxis(s, -1, 0) for s in shifts]).reshape(columns, -1).T
        return jnp.concatenate(shifts, axis=-1).reshape(-1, columns)

    def thin(self) -> "Convolution":
        return Convolution(1, self.kernel, self.stride, self.padding, self.use_bias)

    def _extent(self, size: int, axis: int) -> tuple[int, int, int]:
        return extent(size, self.kernel[axis], self.stride[axis], along(self.padding, axis))
