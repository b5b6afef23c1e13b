"""Small networks of one layer."""

import functools
from typing import Any

import jax
import numpy as np

import liftax
from liftax.affine import Dense
from liftax.networks import Network, Node
from tests.helpers import compiled

SHAPE, OUTPUTS = (4, 4, 1), 10


@functools.cache
def layer(activation="relu", shape=SHAPE, outputs=OUTPUTS, dtype: Any = np.float64, seed=0):
    """A network, its parameters, and outputs of two random images."""
    rng = np.random.default_rng(seed)
    network = Network((Node("out", Dense(outputs), activation, ("input",)),), shape)
    n = int(np.prod(shape))
    weight = (rng.normal(size=(n, outputs)) / np.sqrt(n)).astype(dtype)
    bias = (0.1 * rng.normal(size=outputs)).astype(dtype)
    params = {"out": {"weight": jax.device_put(weight), "bias": jax.device_put(bias)}}
    x = rng.uniform(size=(2, *shape)).astype(dtype)
    y = compiled(network.forward)(params, x)[0]["out"]
    return network, params, x, y


def inverted(*given, **more) -> liftax.inversion.Inverse:
    """What `liftax.invert` gives, in NumPy's arrays: looking at them compiles nothing."""
    return jax.device_get(liftax.invert(*given, **more))
