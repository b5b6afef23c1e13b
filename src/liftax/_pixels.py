"""What is refused of pictures, in one voice."""

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike

Pixels = Array | np.ndarray
_CHANNELS = (1, 3, 4)
# Beyond what noise makes of pictures whose white is 1.
_MOST = 10


def check_numbers(x: Pixels, name: str) -> None:
    """Raise a ValueError for integers: white is 1, and they would be taken for very bright."""
    if jnp.issubdtype(x.dtype, jnp.integer):
        largest = 65535 if x.dtype == np.uint16 else 255
        raise ValueError(
            f"{name} holds integers ({x.dtype}), and white is 1: divide by {largest}, or take "
            f"{name}.astype(float) if the values are meant as they are"
        )


def check_channels(x: Pixels, name: str) -> None:
    """Raise a ValueError for (channels, height, width)."""
    if x.ndim == 3 and x.shape[0] in _CHANNELS and x.shape[2] > max(_CHANNELS):
        raise ValueError(
            f"{name} has the channels first, {x.shape}, pictures are (height, width, channels); "
            f"move them by np.moveaxis({name}, 0, -1)"
        )


def check_finite(x: Pixels, name: str) -> None:
    """Raise a ValueError for values that are known and not finite."""
    if not isinstance(x, Tracer) and not np.isfinite(np.asarray(x)).all():
        raise ValueError(
            f"{name} has values that are not finite; replace them, or hide them by a Mask"
        )


def check_white(x: np.ndarray, name: str) -> None:
    """Raise a ValueError for pixels in 0..255 or 0..65535."""
    most = float(np.abs(x).max())
    if most > _MOST:
        raise ValueError(
            f"{name} has pixels up to {most:g}, and white is 1: divide them by "
            f"{255 if most < 1000 else 65535}"
        )


def check_noise(sigma: float) -> None:
    """Raise a ValueError for a noise level on the scale of 0..255."""
    if sigma > 1:
        raise ValueError(
            f"sigma must be at most 1, white being 1, got {sigma:g}; {sigma:g} of 255 is "
            f"{sigma / 255:.3f}"
        )


def check_weight(weight: ArrayLike, name: str = "weight") -> None:
    """Raise a ValueError for a known number that is negative or not finite."""
    if not isinstance(weight, Tracer):
        values = np.asarray(weight)
        if not ((values >= 0) & np.isfinite(values)).all():
            raise ValueError(f"{name} must be at least 0 and finite, got {weight}")
