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


def skips(curved: bool = True) -> Network:
    """Two residual connections, nodes with several children and with several parents.

    With `curved` two activations are tanh and sigmoid, whose prox is an inner solve (slow to
    compile).
    """
    tanh, sigmoid = ("tanh", "sigmoid") if curved else ("clip", "leaky_relu")
    return Network(
        (
            Node("a", Dense(5), tanh, "input"),
            Node("b", Dense(5), "relu", "a"),
            Node("c", Sum((Identity(), Dense(5, use_bias=False))), "identity", ("a", "b")),
            Node("e", Dense(4), "soft_threshold", "a"),
            Node("d", Sum((Dense(4), Dense(4), Identity())), sigmoid, ("input", "c", "e")),
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


NETWORKS = {"mlp": perceptrons, "skips": skips, "convolutional": convolutional}
