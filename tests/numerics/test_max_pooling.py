"""Max-pooling by nodes with ReLU."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liftax.inversion import BlockDescent, Tikhonov, invert
from liftax.networks import INPUT, Network, max_pooling


def reference(x, window, stride, padding):
    height, width = window
    pads = ((0, 0), *padding, (0, 0))
    return jax.lax.reduce_window(
        x, -jnp.inf, jax.lax.max, (1, height, width, 1), (1, *stride, 1), pads
    )


@pytest.mark.parametrize(
    ("window", "stride", "padding"),
    [((2, 2), (2, 2), ((0, 0), (0, 0))), ((3, 3), (2, 1), ((1, 0), (2, 1))),
     ((1, 4), (1, 3), ((0, 0), (0, 0))), ((1, 1), (2, 2), ((0, 0), (0, 0)))],
)  # fmt: skip
def test_it_is_the_maximum(window, stride, padding) -> None:
    """XLA's, for values of both signs."""
    nodes = max_pooling("max", INPUT, (7, 8, 2), window, stride, padding)
    assert len(nodes) == sum(window) - 1
    network = Network(nodes, (7, 8, 2))
    x = jax.device_put(np.random.default_rng(0).normal(size=(3, 7, 8, 2)))
    found = network(network.init(jax.random.key(0)), x)
    np.testing.assert_allclose(found, reference(x, window, stride, padding), atol=1e-14)


def test_the_nearest_input_with_a_given_maximum() -> None:
    r"""From (1, -1): an output above -1 moves the larger entry, one below moves both."""
    network = Network(max_pooling("max", INPUT, (1, 2, 1), (1, 2)), (1, 2, 1))
    params = network.init(jax.random.key(0), jnp.float64)
    y, start = jnp.asarray([0.7, -0.4, -1.5]).reshape(3, 1, 1, 1), jnp.array([1.0, -1.0])
    prior, solver = Tikhonov(start.reshape(1, 2, 1)), BlockDescent(20000, tolerance=1e-13)
    starts = np.tile(start, 3).reshape(3, 1, 2, 1)
    found = invert(network, params, y, prior, 1e-5, solver=solver, start=starts)
    expected = np.array([[0.7, -1.0], [-0.4, -1.0], [-1.5, -1.5]])
    np.testing.assert_allclose(np.asarray(found.x).reshape(3, 2), expected, atol=1e-3)


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match=r"window 3 with padding \(0, 0\) does not fit a size"):
        max_pooling("max", INPUT, (2, 4, 1), 3)
    with pytest.raises(ValueError, match="the padding is less than the window"):
        max_pooling("max", INPUT, (4, 4, 1), 2, padding=((2, 0), (0, 0)))
    with pytest.raises(ValueError, match=r"shape \(height, width, channels\), got"):
        max_pooling("max", INPUT, (4,), 2)
    with pytest.raises(ValueError, match="window and stride must be at least 1"):
        max_pooling("max", INPUT, (4, 4, 1), 2, 0)
