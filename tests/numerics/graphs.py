"""Small networks that the numerical tests share: a chain, skips, convolutions."""

import jax
import jax.numpy as jnp
import numpy as np

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
    """Float64 parameters, inputs, one-hot targets; drawn by NumPy, which compiles nothing."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(lambda key: network.init(key, jnp.float64), jax.random.key(0))

    def drawn(path, leaf) -> np.ndarray:
        node, field = path[0].key, path[-1].key
        if node.endswith(".potential"):
            potential = network.node(node.removesuffix(".potential")).potential
            return np.broadcast_to(getattr(potential, field), leaf.shape) + 0.05
        start = {"bias": 0.0, "shift": 0.0, "mean": 0.0, "scale": 1.0, "variance": 1.0}
        if field in start:
            return np.full(leaf.shape, start[field] + 0.05)
        return rng.normal(size=leaf.shape) / np.sqrt(np.prod(leaf.shape[:-1])) + 0.05

    params = jax.tree_util.tree_map_with_path(drawn, shapes)
    x = rng.normal(size=(samples, *network.input_shape))
    classes = network.shapes[network.output][0]
    y = np.eye(classes)[rng.integers(0, classes, samples)]
    return jax.device_put((params, x, y))


def distance(a, b) -> float:
    """|a - b| / |b| of two trees."""
    leaves = [np.concatenate([np.ravel(v) for v in jax.tree.leaves(t)]) for t in (a, b)]
    return float(np.linalg.norm(leaves[0] - leaves[1]) / np.linalg.norm(leaves[1]))


def moved(energy: LiftedEnergy, params, x, y, seed: int = 1) -> States:
    """States inside the domains, but not feasible: activations of disturbed pre-activations."""
    hidden = energy.network.hidden

    @jax.jit
    def disturbed(params, x, y):
        states, z, _ = energy.clamp(x, y, params)
        keys = jax.random.split(jax.random.key(seed), len(hidden))
        for key, name in zip(keys, hidden, strict=True):
            noise = 0.3 * jax.random.normal(key, z[name].shape, z[name].dtype)
            activation = energy.network.node(name).potential.activation
            states[name] = jax.vmap(activation)(z[name] + noise)
        return states

    return disturbed(params, x, y)


def clamped(energy: LiftedEnergy, params, x, y):
    """`energy.clamp` as one program."""
    return jax.jit(lambda params, x, y: energy.clamp(x, y, params))(params, x, y)


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
