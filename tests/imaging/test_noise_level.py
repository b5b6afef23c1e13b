"""The estimated noise level against scikit-image's."""

import numpy as np
import pytest
from skimage.data import camera
from skimage.restoration import estimate_sigma

from liftax.imaging import noise_level


@pytest.mark.parametrize("sigma", [0.03, 0.1, 0.3])
def test_estimate_agrees_with_scikit_image(sigma: float) -> None:
    noise = np.random.default_rng(0).normal(0, sigma, (301, 256, 3))
    image = camera()[100:401, 100:356, None] / 255 + noise
    want = np.mean(estimate_sigma(image, channel_axis=-1))
    assert noise_level(image) == pytest.approx(want, rel=0.03)
    assert noise_level(noise) == pytest.approx(sigma, rel=0.02)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_missing_pixels_do_not_count(share: float) -> None:
    """Whatever is painted over them; 0.9 leaves whole squares of 4x4 pixels, the others of 2x2."""
    rng = np.random.default_rng(0)
    noise, seen = rng.normal(0, 0.1, (120, 90, 1)), rng.uniform(size=(120, 90, 1)) < share
    found = [noise_level(np.where(seen, 0.5 + noise, paint), seen) for paint in (0, 1)]
    assert found[0] == found[1] == pytest.approx(0.1, rel=0.15)
    assert noise_level(noise, np.zeros(seen.shape)) == 0
    assert noise_level(noise, np.ones(seen.shape)) == pytest.approx(noise_level(noise), rel=0.03)
    with pytest.raises(ValueError, match="divide by 255"):
        noise_level(np.zeros((9, 9, 1), np.uint8))
    with pytest.raises(ValueError, match="channels first"):
        noise_level(np.zeros((3, 9, 9)))
    with pytest.raises(ValueError, match="seen must be"):
        noise_level(noise, seen[..., 0])


def test_planes_have_no_noise_and_shapes_are_checked() -> None:
    rows, columns = np.mgrid[:9, :8]
    assert noise_level((rows + 2.0 * columns)[..., None]) < 1e-12
    with pytest.raises(ValueError, match="image must be"):
        noise_level(np.zeros((3, 9, 1)))
