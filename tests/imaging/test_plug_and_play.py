"""Plug-and-play iterations with denoisers that are proximal maps."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Lasso

from liftax._solution import Reason
from liftax.imaging import Blur, Mask, lipschitz_estimate, plug_and_play, psnr, tv_denoise
from liftax.restoration import load_denoiser


def draw(seed: int, *shape: int) -> jax.Array:
    return jax.device_put(np.random.default_rng(seed).normal(size=shape))


KERNEL = np.array([[0.1, 0.2, 0.0], [0.1, 0.9, 0.1], [0.0, 0.1, 0.05]])


def soft(threshold: float, x: jax.Array) -> jax.Array:
    return jnp.sign(x) * jnp.maximum(jnp.abs(x) - threshold, 0)


def test_the_fixed_point_minimises_with_a_proximal_map() -> None:
    """With soft thresholds: the Lasso of scikit-learn, whose residual is divided by its samples."""
    shape, weight = (6, 7, 1), 0.05
    blur = Blur(shape, KERNEL, "zero")
    y = draw(0, *shape)
    matrix = jax.jacobian(blur.apply)(jnp.zeros(shape)).reshape(42, 42)
    lasso = Lasso(weight / 42, fit_intercept=False, tol=1e-12, max_iter=100_000)
    want = lasso.fit(np.asarray(matrix), np.asarray(y).ravel()).coef_
    step = 1 / float(blur.norm()) ** 2
    denoiser = jax.tree_util.Partial(soft, step * weight)
    found = plug_and_play(blur, y, denoiser, step=step, iterations=4000, tolerance=0.0)
    np.testing.assert_allclose(found.x.ravel(), want, atol=1e-6)
    assert (want != 0).any() and (want == 0).any()


def test_distances_to_the_fixed_point_fall() -> None:
    blur = Blur((6, 7, 1), KERNEL, "zero")
    y, denoiser = draw(0, 6, 7, 1), jax.tree_util.Partial(soft, 0.05)
    end = plug_and_play(blur, y, denoiser, iterations=2000, tolerance=0.0).x
    distances = [
        float(
            jnp.linalg.norm(plug_and_play(blur, y, denoiser, iterations=n, tolerance=0.0).x - end)
        )
        for n in (1, 2, 5, 20)
    ]
    assert distances == sorted(distances, reverse=True) and distances[-1] < 0.5 * distances[0]
    relaxed = plug_and_play(blur, y, denoiser, relaxation=0.5, iterations=4000, tolerance=0.0)
    np.testing.assert_allclose(relaxed.x, end, atol=1e-8)


def test_a_tolerance_ends_it_and_wrong_input_is_refused() -> None:
    y, mask = draw(0, 6, 7, 1), Mask(np.ones((6, 7)))
    done = plug_and_play(mask, y, jax.tree_util.Partial(soft, 0.0), iterations=50)
    assert int(done.iterations) == 1 and float(done.change) == 0 and done.converged
    moving = plug_and_play(mask, y, jax.tree_util.Partial(soft, 0.1), iterations=1)
    assert moving.reason is Reason.MOVING and not moving.converged
    few, larger = Mask(np.eye(6, 7)), jax.tree_util.Partial(jnp.multiply, 1e200)
    grown = plug_and_play(few, y, larger, iterations=9)
    assert grown.reason is Reason.DIVERGED
    with pytest.raises(ValueError, match=r"step must be in \(0, 2\]"):
        plug_and_play(mask, y, jax.tree_util.Partial(soft, 0.1), step=3.0)
    with pytest.raises(ValueError, match="start has the shape"):
        plug_and_play(mask, y, jax.tree_util.Partial(soft, 0.1), start=jnp.zeros((2, 2, 1)))
    with pytest.raises(ValueError, match="y has the shape"):
        plug_and_play(mask, y[:3], jax.tree_util.Partial(soft, 0.1))
    with pytest.raises(ValueError, match=r"relaxation must be in \(0, 1\], got 2"):
        plug_and_play(mask, y, jax.tree_util.Partial(soft, 0.1), relaxation=2)
    with pytest.raises(ValueError, match="start has values that are not finite"):
        plug_and_play(mask, y, jax.tree_util.Partial(soft, 0.1), start=y * np.nan)
    denoiser: Any = load_denoiser()
    with pytest.raises(ValueError, match=r"take denoiser.at\(sigma\)"):
        plug_and_play(mask, y, denoiser)


def test_total_variation_fills_holes() -> None:
    """A piecewise constant picture, half of it missing."""
    x = np.full((24, 24, 1), 0.2, np.float32)
    x[6:18, 8:] = 0.8
    known = np.random.default_rng(0).uniform(size=(24, 24)) < 0.5
    y = x * known[..., None]
    denoiser = jax.tree_util.Partial(lambda v: tv_denoise(v, 0.02, 60).x)
    found = plug_and_play(Mask(known.astype(np.float32)), y, denoiser, iterations=300).x
    assert psnr(found, x) > 25 > 5 + psnr(y, x)
    first = plug_and_play(
        Mask(known.astype(np.float32)), y, jax.tree_util.Partial(soft, 0.0), iterations=0
    ).x
    np.testing.assert_allclose(first[known], x[known], rtol=1e-6)
    assert psnr(first, x) > 20
    far = known & (np.arange(24) < 8)[:, None]  # nothing is seen around the last rows
    last = plug_and_play(
        Mask(far.astype(np.float32)), y, jax.tree_util.Partial(soft, 0.0), iterations=0
    ).x[20:]
    np.testing.assert_allclose(last, y[far].mean(), rtol=1e-6)


def test_lipschitz_estimates_are_norms_of_jacobians() -> None:
    matrix, points = draw(1, 5, 8), draw(2, 3, 8)

    def function(x: jax.Array) -> jax.Array:
        return jnp.tanh(matrix @ x)

    norms = [np.linalg.norm(jax.jacobian(function)(x), 2) for x in points]
    estimate = lipschitz_estimate(function, points, 300)
    np.testing.assert_allclose(estimate, norms, rtol=1e-4)
    short = eqx.filter_jit(lipschitz_estimate)(function, points, 3)
    assert (short <= np.array(norms) * (1 + 1e-12)).all()
    linear = lipschitz_estimate(lambda x: matrix @ x, points[:1], 300)
    np.testing.assert_allclose(linear[0], np.linalg.norm(matrix, 2), rtol=1e-4)
