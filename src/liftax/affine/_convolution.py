"""The convolution layer (NHWC), with its adjoint and weight gradient stated by hand."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax.affine._affine import AbstractAffine, Params, Shape

_LAYOUT = ("NHWC", "HWIO", "NHWC")
Pads = tuple[tuple[int, int], tuple[int, int]]


def _convolve(x: Array, w: Array, stride: tuple[int, int], pads: Pads, dilation=(1, 1)) -> Array:
    return jax.lax.conv_general_dilated(
        x, w, stride, pads, lhs_dilation=dilation, dimension_numbers=_LAYOUT
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _stated(x: Array, w: Array, stride: tuple[int, int], pads: Pads) -> Array:
    """Convolution whose adjoints avoid the forms that XLA's CPU backend compiles badly in loops.

    Inside ``scan`` and ``fori_loop`` the automatic gradients of a convolution are 10 to 20 times
    slower there; a forward convolution and shifted matrix products are not.
    """
    return _convolve(x, w, stride, pads)


def _stated_forward(x: Array, w: Array, stride: tuple[int, int], pads: Pads):
    return _convolve(x, w, stride, pads), (x, w)


def _stated_adjoint(stride: tuple[int, int], pads: Pads, kept: tuple[Array, Array], r: Array):
    x, w = kept
    return _input_adjoint(x.shape, w, stride, pads, r), _weight_adjoint(x, w.shape, stride, pads, r)


def _input_adjoint(shape: Shape, w: Array, stride: tuple[int, int], pads: Pads, r: Array) -> Array:
    """A forward convolution of the (dilated) residual with the flipped, transposed kernel."""
    flipped = jnp.swapaxes(w[::-1, ::-1], 2, 3)
    back = []
    for axis in (0, 1):
        low = w.shape[axis] - 1 - pads[axis][0]
        spread = (r.shape[axis + 1] - 1) * stride[axis] + 1
        back.append((low, shape[axis + 1] + w.shape[axis] - 1 - spread - low))
    return _convolve(r, flipped, (1, 1), (back[0], back[1]), stride)


def _weight_adjoint(x: Array, shape: Shape, stride: tuple[int, int], pads: Pads, r: Array) -> Array:
    """One matrix product per kernel position between the shifted input and the residual."""
    padded = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    height, width = ((n - 1) * s + 1 for n, s in zip(r.shape[1:3], stride, strict=True))
    shifts = [
        jnp.einsum(
            "nhwi,nhwo->io",
            padded[:, i : i + height : stride[0], j : j + width : stride[1]],
            r,
        )
        for i in range(shape[0])
        for j in range(shape[1])
    ]
    return jnp.stack(shifts).reshape(shape)


_stated.defvjp(_stated_forward, _stated_adjoint)


class Convolution(AbstractAffine):
    r"""$z = w * u + b$ on (height, width, channels), $w$ of shape (kh, kw, channels, features).

    ``padding`` is "same" (zeros, output size = ceil(size/stride)) or "valid". As everywhere in deep
    learning the kernel is not flipped (cross-correlation). Initial weights are normal with variance
    $\mathrm{gain}^2/(kh\,kw\,\mathrm{channels})$, the bias is zero.
    """

    features: int
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    padding: str = "same"
    use_bias: bool = True
    gain: float = 1.0

    def __check_init__(self) -> None:
        if self.padding not in ("same", "valid"):
            raise ValueError(f"padding must be 'same' or 'valid', got {self.padding!r}")
        if min(self.features, *self.kernel, *self.stride) < 1:
            raise ValueError(
                "features, kernel and stride must be at least 1, got "
                f"{self.features}, {self.kernel}, {self.stride}"
            )

    def out_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) != 1 or len(shapes[0]) != 3:
            raise ValueError(
                f"Convolution takes one parent of shape (height, width, channels), got {shapes}; "
                "reshape the data to that form"
            )
        height, width = (self._extent(shapes[0][axis], axis)[0] for axis in (0, 1))
        if min(height, width) < 1:
            raise ValueError(
                f"a {self.kernel} kernel with 'valid' padding does not fit an input of "
                f"{shapes[0]}; use a smaller kernel or padding='same'"
            )
        return (height, width, self.features)

    def init(self, key: PRNGKeyArray, *shapes: Shape, dtype: Any) -> Params:
        shape = (*self.kernel, shapes[0][-1], self.features)
        scale = self.gain / math.sqrt(math.prod(shape[:3]))
        params = {"weight": scale * jax.random.normal(key, shape, dtype)}
        if self.use_bias:
            params["bias"] = jnp.zeros((self.features,), dtype)
        return params

    def apply(self, params: Params, *inputs: Float[Array, "samples h w channels"]) -> Array:
        (u,) = inputs
        pads = (self._extent(u.shape[1], 0)[1:], self._extent(u.shape[2], 1)[1:])
        convolve: Any = _stated if jax.default_backend() == "cpu" else _convolve
        z = convolve(u, params["weight"], self.stride, pads)
        return z + params["bias"] if self.use_bias else z

    def thin(self) -> "Convolution":
        return Convolution(1, self.kernel, self.stride, self.padding, self.use_bias)

    def _extent(self, size: int, axis: int) -> tuple[int, int, int]:
        """Output size and the zeros before and after, along one spatial axis."""
        kernel, stride = self.kernel[axis], self.stride[axis]
        if self.padding == "valid":
            return (size - kernel) // stride + 1, 0, 0
        out = -(-size // stride)
        total = max((out - 1) * stride + kernel - size, 0)
        return out, total // 2, total - total // 2
