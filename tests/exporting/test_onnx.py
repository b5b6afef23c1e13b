"""Exported ONNX files against onnxruntime, and back."""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import pytest

import liftax
from liftax.affine import Dense
from liftax.exporting import to_onnx
from liftax.importing import from_onnx
from liftax.networks import chain
from tests.exporting.networks import CASES, drawn, example, model

# What is no single layer on import: bounds per channel, selected entries, token-wise, balls.
ONE_WAY = {"activations", "pooled", "ddfb", "tokens", "transformer", "balls"}


def close(found, expected) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def first(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(array, -1, 1) if array.ndim == 4 else array


@pytest.mark.parametrize("name", CASES)
def test_onnxruntime_computes_the_same(name: str, tmp_path: Path) -> None:
    network, params = model(name)
    x = example(network)
    expected = np.asarray(eqx.filter_jit(network)(params, x))
    path = tmp_path / "network.onnx"
    to_onnx(path, network, params)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(["output"], {"input": first(np.asarray(x))})
    close(found, first(expected))
    if name in ONE_WAY:
        return
    again, weights = from_onnx(path)
    close(np.asarray(eqx.filter_jit(again)(weights, x)), expected)
    assert again.input_shape == network.input_shape


def test_a_plain_network_comes_back_as_it_was(tmp_path: Path) -> None:
    """Names, maps and potentials; in double precision bit by bit."""
    network = liftax.lenet((12, 12, 1), 3)
    params = drawn(network, np.float64)
    to_onnx(tmp_path / "n.onnx", network, params)
    again, weights = from_onnx(tmp_path / "n.onnx")
    names = [n.name for n in network.nodes]
    assert [n.name for n in again.nodes] == names
    assert [n.potential for n in again.nodes] == [n.potential for n in network.nodes]
    assert again.shapes == network.shapes
    for name in names:
        for a, b in zip(*map(jax.tree.leaves, (params[name], weights[name])), strict=True):
            np.testing.assert_array_equal(a, b)
    graph = onnx.load(tmp_path / "n.onnx").graph
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == "samples"


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (
            liftax.mlp([3, 2], output="nuclear_norm"),
            "'layer1': NuclearNorm has no counterpart in O",
        ),
        (
            chain((4,), [(Dense(4), liftax.potentials.Ball(jnp.ones(2), 0))]),
            "node 'layer1': Ball has no counterpart in O",
        ),
    ],
)
def test_refusals_are_named(network, words: str, tmp_path: Path) -> None:
    params = drawn(network)
    with pytest.raises(ValueError, match=words):
        to_onnx(tmp_path / "n.onnx", network, params)
    assert not list(tmp_path.iterdir())


def test_soft_thresholding_comes_back(tmp_path: Path) -> None:
    network = chain((3,), [(Dense(2), liftax.potentials.SoftThreshold(0.25))])
    params = drawn(network)
    to_onnx(tmp_path / "n.onnx", network, params)
    again, _ = from_onnx(tmp_path / "n.onnx")
    assert again.nodes[0].potential == liftax.potentials.SoftThreshold(0.25)
