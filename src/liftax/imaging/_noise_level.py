"""How much noise an image has."""

import itertools
import math

import numpy as np
from jaxtyping import ArrayLike

from liftax._pixels import check_channels, check_numbers

# High-pass filters of norm 1: of Daubechies' wavelet with two vanishing moments, and of Haar's.
_SMOOTH = np.array([1 - math.sqrt(3), math.sqrt(3) - 3, 3 + math.sqrt(3), -1 - math.sqrt(3)])
_SMOOTH = _SMOOTH / math.sqrt(32)
_SHORT = np.array([1.0, -1.0]) / math.sqrt(2)
# The median of |ε| for a standard normal ε.
_MEDIAN = 0.6744897501960817
_ENOUGH = 64


def noise_level(image: ArrayLike, seen: ArrayLike | None = None) -> float:
    r"""The standard deviation of white noise in an image, $\operatorname{median}|d|/0.6745$.

    $d$ are the finest diagonal wavelet coefficients (Daubechies, two vanishing moments, every
    second of each axis, all channels). Fine textures count as noise: the estimate tends to be
    high. Where pixels are missing, $d$ are the coefficients at all places that touch none of them;
    Haar's if fewer than 64 are left, whose estimates are higher; and 0 if fewer of these are.

    Args:
        image: (height, width, channels), both sides at least 4.
        seen: (height, width, 1), not 0 where a pixel counts; None for all.

    Raises:
        ValueError: for integers, another number of axes, channels first, a smaller image, and a
            mask of another shape.

    Source: Donoho & Johnstone (1994).
    """
    pixels = np.asarray(image)
    check_numbers(pixels, "image")
    check_channels(pixels, "image")
    x = pixels.astype(np.float64)
    if x.ndim != 3 or min(x.shape[:2]) < len(_SMOOTH):
        raise ValueError(
            f"image must be (height, width, channels), at least 4x4 pixels, got {x.shape}"
        )
    if seen is None:
        return float(np.median(np.abs(_details(x, _SMOOTH, 2))) / _MEDIAN)
    known = np.asarray(seen) != 0
    if known.shape != (*x.shape[:2], 1):
        raise ValueError(f"seen must be {(*x.shape[:2], 1)}, got {known.shape}")
    for taps in (_SMOOTH, _SHORT):
        whole = _details(~known, np.ones(len(taps)), 1)[..., 0] == 0
        if whole.sum() >= _ENOUGH:
            return float(np.median(np.abs(_details(x, taps, 1)[whole])) / _MEDIAN)
    return 0.0


def _details(x: np.ndarray, taps: np.ndarray, step: int) -> np.ndarray:
    """The filter along both axes, at every so many places."""
    height, width = (n - len(taps) + 1 for n in x.shape[:2])
    pairs = itertools.product(enumerate(taps), enumerate(taps))
    shape = (-(-height // step), -(-width // step), x.shape[2])
    found = np.zeros(shape)
    for (i, a), (j, b) in pairs:
        found += a * b * x[i : i + height : step, j : j + width : step]
    return found
