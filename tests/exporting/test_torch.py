"""Exported PyTorch modules against the network, and back."""

import copy
import io

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch  # pyright: ignore[reportMissingImports]

import liftax
from liftax.exporting import to_torch
from liftax.importing import from_torch
from tests.exporting.networks import CASES, drawn, example, model

# Bounds per channel, selected entries, uneven padding, token-wise layers, and what has no module.
ONE_WAY = {"activations", "pooled", "ddfb", "tokens", "branches", "tied", "cnn", "decoder"}
ONE_WAY |= {"transformer", "balls"}


def first(array) -> np.ndarray:
    return np.moveaxis(np.asarray(array), -1, 1) if array.ndim == 4 else np.asarray(array)


@pytest.mark.parametrize("name", CASES)
def test_the_module_computes_the_same(name: str) -> None:
    network, params = model(name)
    x = example(network)
    expected = first(eqx.filter_jit(network)(params, x))
    module = to_torch(network, params)
    with torch.no_grad():
        found = module(torch.tensor(first(x).copy())).numpy()
    close = {"rtol": 1e-5, "atol": 1e-5 * np.abs(expected).max()}
    np.testing.assert_allclose(found, expected, **close)
    if name in ONE_WAY:
        return
    again, weights = from_torch(module, first(x).shape[1:])
    np.testing.assert_allclose(first(eqx.filter_jit(again)(weights, x)), expected, **close)


def test_the_module_can_be_kept_and_trained_on() -> None:
    network, params = liftax.mlp([3, 4, 2], output="identity"), {}
    params = drawn(network, np.float64)
    module = to_torch(network, params)
    assert list(module.state_dict()) == [
        f"layer{i}.{n}" for i in (1, 2) for n in ("weight", "bias")
    ]
    other = to_torch(network, jax.tree.map(jnp.zeros_like, params))
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    x = torch.rand(5, 3, dtype=torch.float64)
    assert torch.equal(other(x), module(x))
    before = copy.deepcopy(module)
    loss = (module(x) ** 2).mean()
    loss.backward()
    torch.optim.SGD(module.parameters(), 0.1).step()
    assert (module(x) ** 2).mean() < loss
    assert torch.equal(before(x), other(x))  # and the arrays of JAX are copies
    np.testing.assert_array_equal(params["layer1"]["weight"].T, before.layer1.weight.detach())


def test_refusals_are_named() -> None:
    network = liftax.mlp([3, 2], output="huber")
    with pytest.raises(ValueError, match="node 'layer1': Huber has no counterpart in PyTorch"):
        to_torch(network, drawn(network))
