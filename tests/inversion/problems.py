"""Small networks of one layer."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from liftax.affine import Dense
from liftax.networks import Network, Node

SHAPE, OUTPUTS = (4, 4, 1), 10


def layer(activation="relu", shape=SHAPE, outputs=OUTPUTS, dtype: Any = np.float64, seed=0):
    """A network, its parameters, and outputs of two random images."""
    rng = np.random.default_rng(seed)
    network = Network((Node("out", Dense(outputs), activation, ("input",)),), shape)
    n = int(np.prod(shape))
    weight = (rng.normal(size=(n, outputs)) / np.sqrt(n)).astype(dtype)
    bias = (0.1 * rng.normal(size=outputs)).astype(dtype)
    params = {"out": {"weight": jnp.asarray(weight), "bias": jnp.asarray(bias)}}
    x = rng.uniform(size=(2, *shape)).astype(dtype)
    y = np.asarray(network(params, jnp.asarray(x)))
    return network, params, x, y
