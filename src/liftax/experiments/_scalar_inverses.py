"""Monotone functions of one number, and how far inverses of them are off."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

Numbers = Float[np.ndarray, " n"]

FUNCTIONS: dict[str, Callable[[Numbers], Numbers]] = {
    "u³ + u": lambda u: u**3 + u,
    "exp(u) - 1": np.expm1,
    "u + sin(4u)/5": lambda u: u + np.sin(4 * u) / 5,
}


def bisected(
    function: Callable[[Numbers], Numbers], values: Numbers, low: float, high: float
) -> Numbers:
    """Where an increasing function takes the values; the nearer end of the interval outside."""
    lows, highs = np.full(values.shape, low), np.full(values.shape, high)
    for _ in range(50):
        middle = (lows + highs) / 2
        above = function(middle) > values
        lows, highs = np.where(above, lows, middle), np.where(above, middle, highs)
    return (lows + highs) / 2


def errors(found: Numbers, true: Numbers) -> dict[str, float]:
    """Root mean square and largest deviation."""
    miss = np.abs(np.asarray(found, float) - true)
    return {"rms": float(np.sqrt(np.mean(miss**2))), "largest": float(miss.max())}
