"""Images in pieces equal the whole."""

from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftax.affine import Dense
from liftax.networks import chain, dscp
from liftax.restoration import Denoiser, tiled
from liftax.restoration._denoiser import NETWORKS, reach

ARGUMENTS: dict[str, Any] = {"features": 3, "iterations": 2, "kernel": 3}


def untrained(family: str) -> Denoiser:
    network = NETWORKS[family]((8, 8, 1), **ARGUMENTS, interval=None)
    params = network.init(jax.random.key(0))
    return Denoiser(params, family, tuple(sorted(ARGUMENTS.items())), 0.1)


@settings(deadline=None, max_examples=50)
@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(0, 4), st.integers(1, 12), st.integers(1, 3)
)
def test_local_functions_are_exact(
    height: int, width: int, overlap: int, more: int, channels: int
) -> None:
    """The mean over a neighbourhood of that radius, with zeros outside of the image."""
    image = np.random.default_rng(0).normal(size=(height, width, channels))

    def mean(x: np.ndarray) -> np.ndarray:
        padded = np.pad(x, ((overlap, overlap), (overlap, overlap), (0, 0)))
        shifts = range(2 * overlap + 1)
        h, w = x.shape[:2]
        return np.sum([padded[i : i + h, j : j + w] for i in shifts for j in shifts], axis=0)

    found = tiled(mean, image, 2 * overlap + more, overlap)
    np.testing.assert_allclose(found, mean(image), atol=1e-12)


@pytest.mark.parametrize("family", ["ddfb", "dscp"])
def test_a_denoiser_in_tiles_is_the_whole_denoiser(family: str) -> None:
    denoiser = untrained(family)
    image = np.random.default_rng(0).uniform(size=(40, 37, 2)).astype(np.float32)
    whole = denoiser(image, 0.2)
    side = 2 * denoiser.reach + 5
    assert side < 37
    np.testing.assert_allclose(denoiser(image, 0.2, side), whole, atol=1e-6)
    # One pixel less of overlap is too little: the reach is sharp.
    cut = tiled(lambda x: denoiser(x, 0.2), image, side, denoiser.reach - 1)
    assert np.abs(cut - whole).max() > 1e-6


def test_scaling_is_exact() -> None:
    """Noise and contrast, both twice as strong: the result likewise, about the middle grey."""
    denoiser = untrained("ddfb")
    image = np.random.default_rng(0).uniform(size=(9, 8, 1)).astype(np.float32)
    twice = denoiser(0.5 + 2 * (image - 0.5), 0.2)
    np.testing.assert_allclose(twice, 0.5 + 2 * (denoiser(image, 0.1) - 0.5), atol=1e-5)
    alone = denoiser.at(0.1)(jax.numpy.asarray(image))
    np.testing.assert_allclose(alone, denoiser(image, 0.1), atol=1e-6)


def test_wrong_input_is_refused() -> None:
    denoiser = untrained("ddfb")
    image = np.zeros((9, 8, 1), np.float32)
    with pytest.raises(ValueError, match=f"tile must be more than {2 * denoiser.reach}"):
        denoiser(image, 0.1, 2 * denoiser.reach)
    with pytest.raises(ValueError, match="sigma must be positive"):
        denoiser(image, -0.1)
    with pytest.raises(ValueError, match="image must be"):
        denoiser(image[..., 0], 0.1)
    with pytest.raises(ValueError, match="image must be"):
        denoiser(image * np.nan, 0.1)
    with pytest.raises(ValueError, match="Dense has no receptive field"):
        reach(chain((3,), [(Dense(2), "relu")]))
    assert reach(dscp((8, 8, 1), 2, 3, kernel=5)) == 2 * 6
