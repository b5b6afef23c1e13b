"""Wavelet coefficients against PyWavelets."""

import warnings

import numpy as np
import pytest
import pywt

from liftax.imaging import Wavelets, adjoint
from tests.helpers import compiled


@pytest.mark.parametrize(("wavelet", "levels"), [("haar", 3), ("db4", 2), ("sym4", 1)])
def test_coefficients_are_those_of_pywavelets(wavelet: str, levels: int) -> None:
    """And the adjoint is the inverse, on images narrower than the filter as well."""
    x = np.random.default_rng(0).normal(size=(16, 8, 2))
    transform = Wavelets(x.shape, wavelet, levels)

    @compiled
    def run(x):
        y = transform.apply(x)
        return y, adjoint(transform, y)

    found, back = run(x)
    settings = {"mode": "periodization", "level": levels}
    with warnings.catch_warnings(action="ignore"):  # of few coefficients
        planes = [pywt.wavedec2(x[..., c], wavelet, **settings) for c in range(2)]
    want = np.stack([pywt.coeffs_to_array(plane)[0] for plane in planes], axis=-1)
    np.testing.assert_allclose(found, want, atol=1e-12)
    np.testing.assert_allclose(back, x, atol=1e-10)


def test_sides_that_cannot_be_halved_say_which_levels_fit() -> None:
    for shape, words in (
        ((36, 44, 1), r"divisible by 8 for 3 levels, got \(36, 44, 1\); levels=2 fits"),
        ((35, 36, 1), "no level fits: crop to even sides"),
        ((36,), r"in_shape must be \(height, width, channels\)"),
    ):
        with pytest.raises(ValueError, match=words):
            Wavelets(shape)
