"""The Radon transform, and filtered back-projection."""

import functools
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from liftax._iterate import scan
from liftax._pixels import check_numbers
from liftax.imaging._operator import AbstractOperator, Shape, check_shape, power_norm

FILTERS = ("ramp", "hann", "none")


class Radon(AbstractOperator):
    r"""Line integrals of an image (h, w, 1) along parallel beams, (detectors, angles).

    $(Ax)(t,\theta) = \int x(t\cos\theta + s\sin\theta,\ -t\sin\theta + s\cos\theta)\,ds$ with the
    origin in the pixel (h // 2, w // 2), the first coordinate along the width, the second along the
    height downwards, lengths in pixels, and $t$ from -(detectors // 2) on, one pixel apart (the
    geometry of scikit-image's `radon`). Rays are sampled in every row (steep rays) or column and
    interpolated linearly along the other axis (Joseph's method). The adjoint is exact. The norm is
    that of `power_norm`.

    Attributes:
        angles: θ in degrees.
        detectors: their number; by default enough for the diagonal.

    Source: Joseph (1982).
    """

    in_shape: Shape = eqx.field(static=True)
    angles: Float[Array, " angles"]
    detectors: int = eqx.field(static=True)

    def __init__(
        self, in_shape: Shape, angles: ArrayLike | Sequence[float], detectors: int | None = None
    ):
        """See the class."""
        self.in_shape, self.angles = tuple(in_shape), jnp.atleast_1d(jnp.asarray(angles))
        if len(self.in_shape) != 3 or self.in_shape[2] != 1:
            raise ValueError(f"in_shape must be (height, width, 1), got {self.in_shape}")
        diagonal = int(np.ceil(np.hypot(*self.in_shape[:2])))
        self.detectors = diagonal if detectors is None else detectors
        if self.detectors < 1:
            raise ValueError(f"detectors must be at least 1, got {detectors}")

    def apply(self, x: Float[Array, "h w 1"]) -> Float[Array, "detectors angles"]:
        check_shape(x, self.in_shape, "Radon")
        angles = jnp.deg2rad(self.angles).astype(x.dtype)
        return _project(x[..., 0], angles, self.detectors)

    def norm(self) -> Float[Array, ""]:
        return power_norm(self, 50)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _project(x: Array, angles: Array, detectors: int) -> Array:
    # A loop: vmap would compute both branches for every angle.
    return scan(lambda _, angle: (None, _ray_sums(x, angle, detectors)), None, angles)[1].T


def _project_forward(x: Array, angles: Array, detectors: int) -> tuple[Array, tuple]:
    return _project(x, angles, detectors), (angles, x)


def _project_adjoint(detectors: int, kept: tuple, y: Array) -> tuple[Array, Array]:
    # Written as a gather too: scattering is slower, and this is the exact transpose.
    angles, x = kept

    def step(total: Array, one: tuple[Array, Array]) -> tuple[Array, None]:
        return total + _smear(one[1], one[0], x.shape), None

    return scan(step, jnp.zeros_like(x), (angles, y.T))[0], jnp.zeros_like(angles)


_project.defvjp(_project_forward, _project_adjoint)


def _ray_sums(x: Array, angle: Array, detectors: int) -> Array:
    height, width = x.shape
    steep = jnp.abs(jnp.cos(angle)) >= jnp.abs(jnp.sin(angle))
    return jax.lax.cond(
        steep,
        lambda: _row_sums(x, jnp.cos(angle), jnp.sin(angle), detectors, (height // 2, width // 2)),
        # With the axes exchanged the angle becomes 90° minus it, and t its negative.
        lambda: _row_sums(
            x.T, -jnp.sin(angle), -jnp.cos(angle), detectors, (width // 2, height // 2)
        ),
    )


def _row_sums(
    x: Array, cosine: Array, sine: Array, detectors: int, origin: tuple[int, int]
) -> Array:
    """Sums over the rows, each read at (t + sin θ (row - origin)) / cos θ."""
    t = jnp.arange(detectors, dtype=x.dtype) - detectors // 2
    rows = jnp.arange(x.shape[0], dtype=x.dtype) - origin[0]
    # Zeros stand for everything outside: one column before the image, two behind.
    padded = jnp.pad(x, ((0, 0), (1, 2)))
    place = origin[1] + 1 + (t[None, :] + sine * rows[:, None]) / cosine
    place = jnp.clip(place, 0, x.shape[1] + 1)
    low = place.astype(jnp.int32)
    share = place - low.astype(x.dtype)
    index = padded.shape[1] * jnp.arange(x.shape[0], dtype=jnp.int32)[:, None] + low
    left = _read(padded, index)
    # The product with ones is a faster sum.
    sums = jnp.ones((x.shape[0],), x.dtype) @ (left + share * (_read(padded, index + 1) - left))
    return sums / jnp.abs(cosine)


def _smear(y: Array, angle: Array, shape: tuple[int, int]) -> Array:
    (height, width), turned = shape, (shape[1], shape[0])
    steep = jnp.abs(jnp.cos(angle)) >= jnp.abs(jnp.sin(angle))
    origin = (height // 2, width // 2)
    return jax.lax.cond(
        steep,
        lambda: _spread(y, jnp.cos(angle), jnp.sin(angle), shape, origin),
        lambda: _spread(y, -jnp.sin(angle), -jnp.cos(angle), turned, (width // 2, height // 2)).T,
    )


def _spread(
    y: Array, cosine: Array, sine: Array, shape: tuple[int, int], origin: tuple[int, int]
) -> Array:
    """The transpose of `_row_sums`: at most two detectors see a pixel from less than a pixel."""
    rows = jnp.arange(shape[0], dtype=y.dtype)[:, None] - origin[0]
    columns = jnp.arange(shape[1], dtype=y.dtype)[None, :] - origin[1]
    t = columns * cosine - sine * rows
    low = jnp.floor(t)
    padded = jnp.pad(y, 1)
    last = y.shape[0] + 1
    total = jnp.zeros(shape, y.dtype)
    for neighbour in (0, 1):
        weight = jnp.maximum(0, 1 - jnp.abs((low + neighbour - t) / cosine))
        index = low.astype(jnp.int32) + neighbour + y.shape[0] // 2 + 1
        total = total + weight * _read(padded, jnp.clip(index, 0, last))
    return total / jnp.abs(cosine)


def _read(values: Array, index: Array) -> Array:
    """Entries of the flattened array at indices known to lie in it."""
    return values.ravel().at[index].get(mode="promise_in_bounds")


def filtered_back_projection(
    radon: Radon, y: Float[Array, "detectors angles"], window: str = "ramp"
) -> Float[Array, "h w 1"]:
    r"""$\frac{\pi}{2n}BFy$ for $n$ angles spread over 180 degrees.

    B adds up what the detectors saw along the rays through each pixel, interpolated linearly
    between detectors (smoother than $A^\top$ at single pixels). F is the ramp filter $2|\omega|$
    along the detectors ($\omega$ in cycles a pixel), sampled in space to keep the mean, times a
    Hann window for "hann"; "none" leaves it out.

    Raises:
        ValueError: for another window, and for y of another shape than the transform's `out_shape`.

    Source: Kak & Slaney (1988), chapter 3, equation 61 for the samples of the ramp.
    """
    if window not in FILTERS:
        raise ValueError(f"window must be one of {FILTERS}, got {window!r}")
    check_numbers(y, "y")
    wanted = (radon.detectors, len(radon.angles))
    if y.shape != wanted:
        raise ValueError(
            f"y has the shape {y.shape}, this transform gives (detectors, angles) = {wanted}; "
            "make it with as many detectors and the same angles"
        )
    scale = jnp.asarray(np.pi / (2 * len(radon.angles)), y.dtype)
    if window == "none":
        return scale * _back_projection(radon, y)
    size = max(64, 2 ** int(np.ceil(np.log2(2 * y.shape[0]))))
    index = np.concatenate([np.arange(0, size // 2 + 1), np.arange(-size // 2 + 1, 0)])
    samples = np.zeros(size)
    samples[0] = 0.25
    odd = index % 2 == 1
    samples[odd] = -1 / (np.pi * index[odd]) ** 2
    response = 2 * np.real(np.fft.rfft(samples))
    if window == "hann":
        response *= 0.5 * (1 + np.cos(2 * np.pi * np.fft.rfftfreq(size)))
    spectrum = jnp.fft.rfft(y, size, axis=0)
    spectrum = spectrum * jnp.asarray(response, spectrum.dtype)[:, None]
    filtered = jnp.fft.irfft(spectrum, size, axis=0)[: y.shape[0]]
    return scale * _back_projection(radon, filtered)


def _back_projection(radon: Radon, y: Array) -> Array:
    height, width, _ = radon.in_shape
    rows = jnp.arange(height, dtype=y.dtype)[:, None] - height // 2
    columns = jnp.arange(width, dtype=y.dtype)[None, :] - width // 2
    last = y.shape[0] + 1

    def step(total: Array, one: tuple[Array, Array]) -> tuple[Array, None]:
        angle, row = one
        t = columns * jnp.cos(angle) - rows * jnp.sin(angle) + y.shape[0] // 2 + 1
        low, padded = jnp.floor(t), jnp.pad(row, 1)
        share, index = t - low, low.astype(jnp.int32)
        left, right = (_read(padded, jnp.clip(index + k, 0, last)) for k in (0, 1))
        return total + (1 - share) * left + share * right, None

    angles = jnp.deg2rad(radon.angles).astype(y.dtype)
    total, _ = scan(step, jnp.zeros((height, width), y.dtype), (angles, y.T))
    return total[..., None]
