"""Deblurring and inpainting with a denoiser."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Float

from liftax.imaging import AbstractOperator, Blur, Compose, Mask, half_quadratic
from liftax.restoration._denoiser import Denoiser
from liftax.restoration._tiles import tiled

# Schedules of `plugged_in`: the denoiser's first level, and how many, for blurs and missing pixels.
BLURRED = (0.2, 8)
MISSING = (0.5, 30)
# Noise below this is taken for this: a photograph has 256 grey levels.
_LEAST = 1 / 256
_OVERLAP = 48
_WEIGHT = 0.2


def deblurred(
    denoiser: Denoiser,
    image: Float[np.ndarray, "h w c"],
    kernel: Float[np.ndarray, "kh kw"],
    sigma: float,
    tile: int = 512,
) -> Float[np.ndarray, "h w c"]:
    r"""`half_quadratic` for $y = (k * x)|_\Omega + $ noise.

    x lives on a larger rectangle than Ω, so that nothing is assumed about what lies outside.

    Args:
        denoiser: of photographs.
        image: y, (height, width, channels).
        kernel: k, both sides odd.
        sigma: standard deviation of the noise.
        tile: largest side that is computed at once.

    Raises:
        ValueError: for a kernel with an even side or a tile that is too small.
    """
    (top, left), first = (n // 2 for n in kernel.shape), (0, 0)
    rim = ((top, top), (left, left), first)

    def piece(square: np.ndarray) -> np.ndarray:
        y = np.pad(square, rim, mode="symmetric")
        inside = np.pad(np.ones_like(square[..., :1]), rim)
        blur = Compose(Mask(inside, y.shape[2]), Blur(y.shape, kernel, "periodic"))
        x = plugged_in(denoiser, blur, inside * y, y, _noise(sigma), BLURRED)
        return x[top : x.shape[0] - top, left : x.shape[1] - left]

    return tiled(piece, image, tile, _OVERLAP + max(kernel.shape))


def inpainted(
    denoiser: Denoiser,
    image: Float[np.ndarray, "h w c"],
    missing: Float[np.ndarray, "h w 1"],
    sigma: float,
    tile: int = 512,
) -> Float[np.ndarray, "h w c"]:
    """`half_quadratic` for an image of which pixels are missing.

    Args:
        denoiser: of photographs.
        image: (height, width, channels); missing pixels may have any value.
        missing: 1 where a pixel is missing, 0 elsewhere.
        sigma: standard deviation of the noise; without noise known pixels keep their values.
        tile: largest side that is computed at once.

    Raises:
        ValueError: for a tile that is too small.
    """

    def piece(square: np.ndarray) -> np.ndarray:
        y, known = square[..., :-1], 1 - square[..., -1:]
        mean = (known * y).sum(axis=(0, 1)) / max(float(known.sum()), 1.0)
        start = known * y + (1 - known) * mean
        mask = Mask(known, y.shape[2])
        x = plugged_in(denoiser, mask, known * y, start, _noise(sigma), MISSING)
        x = np.where(known > 0, y, x) if sigma == 0 else x
        return np.concatenate([x, square[..., -1:]], axis=-1)

    return tiled(piece, np.concatenate([image, missing], axis=-1), tile, _OVERLAP)[..., :-1]


def plugged_in(
    denoiser: Denoiser,
    operator: AbstractOperator,
    y: ArrayLike,
    start: ArrayLike,
    noise: float,
    schedule: tuple[float, int],
) -> Float[np.ndarray, "h w c"]:
    """`half_quadratic` with a denoiser, for levels in geometric progression down to the noise.

    Args:
        denoiser: of photographs.
        operator: $A$.
        y: measurements.
        start: image to begin with.
        noise: standard deviation of that of y, positive.
        schedule: the first level, and how many; such as `BLURRED` or `MISSING`.
    """
    levels = np.geomspace(schedule[0], noise, schedule[1])
    x = half_quadratic(
        operator, jnp.asarray(y), denoiser.restore, levels, noise, weight=_WEIGHT, start=start
    )
    return np.asarray(x)


def _noise(sigma: float) -> float:
    """Photographs have at least that of their grey levels."""
    return max(sigma, _LEAST)
