"""How much noise an image has."""

import itertools
import math

import numpy as np
from jaxtyping import ArrayLike

# The high-pass filter of Daubechies' wavelet with two vanishing moments, of norm 1.
_FILTER = np.array([1 - math.sqrt(3), math.sqrt(3) - 3, 3 + math.sqrt(3), -1 - math.sqrt(3)])
_FILTER = _FILTER / math.sqrt(32)
# The median of |ε| for a standard normal ε.
_MEDIAN = 0.6744897501960817


def noise_level(image: ArrayLike) -> float:
    r"""The standard deviation of white noise in an image, $\operatorname{median}|d|/0.6745$.

    $d$ are the finest diagonal wavelet coefficients (Daubechies, two vanishing moments, every
    second of each axis, all channels). Fine textures count as noise: the estimate tends to be
    high.

    Args:
        image: (height, width, channels), both sides at least 4.

    Raises:
        ValueError: for another number of axes, or a smaller image.

    Source: Donoho & Johnstone (1994).
    """
    x = np.asarray(image, np.float64)
    if x.ndim != 3 or min(x.shape[:2]) < len(_FILTER):
        raise ValueError(
            f"image must be (height, width, channels), at least 4x4 pixels, got {x.shape}"
        )
    height, width = (2 * ((n - len(_FILTER)) // 2) + 1 for n in x.shape[:2])
    taps = list(enumerate(_FILTER))
    detail = sum(
        a * b * x[i : i + height : 2, j : j + width : 2]
        for (i, a), (j, b) in itertools.product(taps, taps)
    )
    return float(np.median(np.abs(detail)) / _MEDIAN)
