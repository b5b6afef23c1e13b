"""Bounds of norms against singular values of dense matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liftax.affine import (
    Convolution,
    Dense,
    Mean,
    Pointwise,
    Residual,
    TransposedConvolution,
    norm_bound,
)
from tests.helpers import compiled, quick

CASES = {
    "dense": (Dense(4), (7,)),
    "one output": (Dense(1), (7,)),
    "pointwise": (Pointwise(9), (2, 3, 5)),
    "one channel in": (Convolution(6), (8, 9, 1)),
    "one channel out": (Convolution(1, (5, 4)), (9, 8, 6)),
    "many channels": (Convolution(5, (2, 3)), (6, 6, 3)),
    "stride": (Convolution(4, (3, 3), (2, 2)), (8, 8, 2)),
    "valid": (Convolution(4, (3, 5), padding="valid"), (8, 8, 2)),
    "adjoint": (TransposedConvolution(1, (3, 3)), (7, 7, 4)),
}


def dense(affine, params, shape: tuple[int, ...]):
    """The matrix of the linear part."""
    size = int(np.prod(shape))
    images = affine.apply(params, jnp.eye(size).reshape(size, *shape))
    return (images - affine.apply(params, jnp.zeros((1, *shape)))).reshape(size, -1)


@pytest.mark.parametrize("name", quick(CASES, "dense", "many channels", "stride", "adjoint"))
def test_norm_is_below_its_bound(name: str) -> None:
    affine, shape = CASES[name]

    @compiled
    def both(key):
        params = affine.init(key, shape, dtype=jnp.float64)
        return dense(affine, params, shape), norm_bound(affine, params)

    matrix, bound = both(jax.random.key(3))
    exact = np.linalg.norm(matrix, 2)
    assert exact <= bound
    # A convolution on few pixels loses at the boundary, and more with a stride.
    assert bound <= exact * (1.02 if isinstance(affine, Dense | Pointwise) else 2.2)


def test_bound_of_a_convolution_is_that_of_a_large_image() -> None:
    """Of a periodic one: its norm is the largest singular value over its own frequencies."""
    rng = np.random.default_rng(0)
    w = rng.standard_normal((3, 5, 2, 4))
    symbol = np.fft.fft2(w, (256, 256), axes=(0, 1))
    exact = np.linalg.norm(symbol, 2, axis=(2, 3)).max()
    bound = jax.jit(lambda w: norm_bound(Convolution(4, (3, 5)), {"weight": w}))(w)
    assert exact <= bound <= 1.03 * exact


@pytest.mark.parametrize("dtype", [jnp.float32, pytest.param(jnp.float64, marks=pytest.mark.slow)])
def test_a_residual_keeps_to_its_bound(dtype) -> None:
    residual = Residual(Convolution(4, use_bias=False), bound=0.5)

    @compiled
    def norms(key):
        params = residual.init(key, (5, 5, 4), (5, 5, 2), dtype=dtype)
        large = {"weight": 3 * params["weight"]}
        small = {"weight": params["weight"] / 2}
        kept = residual.admissible(small)["weight"] - small["weight"]
        return [norm_bound(residual.map, p) for p in (params, residual.admissible(large))], kept

    found, kept = norms(jax.random.key(0))
    assert {v.dtype for v in (*found, kept)} == {np.dtype(dtype)}
    np.testing.assert_allclose(found, 0.5, rtol=1e-5)
    assert not np.any(kept)


def test_a_residual_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match="one number a parent"):
        Residual(Dense(3), (1.0,), (0.0, 1.0))
    with pytest.raises(ValueError, match="one number a parent"):
        Residual(Dense(3), (1.0, 1.0), (0.0, 0.0))
    with pytest.raises(ValueError, match="bound must be positive, got 0"):
        Residual(Dense(3), bound=0)
    with pytest.raises(ValueError, match="parents of different shapes"):
        Residual(Dense(3), (0.0, 0.0), (1.0, 1.0)).out_shape((2,), (3,))
    with pytest.raises(ValueError, match="parent of shape"):
        Residual(Dense(3), (1.0, 0.0), (0.0, 1.0)).out_shape((2,), (3,))
    with pytest.raises(ValueError, match="norm of Mean"):
        norm_bound(Mean(), {})


def test_large_kernels_by_their_symbol_on_a_fine_grid() -> None:
    """One channel: the norm is the largest modulus of the Fourier series."""
    w = np.random.default_rng(0).normal(size=(17, 15, 1, 1))
    largest = np.abs(np.fft.fft2(w[..., 0, 0], (1024, 1024))).max()
    bound = float(norm_bound(Convolution(1, (17, 15), use_bias=False), {"weight": jnp.asarray(w)}))
    assert largest <= bound <= 1.03 * largest
