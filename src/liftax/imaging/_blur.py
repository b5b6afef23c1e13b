"""Blur: convolution with a kernel."""

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from liftax.imaging._operator import AbstractOperator, Shape, check_shape, power_norm

BOUNDARIES = ("periodic", "symmetric", "zero")
# Entries of a kernel up to which sums of shifted images are faster than transforms.
_DIRECT = 50


class Blur(AbstractOperator):
    r"""$(k * x)_{ij} = \sum_{ab}k_{ab}\,x_{i-a,j-b}$ on every channel, (0, 0) being k's middle.

    Small kernels are applied directly, others by fast Fourier transforms. The norm is exact for
    periodic images, $\max|\hat k|$, and else that of `power_norm`.

    Attributes:
        kernel: $k$, both sides odd.
        boundary: what lies outside: "periodic", "symmetric" (mirrored, the edge repeated) or
            "zero".

    Raises:
        ValueError: for an even side, a kernel larger than the image, or another boundary.
    """

    in_shape: Shape = eqx.field(static=True)
    kernel: Float[Array, "kh kw"]
    boundary: str = eqx.field(static=True)

    def __init__(self, in_shape: Shape, kernel: ArrayLike, boundary: str = "symmetric"):
        self.in_shape, self.kernel, self.boundary = tuple(in_shape), jnp.asarray(kernel), boundary

    def __check_init__(self) -> None:
        sides = self.kernel.shape
        if len(sides) != 2 or any(n % 2 == 0 for n in sides):
            raise ValueError(f"kernel must have two odd sides, got {sides}; pad it with zeros")
        if any(k > n for k, n in zip(sides, self.in_shape, strict=False)):
            raise ValueError(f"kernel {sides} is larger than the image {self.in_shape}; crop it")
        if self.boundary not in BOUNDARIES:
            raise ValueError(f"boundary must be one of {BOUNDARIES}, got {self.boundary!r}")

    def apply(self, x: Float[Array, "h w c"]) -> Float[Array, "h w c"]:
        check_shape(x, self.in_shape, "Blur")
        reach = [(n // 2, n // 2) for n in self.kernel.shape]
        if self.boundary == "periodic" and self.kernel.size > _DIRECT:
            return _transformed(x, self.kernel)
        mode = {"periodic": "wrap", "symmetric": "symmetric", "zero": "constant"}[self.boundary]
        padded = jnp.pad(x, (*reach, (0, 0)), mode=mode)
        if self.kernel.size > _DIRECT:
            whole = _transformed(padded, self.kernel)
            return whole[
                reach[0][0] : reach[0][0] + x.shape[0], reach[1][0] : reach[1][0] + x.shape[1]
            ]
        return _shifted(padded, self.kernel, x.shape)

    def norm(self) -> Float[Array, ""]:
        if self.boundary != "periodic":
            return power_norm(self)
        return jnp.max(jnp.abs(jnp.fft.fft2(_centred(self.kernel, self.in_shape))))


def _shifted(padded: Array, kernel: Array, shape: Shape) -> Array:
    flipped = kernel[::-1, ::-1].astype(padded.dtype)
    terms = [
        flipped[a, b] * padded[a : a + shape[0], b : b + shape[1]]
        for a in range(kernel.shape[0])
        for b in range(kernel.shape[1])
    ]
    return sum(terms[1:], start=terms[0])


def _transformed(x: Array, kernel: Array) -> Array:
    gain = transfer(kernel.astype(x.dtype), x.shape)
    spectrum = gain[..., None] * jnp.fft.rfft2(x, axes=(0, 1))
    return jnp.fft.irfft2(spectrum, s=x.shape[:2], axes=(0, 1))


def transfer(kernel: Float[Array, "kh kw"], shape: Shape) -> Array:
    r"""$\hat k$ on the frequencies of `rfft2` of an image of this shape."""
    return jnp.fft.rfft2(_centred(kernel, shape))


def _centred(kernel: Array, shape: Shape) -> Array:
    """The kernel on the grid of the image, its middle at the origin."""
    pads = [(0, n - k) for n, k in zip(shape, kernel.shape, strict=False)]
    middle = [-(k // 2) for k in kernel.shape]
    return jnp.roll(jnp.pad(kernel, pads), middle, axis=(0, 1))


def gaussian_kernel(sigma: float, radius: int | None = None) -> Float[Array, "k k"]:
    r"""$\exp(-(i^2 + j^2)/2\sigma^2)$ for $|i|,|j|\le$ radius (default ⌈4σ⌉), with the sum 1.

    Raises:
        ValueError: unless σ is positive.
    """
    if not sigma > 0:
        raise ValueError(f"sigma must be positive, got {sigma} pixels")
    reach = math.ceil(4 * sigma) if radius is None else radius
    profile = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel = np.outer(profile, profile)
    return jnp.asarray(kernel / kernel.sum())


def box_kernel(side: int) -> Float[Array, "k k"]:
    """Equal entries with the sum 1, side x side of them.

    Raises:
        ValueError: unless the side is odd.
    """
    if side < 1 or side % 2 == 0:
        raise ValueError(f"side must be odd, got {side}")
    return jnp.full((side, side), 1 / side**2)


def motion_kernel(length: float, angle: float) -> Float[Array, "k k"]:
    """A line of this length in pixels with the sum 1: camera motion.

    The angle is in degrees, 0 along the width, counter-clockwise. Entries are the parts of the line
    by linear interpolation at 32 points a pixel.

    Raises:
        ValueError: unless the length is positive.
    """
    if not length > 0:
        raise ValueError(f"length must be positive, got {length} pixels")
    reach = math.ceil(length / 2) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    way = np.linspace(-length / 2, length / 2, max(2, round(32 * length)))
    radians = np.deg2rad(angle)
    rows, columns = reach - way * np.sin(radians), reach + way * np.cos(radians)
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        share = np.abs(1 - i - (rows - top)) * np.abs(1 - j - (columns - left))
        np.add.at(kernel, (top + i, left + j), share)
    return jnp.asarray(kernel / kernel.sum())
