"""Small networks that the numerical tests share: a chain, skips, convolutions."""

import jax
import jax.numpy as jnp

from liftax.affine import Convolution, Dense, Identity, Sum
from liftax.networks import Network, Node, States, chain, mlp
from liftax.objectives import LiftedEnergy
from liftax.potentials import AbstractPotential


def perceptrons(activation: AbstractPotential | str = "relu") -> Network:
    """Three dense layers."""
    return mlp([6, 8, 7, 4], activation)


def skips() -> Network:
    """Two residual connections, nodes with several children and with several parents."""
    return Network(
        (
            Node("a", Dense(5), "tanh", "input"),
            Node("b", Dense(5), "relu", "a"),
            Node("c", Sum((Identity(), Dense(5, use_bias=False))), "identity", ("a", "b")),
            Node("e", Dense(4), "soft_threshold", "a"),
            Node("d", Sum((Dense(4), Dense(4), Identity())), "sigmoid", ("input", "c", "e")),
            Node("out", Dense(3), "softmax", "d"),
        ),
        (6,),
    )


def convolutional() -> Network:
    """Two convolutions, one of them strided, and a dense output."""
    return chain(
        (6, 6, 2),
        [
            (Convolution(3), "relu"),
            (Convolution(4, stride=(2, 2)), "leaky_relu"),
            (Dense(3), "softmax"),
        ],
    )


def example(network: Network, samples: int = 5, seed: int = 0):
    """Float64 parameters, inputs, one-hot targets."""
    keys = jax.random.split(jax.random.key(seed), 3)
    params = network.init(keys[0], jnp.float64)
    params = jax.tree.map(lambda p: p + 0.05, params)
    x = jax.random.normal(keys[1], (samples, *network.input_shape), jnp.float64)
    classes = network.shapes[network.output][0]
    labels = jax.random.randint(keys[2], (samples,), 0, classes)
    return params, x, jax.nn.one_hot(labels, classes, dtype=jnp.float64)


def moved(energy: LiftedEnergy, params, x, y, seed: int = 1) -> States:
    """States inside the domains, but not feasible: activations of disturbed pre-activations."""
    states, z, _ = energy.clamp(x, y, params)
    for key, name in zip(
        jax.random.split(jax.random.key(seed), len(energy.network.hidden)),
        energy.network.hidden,
        strict=True,
    ):
        noise = 0.3 * jax.random.normal(key, z[name].shape, z[name].dtype)
        activation = energy.network.node(name).potential.activation
        states[name] = jax.vmap(activation)(z[name] + noise)
    return states


def residual() -> Network:
    """The smallest graph with a skip connection: a node with two children, one with two parents."""
    return Network(
        (
            Node("a", Dense(4), "relu", "input"),
            Node("b", Dense(4), "leaky_relu", "a"),
            Node("c", Sum((Identity(), Dense(4))), "identity", ("a", "b")),
            Node("out", Dense(3), "softmax", "c"),
        ),
        (6,),
    )


# Dense chains are part of both.
NETWORKS = {"skips": skips, "convolutional": convolutional}
