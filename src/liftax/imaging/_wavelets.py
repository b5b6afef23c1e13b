"""Orthogonal wavelets."""

import functools
import importlib
import operator
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from liftax.imaging._operator import AbstractOperator, Shape, check_shape


class Wavelets(AbstractOperator):
    r"""The orthogonal wavelet transform of periodic images, every channel for itself.

    $A^\top A = AA^\top = I$. Coefficients take the place of the image: approximations of the last
    level in the upper left corner, details along the height below them, along the width to their
    right; those of PyWavelets' mode "periodization".

    Attributes:
        low: low-pass filter of the analysis.
        high: high-pass filter.
        levels: how often the approximations are split.

    Raises:
        ValueError: for a wavelet that is unknown or not orthogonal, no levels, and sides that
            $2^{\mathrm{levels}}$ does not divide.
        ImportError: without PyWavelets.

    Source: Mallat (1989); Daubechies (1988).
    """

    in_shape: Shape = eqx.field(static=True)
    low: tuple[float, ...] = eqx.field(static=True)
    high: tuple[float, ...] = eqx.field(static=True)
    levels: int = eqx.field(static=True)

    def __init__(self, in_shape: Shape, wavelet: str = "db2", levels: int = 3):
        """A wavelet by its name in PyWavelets: haar, db2, ..., sym4, ..., coif1, ..."""
        self.in_shape, self.levels = tuple(in_shape), levels
        self.low, self.high = _filters(wavelet)

    def __check_init__(self) -> None:
        if self.levels < 1:
            raise ValueError(f"levels must be at least 1, got {self.levels}; 3 are usual")
        if len(self.in_shape) != 3 or any(n % 2**self.levels for n in self.in_shape[:2]):
            halved = [
                n for n in range(1, self.levels) if not any(s % 2**n for s in self.in_shape[:2])
            ]
            fitting = f"levels={halved[-1]} fits" if halved else "no level fits: crop to even sides"
            raise ValueError(
                f"in_shape must be (height, width, channels), both sides divisible by "
                f"{2**self.levels} for {self.levels} levels, got {self.in_shape}; {fitting}"
            )

    def apply(self, x: Float[Array, "h w c"]) -> Float[Array, "h w c"]:
        check_shape(x, self.in_shape, "Wavelets")
        return _analyse((self.low, self.high, self.levels), x)

    def norm(self) -> Float[Array, ""]:
        return jnp.ones(())


Settings = tuple[tuple[float, ...], tuple[float, ...], int]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _analyse(settings: Settings, x: Array) -> Array:
    low, high, levels = settings
    for level in range(levels):
        h, w = (n >> level for n in x.shape[:2])
        x = x.at[:h, :w].set(_split(_split(x[:h, :w], (low, high), 0), (low, high), 1))
    return x


def _forward(settings: Settings, x: Array) -> tuple[Array, None]:
    return _analyse(settings, x), None


def _synthesise(settings: Settings, _: None, y: Array) -> tuple[Array]:
    # Written out: the transposes of padding and of slices with strides are slow.
    low, high, levels = settings
    for level in reversed(range(levels)):
        h, w = (n >> level for n in y.shape[:2])
        y = y.at[:h, :w].set(_merge(_merge(y[:h, :w], (low, high), 1), (low, high), 0))
    return (y,)


_analyse.defvjp(_forward, _synthesise)


def _split(x: Array, filters: tuple, axis: int) -> Array:
    r"""Approximations and then details: $a_k = \sum_jf_jx_{2k+n/2-j}$ with n taps."""
    x = jnp.moveaxis(x, axis, 0)
    taps, length = len(filters[0]), len(x)
    padded = jnp.pad(x, ((taps - 1, taps), (0, 0), (0, 0)), mode="wrap")
    first = taps - 1 + taps // 2
    parts = [padded[first - j : first - j + length : 2] for j in range(taps)]
    return jnp.moveaxis(jnp.concatenate([_mixed(f, parts) for f in filters]), 0, axis)


def _merge(y: Array, filters: tuple, axis: int) -> Array:
    """The transpose of `_split`: even and odd entries, and then their interleaving."""
    y = jnp.moveaxis(y, axis, 0)
    half, taps = len(y) // 2, len(filters[0])
    wide = taps // 2 + 1
    phases = []
    for odd in range(2):
        # x_{2k+odd} takes a_{k-shift} with the taps j of n/2 - j = 2 shift + odd.
        chosen = [j for j in range(taps) if (taps // 2 - j - odd) % 2 == 0]
        shifts = [(taps // 2 - j - odd) // 2 for j in chosen]
        total = jnp.zeros_like(y[:half])
        for band, f in zip((y[:half], y[half:]), filters, strict=True):
            padded = jnp.pad(band, ((wide, wide), (0, 0), (0, 0)), mode="wrap")
            parts = [padded[wide - s : wide - s + half] for s in shifts]
            total = total + _mixed([f[j] for j in chosen], parts)
        phases.append(total)
    return jnp.moveaxis(jnp.stack(phases, axis=1).reshape(y.shape), 0, axis)


def _mixed(weights: Sequence[float], parts: Sequence[Array]) -> Array:
    terms = [jnp.asarray(w, part.dtype) * part for w, part in zip(weights, parts, strict=True)]
    return functools.reduce(operator.add, terms)


def _filters(wavelet: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    try:
        pywt: Any = importlib.import_module("pywt")
    except ImportError:
        raise ImportError(
            "wavelets need the package pywavelets: pip install 'liftax[photographs]'"
        ) from None
    if wavelet not in pywt.wavelist(kind="discrete"):
        raise ValueError(f"wavelet {wavelet!r} is unknown; haar, db2 to db38, sym2 to sym20, ...")
    found = pywt.Wavelet(wavelet)
    if not found.orthogonal:
        raise ValueError(f"wavelet {wavelet!r} is not orthogonal; take haar, db2, sym4, coif1, ...")
    low, high = np.array(found.dec_lo), np.array(found.dec_hi)
    return tuple(low.tolist()), tuple(high.tolist())
