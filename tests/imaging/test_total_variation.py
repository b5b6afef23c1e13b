"""Total variation against exact solvers and theorems."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import lsq_linear
from skimage.restoration import denoise_tv_chambolle

from liftax.imaging import (
    AbstractOperator,
    Blur,
    FiniteDifferences,
    Identity,
    Mask,
    gaussian_kernel,
    total_variation,
    tv_denoise,
    tv_restore,
)
from tests.helpers import compiled

SHAPE = (7, 6, 1)
Y = np.random.default_rng(0).uniform(size=SHAPE)


def differences() -> np.ndarray:
    operator = FiniteDifferences(SHAPE)
    units = jnp.eye(42).reshape(42, *SHAPE)
    return np.asarray(jax.jit(jax.vmap(lambda x: operator.apply(x)))(units)).reshape(42, -1).T


def test_anisotropic_denoising_is_exact() -> None:
    """The dual is least squares with bounds, which SciPy solves; the gap bounds the error."""
    weight = 0.1
    d = differences()
    dual = lsq_linear(d.T, Y.ravel(), (-weight, weight), tol=1e-14).x
    exact = Y.ravel() - d.T @ dual

    @compiled
    def run(y):
        return [tv_denoise(y, weight, n, isotropic=False) for n in (20, 3000)]

    early, late = run(Y)
    np.testing.assert_allclose(late.x.ravel(), exact, atol=1e-6)
    energy = 0.5 * np.sum((exact - Y.ravel()) ** 2) + weight * np.abs(d @ exact).sum()
    np.testing.assert_allclose(late.energy, energy, rtol=1e-9)
    assert abs(late.gap) < 1e-8
    assert early.energy - energy <= early.gap
    assert 0.5 * np.sum((early.x.ravel() - exact) ** 2) <= early.gap


def test_isotropic_denoising_agrees_with_scikit_image() -> None:
    rng = np.random.default_rng(1)
    y = np.kron(rng.uniform(size=(4, 3)), np.ones((5, 6))) + rng.normal(size=(20, 18)) / 20
    found = jax.jit(lambda y: tv_denoise(y, 0.1, 2000))(y[..., None])
    expected = denoise_tv_chambolle(y, 0.1, eps=0, max_num_iter=20000)
    np.testing.assert_allclose(found.x[..., 0], expected, atol=2e-4)
    assert 0 <= found.gap < 1e-6 * found.energy


@pytest.mark.parametrize("isotropic", [False, True])
def test_properties(isotropic: bool) -> None:
    """A constant image stays, the mean stays, a large weight leaves only the mean."""

    @compiled
    def run(y):
        flat = tv_denoise(jnp.full_like(y, 0.3), 0.2, 10, isotropic)
        strong = tv_denoise(y, 50.0, 3000, isotropic)
        weak = tv_denoise(y.astype(jnp.float32), 0.05, 50, isotropic)
        return flat, strong, weak, total_variation(3 * y, isotropic), total_variation(y, isotropic)

    flat, strong, weak, tripled, once = run(Y)
    np.testing.assert_allclose(flat.x, 0.3, atol=1e-14)
    np.testing.assert_allclose(strong.x, Y.mean(), atol=1e-6)
    np.testing.assert_allclose(weak.x.mean(), Y.mean(), rtol=1e-5)
    np.testing.assert_allclose(tripled, 3 * once)
    assert {v.dtype for v in weak} == {np.dtype(np.float32)}


def test_restoration_of_the_identity_is_denoising() -> None:
    @compiled
    def run(y):
        return tv_restore(Identity(SHAPE), y, 0.1, 4000), tv_denoise(y, 0.1, 4000)

    ours, reference = run(Y)
    np.testing.assert_allclose(ours.x, reference.x, atol=1e-6)
    np.testing.assert_allclose(ours.energy, reference.energy, rtol=1e-9)


def test_restoration_is_optimal() -> None:
    """No feasible direction lowers the objective: blur with bounds, and inpainting."""
    blur = Blur(SHAPE, gaussian_kernel(0.8, 2))
    mask = Mask(np.random.default_rng(2).integers(0, 2, SHAPE[:2]))

    @compiled
    def run(y, key):
        gains = []
        for operator, interval in ((blur, (0.2, 0.8)), (mask, None)):
            found = tv_restore(operator, y, 0.05, 6000, interval=interval)

            def energy(x, operator=operator):
                return 0.5 * jnp.sum((operator.apply(x) - y) ** 2) + 0.05 * total_variation(x)

            moves = (
                jax.random.normal(key, (200, *SHAPE))
                * jnp.logspace(-5, -1, 200)[:, None, None, None]
            )
            others = found.x + moves
            others = others if interval is None else jnp.clip(others, *interval)
            gains.append(jnp.min(jax.vmap(energy)(others)) - found.energy)
        return gains

    assert min(run(Y, jax.random.key(0))) > -1e-9


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match=r"y must be \(height, width, channels\), got \(3, 3\)"):
        tv_denoise(np.zeros((3, 3)), 0.1)
    with pytest.raises(ValueError, match="y has the shape"):
        tv_restore(Identity(SHAPE), np.zeros((3, 3, 1)), 0.1)
    whole, nan = (Y * 255).astype(np.uint8), np.where(Y > 0.9, np.nan, Y)
    for method in (tv_denoise, lambda y, weight: tv_restore(Identity(SHAPE), y, weight)):
        with pytest.raises(ValueError, match="y holds integers"):
            method(whole, 0.1)
        with pytest.raises(ValueError, match="y has values that are not finite"):
            method(nan, 0.1)
        for weight in (-1, np.nan):
            with pytest.raises(ValueError, match="weight must be at least 0 and finite, got"):
                method(Y, weight)
    with pytest.raises(ValueError, match="y has the channels first"):
        tv_denoise(np.zeros((3, 8, 9)), 0.1)


class Own(AbstractOperator):
    """A user's operator."""

    in_shape: tuple[int, ...] = eqx.field(static=True)
    function: Callable = eqx.field(static=True)
    bound: float = eqx.field(static=True)

    def apply(self, x):
        return self.function(x)

    def norm(self):
        return jnp.asarray(self.bound)


def test_restoration_refuses_what_is_no_linear_operator() -> None:
    function: Any = jnp.negative
    with pytest.raises(ValueError, match="got ufunc; make one of a linear function by FromF"):
        tv_restore(function, Y, 0.1)
    with pytest.raises(ValueError, match=r"norm\(\) of Own is 0.5, but A makes an image 2 times"):
        tv_restore(Own(SHAPE, lambda x: 2 * x, 0.5), Y, 0.1)
    with pytest.raises(ValueError, match="Own is not linear"):
        tv_restore(Own(SHAPE, lambda x: jnp.clip(x, 0, 1), 1), Y, 0.1)
    with pytest.raises(ValueError, match=r"x became infinite or NaN.*compare with power_norm"):
        tv_restore(Identity(SHAPE), np.full(SHAPE, 1e308), 0.1, 50)
