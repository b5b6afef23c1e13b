"""Upper bounds of spectral norms that cost less than the layer."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from liftax.affine._affine import AbstractAffine, Params
from liftax.affine._convolution import Convolution
from liftax.affine._dense import Dense
from liftax.affine._pointwise import Pointwise
from liftax.affine._transposed_convolution import TransposedConvolution
from liftax.affine._transposed_dense import TransposedDense

SLACK = 0.02
_MOST_WAVES = 2**20


def norm_bound(affine: AbstractAffine, params: Params) -> Float[Array, ""]:
    r"""An upper bound of $\|\partial f/\partial u\|$ that exceeds it by a few percent.

    For a dense layer it lies within 1 % of the norm. For a convolution it bounds the largest
    singular value of its symbol $\hat w(\omega) = \sum_kw_ke^{-i\langle k,\omega\rangle}$, the norm
    on an infinite image: every finite one, whatever its padding and stride, has a smaller norm. It
    lies within 3 % of that (3x3 and larger kernels, one channel on one side: 2 %).

    Raises:
        ValueError: for a map other than `Dense`, `Pointwise`, `Convolution` and their adjoints.

    Source: Sedghi, Gupta & Long (2019) for the symbol; Ehlich & Zeller (1964) for what a
    trigonometric polynomial does between points of a grid.
    """
    if isinstance(affine, Dense | TransposedDense | Pointwise):
        return jnp.sqrt(_largest(_gram(params["weight"])))
    if isinstance(affine, Convolution | TransposedConvolution):
        return _symbol_bound(params["weight"])
    raise ValueError(
        f"no bound of the norm of {type(affine).__name__} is known; use Dense, Pointwise, "
        "Convolution or the adjoint of one"
    )


def _symbol_bound(w: Float[Array, "kh kw inputs outputs"]) -> Float[Array, ""]:
    height, width, inputs, outputs = w.shape
    down, right, between = _grid(height, width)
    symbol = _at_once if len(down) * len(right) * height * width <= _MOST_WAVES else _by_axes
    parts = (part.reshape(-1, inputs, outputs) for part in symbol(down, right, w))
    squared = jnp.max(_largest(_gram(jax.lax.complex(*parts))))
    return jnp.sqrt(squared / jnp.asarray(between, w.dtype))


def _at_once(down: np.ndarray, right: np.ndarray, w: Array) -> tuple[Array, Array]:
    """Real and imaginary part at all frequencies, by one product: for small kernels."""
    phase = (down[:, None, :, None] + right[None, :, None, :]).reshape(len(down) * len(right), -1)
    flat = w.reshape(phase.shape[1], -1)
    return jnp.asarray(np.cos(phase), w.dtype) @ flat, jnp.asarray(np.sin(phase), w.dtype) @ flat


def _by_axes(down: np.ndarray, right: np.ndarray, w: Array) -> tuple[Array, Array]:
    """The same without a wave for every pair of a frequency and an entry of the kernel."""
    c, s, cosine, sine = (
        jnp.asarray(wave(phase), w.dtype) for phase in (down, right) for wave in (np.cos, np.sin)
    )
    first, second = (jnp.einsum("ai,ijxy->ajxy", wave, w) for wave in (c, s))

    def across(wave: Array, rows: Array) -> Array:
        return jnp.einsum("bj,ajxy->abxy", wave, rows)

    real = across(cosine, first) - across(sine, second)
    return real, across(sine, first) + across(cosine, second)


@functools.lru_cache(maxsize=64)
def _grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray, float]:
    r"""Phases along both axes of a half plane of frequencies, (points, taps) each.

    And the least ratio of a maximum on these points to the maximum.

    $v^*\hat w^*\hat wv$ has degree $d$ = size - 1 along each axis. On $m > 2d$ points its maximum
    is at least $\cos(d\pi/m)$ times the maximum.
    """
    points, between = [], 1.0
    for size in (height, width):
        degree = size - 1
        count = max(1, math.ceil(math.pi * degree / math.acos(1 - SLACK)))
        points.append(2 * math.pi * np.arange(count) / count)
        between *= math.cos(degree * math.pi / count)
    # Kernels are real: ω and -ω have conjugate symbols.
    points[1] = points[1][: len(points[1]) // 2 + 1]
    down, right = (
        np.outer(frequencies, np.arange(size))
        for frequencies, size in zip(points, (height, width), strict=True)
    )
    return down, right, between


def _gram(a: Array) -> Array:
    r"""$AA^*$ or $A^*A$, the smaller one."""
    a = a if a.shape[-2] <= a.shape[-1] else jnp.swapaxes(a, -1, -2)
    if a.shape[-2] == 1:
        return jnp.sum(jnp.real(a) ** 2 + jnp.imag(a) ** 2, axis=-1, keepdims=True)
    return a @ jnp.conj(jnp.swapaxes(a, -1, -2))


def _largest(gram: Array) -> Array:
    r"""An upper bound of the largest eigenvalue, $(\mathrm{tr}\,G^p)^{1/p}$ with a large $p$."""
    size, total = gram.shape[-1], _trace(gram)
    if size == 1:
        return total
    # m^(1/p) ≤ exp(SLACK) for the power p = 2^squarings.
    squarings = math.ceil(math.log2(math.log(size) / SLACK))
    tiny = jnp.finfo(total.dtype).tiny
    log = jnp.log(jnp.maximum(total, tiny))
    power = _divided(gram, jnp.maximum(total, tiny))
    for step in range(1, squarings + 1):
        power = power @ power
        total = jnp.maximum(_trace(power), tiny)
        power = _divided(power, total)
        log = log + jnp.log(total) / jnp.asarray(2**step, total.dtype)
    return jnp.exp(log)


def _divided(gram: Array, total: Array) -> Array:
    return gram / jnp.asarray(total, gram.dtype)[..., None, None]


def _trace(gram: Array) -> Array:
    return jnp.real(jnp.trace(gram, axis1=-2, axis2=-1))
