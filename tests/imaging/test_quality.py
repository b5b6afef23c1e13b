"""Measures of quality against scikit-image, and moments of noise."""

import jax
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from liftax.imaging import gaussian_noise, poisson_noise, psnr, salt_and_pepper, ssim
from tests.helpers import compiled

X = np.random.default_rng(0).uniform(size=(24, 19, 2))
Y = X + np.random.default_rng(1).normal(size=X.shape) / 10


def test_quality_is_that_of_scikit_image() -> None:
    @compiled
    def run(x, y):
        return psnr(x, y), psnr(2 * x, 2 * y, 2.0), ssim(x, y), ssim(x, y, 2.0, gaussian=True)

    peak, doubled, plain, weighted = run(X, Y)
    expected = peak_signal_noise_ratio(Y, X, data_range=1.0)
    np.testing.assert_allclose([peak, doubled], expected, rtol=1e-12)
    settings = {"channel_axis": 2, "data_range": 1.0}
    np.testing.assert_allclose(plain, structural_similarity(X, Y, **settings), rtol=1e-10)
    settings = {"channel_axis": 2, "data_range": 2.0, "gaussian_weights": True, "sigma": 1.5}
    reference = structural_similarity(X, Y, use_sample_covariance=False, **settings)
    np.testing.assert_allclose(weighted, reference, rtol=1e-4)


def test_identical_images() -> None:
    assert float(ssim(X, X)) == pytest.approx(1)
    assert np.isinf(psnr(X, X))


def test_moments_of_noise() -> None:
    """Mean and variance, within five standard errors of 200,000 samples."""
    x = np.full((400, 500, 1), 0.4, np.float32)

    @compiled
    def run(key):
        return (
            gaussian_noise(key, x, 0.1),
            poisson_noise(key, x, 50.0),
            salt_and_pepper(key, x, 0.2),
        )

    normal, counts, salted = run(jax.random.key(0))
    assert {v.dtype for v in (normal, counts, salted)} == {np.dtype(np.float32)}
    np.testing.assert_allclose(normal.mean(), 0.4, atol=1.2e-3)
    np.testing.assert_allclose(normal.std(), 0.1, rtol=0.01)
    np.testing.assert_allclose(counts.mean(), 0.4, atol=1e-3)
    np.testing.assert_allclose(counts.var(), 0.4 / 50, rtol=0.02)
    for value, share in ((0, 0.1), (1, 0.1), (np.float32(0.4), 0.8)):
        np.testing.assert_allclose(np.mean(salted == value), share, atol=4e-3)


def test_small_images_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 7 pixels wide"):
        ssim(X[:6], Y[:6])


def test_integers_and_other_shapes_are_refused() -> None:
    """White is 1: bytes would give numbers that mean nothing."""
    whole = np.full((12, 12, 3), 100, np.uint8)
    for measure in (psnr, ssim):
        with pytest.raises(ValueError, match=r"x holds integers \(uint8\).*divide by 255"):
            measure(whole, whole)
        with pytest.raises(ValueError, match="same shape"):
            measure(whole[..., :1] / 255, whole / 255)
    with pytest.raises(ValueError, match=r"reference has the channels first, .3, 24, 19."):
        ssim(X[..., :1], np.zeros((3, 24, 19)))
    for noise in (gaussian_noise, poisson_noise, salt_and_pepper):
        with pytest.raises(ValueError, match="divide by 65535"):
            noise(jax.random.key(0), whole.astype(np.uint16), 0.1)
