"""Cross-correlation (NHWC), its adjoint and its weight gradient, for both convolution layers."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

Shape = tuple[int, ...]
Pair = tuple[int, int]
Pads = tuple[Pair, Pair]

_LAYOUT = ("NHWC", "HWIO", "NHWC")


def correlate(x: Array, w: Array, stride: Pair, pads: Pads, dilation: Pair = (1, 1)) -> Array:
    """The forward convolution; the input is spread by ``dilation`` first."""
    return jax.lax.conv_general_dilated(
        x, w, stride, pads, lhs_dilation=dilation, dimension_numbers=_LAYOUT
    )


def input_adjoint(shape: Shape, w: Array, stride: Pair, pads: Pads, r: Array) -> Array:
    """A forward convolution of the (dilated) residual with the flipped, transposed kernel."""
    flipped = jnp.swapaxes(w[::-1, ::-1], 2, 3)
    back = []
    for axis in (0, 1):
        low = w.shape[axis] - 1 - pads[axis][0]
        spread = (r.shape[axis + 1] - 1) * stride[axis] + 1
        back.append((low, shape[axis + 1] + w.shape[axis] - 1 - spread - low))
    return correlate(r, flipped, (1, 1), (back[0], back[1]), stride)


def weight_adjoint(x: Array, shape: Shape, stride: Pair, pads: Pads, r: Array) -> Array:
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


def extent(size: int, kernel: int, stride: int, padding: str) -> tuple[int, int, int]:
    """Output size of the forward convolution and the zeros before and after, along one axis."""
    if padding == "valid":
        return (size - kernel) // stride + 1, 0, 0
    out = -(-size // stride)
    total = max((out - 1) * stride + kernel - size, 0)
    return out, total // 2, total - total // 2


def check(features: int, kernel: Pair, stride: Pair, padding: str) -> None:
    """Raise a ValueError for settings that describe no convolution."""
    if padding not in ("same", "valid"):
        raise ValueError(f"padding must be 'same' or 'valid', got {padding!r}")
    if min(features, *kernel, *stride) < 1:
        raise ValueError(
            f"features, kernel and stride must be at least 1, got {features}, {kernel}, {stride}"
        )
