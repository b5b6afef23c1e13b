"""Exported equinox modules against the network, and back."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import liftax
from liftax.affine import AveragePooling, Concatenation, Convolution, Dense, Normalisation, Scale
from liftax.exporting import to_equinox
from liftax.importing import from_equinox
from liftax.networks import INPUT, Network, Node, chain
from tests.exporting.networks import COMMON, branches, drawn, example

PICTURES = [
    (Convolution(3, (3, 2), (2, 1)), "tanh"),
    (AveragePooling(2, 1), "identity"),
    (Convolution(2, (2, 2), padding=((0, 1), (1, 0)), use_bias=False), "relu"),
    (Dense(3), "softmax"),
]
CASES = {
    "activations": chain((4,), [(Dense(4), p) for p in COMMON]),
    "pictures": chain((7, 6, 2), PICTURES),
}


@pytest.mark.parametrize("name", CASES)
def test_the_module_computes_the_same_and_comes_back(name: str) -> None:
    network = CASES[name]
    params = drawn(network)
    x = example(network)
    expected = np.asarray(eqx.filter_jit(network)(params, x))
    module = to_equinox(network, params)
    given = np.moveaxis(np.asarray(x), -1, 1) if x.ndim == 4 else x
    found = jax.jit(jax.vmap(module))(given)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    again, weights = from_equinox(module, given.shape[1:])
    assert [n.potential for n in again.nodes] == [n.potential for n in network.nodes]
    assert list(again.shapes.values()) == list(network.shapes.values())
    for node, other in zip(network.nodes, again.nodes, strict=True):
        leaves = (jax.tree.leaves(p) for p in (params[node.name], weights[other.name]))
        for a, b in zip(*leaves, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("network", "kinds"),
    [
        (liftax.cnn((6, 5, 1), (2,), (4,), 3, normalised=True), "Conv2d Lambda AvgPool2d Lambda"),
        (chain((4,), [(Dense(3, use_bias=False), "identity"), (Scale(), "tanh")]), "Linear Lambda"),
        (chain((4,), [(Dense(3), "identity"), (Normalisation(), "tanh")]), "Linear Lambda"),
        (chain((3,), [(Normalisation(), "relu"), (Dense(2), "identity")]), "Linear Lambda Linear"),
        (chain((4, 3, 2), [(Scale(), "tanh")]), "Conv2d Lambda"),
        (
            chain((4, 3, 2), [(Convolution(3), "tanh"), (Normalisation(), "identity")]),
            "Conv2d Lambda Conv2d",
        ),
    ],
)
def test_normalisation_is_folded(network: Network, kinds: str) -> None:
    """Into the layer before it, or, behind an activation, a layer of its own."""
    params = drawn(network, np.float64)
    module = to_equinox(network, params)
    names = " ".join(type(layer).__name__ for layer in module.layers)
    assert names.startswith(kinds)
    x = example(network).astype(jnp.float64)
    expected = np.asarray(eqx.filter_jit(network)(params, x))
    found = jax.jit(jax.vmap(module))(jnp.moveaxis(x, -1, 1) if x.ndim == 4 else x)
    found = np.moveaxis(np.asarray(found), 1, -1) if expected.ndim == 4 else found
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_a_node_that_is_read_twice_is_not_folded() -> None:
    nodes = (
        Node("a", Dense(3), "identity", INPUT),
        Node("b", Scale(), "identity", "a"),
        Node("c", Dense(3), "relu", "a"),
        Node("d", Concatenation(), "identity", ("b", "c")),
    )
    network = Network(nodes, (2,))
    with pytest.raises(ValueError, match="node 'c': a branch has no counterpart"):
        to_equinox(network, drawn(network))


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (branches(), "node 'c': a branch has no counterpart in an equinox chain; equinox has"),
        (
            liftax.transformer((4, 3), 4, 1, 2),
            "node 'tokens'|'positions': Positions has no counterpart in an equinox chain",
        ),
        (liftax.resnet(4, 3, 1, 2), "node 'u1': .* has no counterpart in an equinox chain"),
        (liftax.mlp([3, 2], output="arctan"), "node 'layer1': Arctan has no counterpart in jax.nn"),
        (chain((4, 4, 1), [(Convolution(2), "softmax")]), "Softmax has no counterpart in jax.nn"),
    ],
)
def test_refusals_are_named(network: Network, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        to_equinox(network, drawn(network))
