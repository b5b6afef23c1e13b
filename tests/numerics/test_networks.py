"""Networks: forward passes by hand, checks of the graph, builders."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liftax.affine import Dense, Identity, Scores
from liftax.networks import Network, Node, autoencoder, code_layer, mlp

from .graphs import example, skips


def test_forward_pass_by_hand() -> None:
    network = skips()
    p, x, _ = example(network)

    def dense(name, u, part=None):
        layer = p[name] if part is None else p[name][part]
        return u @ layer["weight"] + layer.get("bias", 0.0)

    a = np.tanh(dense("a", x))
    b = np.maximum(dense("b", a), 0)
    c = a + dense("c", b, 1)
    e = dense("e", a)
    e = np.sign(e) * np.maximum(np.abs(e) - 1.0, 0)
    d = 1 / (1 + np.exp(-(dense("d", x, 0) + dense("d", c, 1) + e)))
    scores = np.exp(dense("out", d))
    expected = scores / scores.sum(1, keepdims=True)
    np.testing.assert_allclose(network(p, x), expected, rtol=1e-12)
    assert network.output == "out"
    assert network.hidden == ("a", "b", "c", "e", "d")
    assert [(child.name, place) for child, place in network.children("a")] == [
        ("b", 0),
        ("c", 0),
        ("e", 0),
    ]


def test_builders() -> None:
    network = mlp([784, 30, 20, 10], "tanh", "identity")
    assert network.shapes == {"input": (784,), "layer1": (30,), "layer2": (20,), "layer3": (10,)}
    kinds = [type(node.potential).__name__ for node in network.nodes]
    assert kinds == ["Tanh", "Tanh", "Identity"]
    coder = autoencoder([9, 8, 7, 8, 6, 9])
    kinds = [type(node.potential).__name__ for node in coder.nodes]
    assert kinds == ["ReLU", "ReLU", "SoftThreshold", "ReLU", "Identity"]
    assert code_layer(5) == 3
    assert code_layer(2) == 1


def test_initial_scale_keeps_the_second_moment_through_relus() -> None:
    network = mlp([256] * 9, "relu", "identity")
    params = network.init(jax.random.key(0), jnp.float64)
    x = jax.random.normal(jax.random.key(1), (512, 256))
    _, z = network.forward(params, x)
    moments = [float(jnp.mean(z[f"layer{j}"] ** 2)) for j in range(1, 8)]
    assert all(1.0 < m < 4.0 for m in moments), moments


def test_a_graph_that_is_none_is_named() -> None:
    dense = Dense(3)
    with pytest.raises(ValueError, match="nodes is empty"):
        Network((), (4,))
    with pytest.raises(ValueError, match="two nodes are named 'a'"):
        Network((Node("a", dense, "relu", "input"), Node("a", dense, "relu", "input")), (4,))
    with pytest.raises(ValueError, match="has the parent 'b', which is no earlier node"):
        Network((Node("a", dense, "relu", "b"), Node("b", dense, "relu", "input")), (4,))
    with pytest.raises(ValueError, match="node 'a': Identity takes one parent"):
        Network((Node("a", Identity(), "relu", ("input", "input")),), (4,))
    with pytest.raises(ValueError, match="no node 'x'; its nodes are a"):
        Network((Node("a", dense, "relu", "input"),), (4,)).node("x")
    with pytest.raises(ValueError, match="node 'a' is no parent and not the last"):
        Network((Node("a", dense, "relu", "input"), Node("b", dense, "relu", "input")), (4,))
    with pytest.raises(
        ValueError, match="node 'a' has the parent 'input' twice, which is quadratic"
    ):
        Node("a", Scores(), "relu", ("input", "input"))
    with pytest.raises(ValueError, match="not monotone"):
        mlp([4, 3, 2], "gelu")
    with pytest.raises(ValueError, match="did you mean 'relu'"):
        mlp([4, 3, 2], "rellu")
    with pytest.raises(ValueError, match="widths needs an input and an output"):
        mlp([4])
    with pytest.raises(ValueError, match="start and end with the same number"):
        autoencoder([4, 3, 5])
