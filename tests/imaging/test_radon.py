"""The Radon transform against scikit-image and the projections of a disc."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage.transform import iradon, radon

from liftax.imaging import Radon, filtered_back_projection


def disc(size: int, radius: float) -> np.ndarray:
    """Grey values are the covered share of a pixel."""
    fine = 8
    grid = (np.arange(size * fine) + 0.5) / fine - 0.5 - size // 2
    inside = grid[:, None] ** 2 + grid[None] ** 2 <= radius**2
    return inside.reshape(size, fine, size, fine).mean((1, 3))[..., None]


def test_projections_of_a_disc_are_half_ellipses() -> None:
    angles = np.arange(0, 180, 7.0)
    operator = Radon((41, 41, 1), angles)
    found = np.asarray(jax.jit(lambda x: operator.apply(x))(jnp.asarray(disc(41, 15))))
    t = np.arange(operator.detectors) - operator.detectors // 2
    exact = 2 * np.sqrt(np.maximum(15.0**2 - t**2, 0))
    inner = np.abs(t) < 13
    assert np.abs(found[inner] - exact[inner, None]).max() < 0.35
    np.testing.assert_allclose(found.sum(0), np.pi * 15**2, rtol=2e-3)


def test_agrees_with_scikit_image() -> None:
    """Up to interpolation: it reads every ray at unit steps, with two linear interpolations."""
    rng = np.random.default_rng(0)
    image = np.zeros((33, 33))
    image[8:25, 8:25] = rng.uniform(size=(17, 17)).cumsum(0).cumsum(1) / 60
    angles = np.arange(0, 180, 5.0)
    operator = Radon((33, 33, 1), angles, 33)
    found = np.asarray(jax.jit(lambda x: operator.apply(x))(jnp.asarray(image[..., None])))
    expected = radon(image, angles, circle=True)
    assert np.linalg.norm(found - expected) < 0.02 * np.linalg.norm(expected)
    ours = jax.jit(lambda y: filtered_back_projection(operator, y))(jnp.asarray(expected))
    theirs = iradon(expected, angles, filter_name="ramp", circle=True)
    circle = np.hypot(*(np.mgrid[:33, :33] - 16)) < 15
    error = np.linalg.norm((np.asarray(ours)[..., 0] - theirs)[circle])
    assert error < 0.03 * np.linalg.norm(theirs[circle])


def test_filtered_back_projection_inverts() -> None:
    operator = Radon((41, 41, 1), np.arange(0, 180, 2.0))
    image = jnp.asarray(disc(41, 12))

    @jax.jit
    def run(image):
        y = operator.apply(image)
        return [filtered_back_projection(operator, y, w) for w in ("ramp", "hann", "none")]

    ramp, hann, smeared = (np.asarray(v)[..., 0] for v in run(image))
    inner = np.hypot(*(np.mgrid[:41, :41] - 20)) < 9
    np.testing.assert_allclose(ramp[inner], 1, atol=0.05)
    np.testing.assert_allclose(hann[inner], 1, atol=0.05)
    assert smeared[inner].min() > 5


def test_a_sinogram_of_another_transform_is_refused() -> None:
    operator = Radon((32, 48, 1), [0, 45, 90])
    with pytest.raises(ValueError, match=r"y has the shape \(10, 3\), .* = \(58, 3\)"):
        filtered_back_projection(operator, jnp.ones((10, 3)))
