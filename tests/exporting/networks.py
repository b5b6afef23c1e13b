"""Networks for exports, and parameters of no special kind."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import liftax
from liftax.affine import (
    Concatenation,
    Convolution,
    Dense,
    Identity,
    Mean,
    Normalisation,
    Patches,
    Pointwise,
    Positions,
    Reshape,
    Residual,
    Scale,
    Scaled,
    Sum,
    TransposedConvolution,
)
from liftax.networks import INPUT, Network, Node, Params, chain, max_pooling
from liftax.potentials import (
    ELU,
    Arctan,
    Ball,
    Clip,
    HardSigmoid,
    LeakyReLU,
    ReLU,
    Sigmoid,
    Softmax,
    Softplus,
    Softsign,
    SoftThreshold,
    Tanh,
)

COMMON = (
    *(ReLU(), LeakyReLU(), Clip(), Clip(0.0, 6.0), Tanh(), Sigmoid(), Softplus(), ELU()),
    *(Softsign(), HardSigmoid(), Softmax()),
)
OTHERS = (
    LeakyReLU(0.2),
    ELU(0.5),
    SoftThreshold(0.3),
    HardSigmoid(0.25),
    Arctan(),
    Clip(-0.5, 2.0),
)


def branches() -> Network:
    nodes = (
        Node("a", Convolution(3, (3, 2), (2, 1)), "relu", INPUT),
        Node("b.z", Convolution(3), "identity", "a"),
        Node("b", Normalisation(), "tanh", "b.z"),
        Node("c", Sum((Convolution(3, (1, 1)), Identity())), "relu", ("a", "b")),
        Node("d", Residual(Convolution(3, use_bias=False), factor=0.5), "relu", ("c", "b")),
        Node("e", Concatenation(), "softmax", ("d", "a")),
        Node("f", Pointwise(4), "softplus", "e"),
        Node("g", Scale(), "identity", "f"),
        Node("mean", Mean(), "identity", "g"),
        Node("out", Dense(3), "softmax", "mean"),
    )
    return Network(nodes, (6, 5, 2))


def tied() -> Network:
    inertia = Residual(Convolution(3), (1.0, 0.0, 0.0), (0.0, 2.0, -1.0))
    nodes = (
        Node("a", Convolution(4, (3, 3), (2, 2)), "relu", INPUT),
        Node("u", TransposedConvolution(2, (3, 3), (2, 2), use_bias=False), "tanh", "a", "a"),
        Node("k", Convolution(3, (1, 1)), "identity", INPUT),
        Node("i", Identity(), "identity", INPUT),
        Node("v", inertia, "relu", ("k", "i", "u")),
    )
    return Network(nodes, (8, 6, 2))


def decoder() -> Network:
    return chain(
        (5,),
        [
            (Dense(24), "relu"),
            (Reshape((3, 4, 2)), "identity"),
            (TransposedConvolution(3, (3, 3), (2, 2), ((1, 1), (1, 1)), shape=(6, 8)), "relu"),
            (TransposedConvolution(2, (2, 3), (1, 2), "valid"), "identity"),
            (Scaled(Convolution(1, (5, 3)), 0.5), "sigmoid"),
        ],
    )


def pooled() -> Network:
    conv = Node("conv", Convolution(2, (2, 2), padding="valid"), "identity", INPUT)
    poolings = max_pooling("max", "conv", (6, 5, 2), 2)
    return Network((conv, *poolings, Node("out", Dense(3), "identity", "max")), (7, 6, 1))


def tokens() -> Network:
    layers = [(Patches(2), "identity"), (Pointwise(3), "identity"), (Positions(), "relu")]
    normalised = [(Normalisation(), "tanh"), (Scale(), Ball(0.5, 0))]
    ends = [(Pointwise(4), "softmax"), (Mean(), "identity")]
    return chain((4, 6, 2), [*layers, *normalised, *ends])


CASES: dict[str, Callable[[], Network]] = {
    "activations": lambda: chain((4,), [(Dense(4), p) for p in (*COMMON, *OTHERS)]),
    "mlp": lambda: liftax.mlp([5, 8, 3], "tanh"),
    "cnn": lambda: liftax.cnn((8, 6, 1), (2, 3), (7,), 3, normalised=True),
    "resnet": lambda: liftax.resnet((6, 6, 1), 3, 2, 4),
    "tied resnet": lambda: liftax.resnet(6, 5, 2, 4, "tanh", tied=True),
    "branches": branches,
    "tied": tied,
    "decoder": decoder,
    "pooled": pooled,
    "tokens": tokens,
    "transformer": lambda: liftax.transformer((4, 6, 2), 4, 1, 3, heads=2, patch=2),
    "balls": lambda: chain((3, 2, 4), [(Convolution(3), Ball(0.4, -1)), (Scale(), Ball())]),
    "ddfb": lambda: liftax.networks.ddfb((6, 5, 1), 4, 2),
}


def drawn(network: Network, dtype: Any = np.float32) -> Params:
    """Parameters without the compilations of `init`; variances and thresholds are positive."""
    rng = np.random.default_rng(0)

    def draw(path, leaf):
        name = jax.tree_util.keystr(path)
        values = rng.normal(scale=0.5, size=leaf.shape)
        positive = "variance" in name or ".potential" in name
        return jax.device_put((np.abs(values) + 0.1 if positive else values).astype(dtype))

    shapes = jax.eval_shape(network.init, jax.random.key(0))
    return jax.tree_util.tree_map_with_path(draw, shapes)


def model(name: str) -> tuple[Network, Params]:
    network = CASES[name]()
    return network, drawn(network)


def example(network: Network) -> jax.Array:
    values = np.random.default_rng(1).normal(size=(3, *network.input_shape))
    return jax.device_put(values.astype(np.float32))
