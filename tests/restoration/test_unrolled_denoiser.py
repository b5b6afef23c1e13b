"""The network that training begins with is half-quadratic splitting with the denoiser."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liftax.experiments._unrolled_denoiser import Unrolled
from liftax.imaging import Fill, Mask, half_quadratic
from liftax.restoration import load_denoiser


@pytest.mark.slow
def test_at_first_it_is_the_plugged_in_denoiser() -> None:
    rng = np.random.default_rng(0)
    mask = Mask(rng.integers(0, 2, (12, 10)).astype(np.float32))
    y = mask.apply(jnp.asarray(rng.uniform(size=(12, 10, 1)), jnp.float32))
    denoiser, levels, noise, weight = load_denoiser(), (0.2, 0.05), 0.04, 0.3
    unrolled = Unrolled(denoiser, levels, noise, weight, layers=10)
    network = unrolled.network(mask, Fill(mask))
    params = unrolled.initial(network, jax.random.key(0))
    shifted = y - mask.apply(jnp.full((12, 10, 1), 0.5, jnp.float32))
    found = jax.jit(lambda p, y: network(p, y[None])[0])(params, shifted) + 0.5
    start = Fill(mask).apply(shifted) + 0.5
    expected = half_quadratic(mask, y, denoiser.restore, levels, noise, weight=weight, start=start)
    np.testing.assert_allclose(found, expected, atol=1e-5)
