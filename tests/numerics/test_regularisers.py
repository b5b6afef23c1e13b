"""Regularisers of the parameters: minimisers and constraints."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.linear_model import ElasticNet as ReferenceElasticNet

from liftax import BlockCoordinateDescent, LiftedEnergy, OneSweep
from liftax._iterate import repeat
from liftax.affine import Dense
from liftax.networks import chain
from liftax.potentials import (
    AbstractRegulariser,
    ElasticNet,
    GroupSoftThreshold,
    Orthogonal,
    SpectralBall,
)
from tests.helpers import compiled, quick

from .graphs import clamped, convolutional, example, perceptrons, skips


def test_elastic_net_is_scikit_learns() -> None:
    """One linear layer: block descent minimises ½|y - xW - b|²/s + l1|W|₁ + l2/2 |W|²."""
    network = chain((6,), [(Dense(1), "identity")])
    keys = jax.random.split(jax.random.key(0), 3)
    params = network.init(keys[0], jnp.float64)
    x = jax.random.normal(keys[1], (50, 6), jnp.float64)
    y = x[:, :2].sum(1, keepdims=True) + 0.1 * jax.random.normal(keys[2], (50, 1), jnp.float64)
    l1, l2 = 0.1, 0.05
    energy = LiftedEnergy(network, regularisers={"layer1": ElasticNet(l1, l2)})
    method = BlockCoordinateDescent()

    @compiled
    def run(params):
        state = method.init(energy, params, x, y, jax.random.key(1))

        def step(carry):
            out = method.step(energy, carry[0], carry[1], x, y)
            return out.params, out.state

        return repeat(step, (params, state), 500)[0]["layer1"]

    found = run(params)
    # scikit-learn: |.|²/(2s) + α r |W|₁ + α (1 - r)/2 |W|².
    reference = ReferenceElasticNet(alpha=l1 + l2, l1_ratio=l1 / (l1 + l2), tol=1e-12)
    reference.fit(np.asarray(x), np.asarray(y)[:, 0])
    np.testing.assert_allclose(found["weight"][:, 0], reference.coef_, atol=1e-9)
    np.testing.assert_allclose(found["bias"][0], reference.intercept_, atol=1e-9)
    assert np.any(np.asarray(found["weight"]) == 0)


CONSTRAINTS: dict[str, tuple[AbstractRegulariser, str]] = {
    "spectral": (SpectralBall(0.7), "layer2"),
    "orthogonal": (Orthogonal(), "layer2"),
    "group": (GroupSoftThreshold(0.4), "layer1"),
}


@pytest.mark.parametrize("method", quick(["descent", "one sweep"], "one sweep"))
@pytest.mark.parametrize("name", quick(CONSTRAINTS, "spectral"))
def test_constraints_hold_after_a_step(name: str, method: str) -> None:
    term, place = CONSTRAINTS[name]
    network = perceptrons()
    params, x, y = example(network)
    energy = LiftedEnergy(network, regularisers={place: term})
    methods = {
        "descent": BlockCoordinateDescent(),
        "one sweep": OneSweep(optax.sgd(0.1), proximal_step=1.0),
    }
    chosen = methods[method]

    @compiled
    def step(params):
        state = chosen.init(energy, params, x, y, jax.random.key(0))
        return chosen.step(energy, params, state, x, y).params[place]["weight"]

    weight = np.asarray(step(params))
    values = np.linalg.svd(weight, compute_uv=False)
    if name == "spectral":
        assert values[0] <= 0.7 + 1e-12
    elif name == "orthogonal":
        np.testing.assert_allclose(values, 1, atol=1e-12)
    else:
        whole = np.linalg.norm(np.asarray(params[place]["weight"]), axis=-1)
        assert np.all(np.linalg.norm(weight, axis=-1) < whole)


def test_a_kernel_is_the_matrix_of_its_patches() -> None:
    """The spectral ball of a convolution bounds the norm of (kh kw channels, features)."""
    network = convolutional()
    params, _, _ = example(network)
    energy = LiftedEnergy(network, regularisers={"layer2": SpectralBall(0.5)})
    new = jax.jit(lambda p: energy.regularise(p, {"layer2": 1.0}))(params)["layer2"]
    kernel = np.asarray(new["weight"])
    assert kernel.shape == params["layer2"]["weight"].shape
    assert np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), 2) <= 0.5 + 1e-12
    np.testing.assert_array_equal(new["bias"], params["layer2"]["bias"])


def test_the_energy_holds_the_regularisers() -> None:
    network = perceptrons()
    params, x, y = example(network)
    plain = LiftedEnergy(network)
    energy = LiftedEnergy(network, regularisers={"layer2": ElasticNet(0.3, 0.0)})
    states, _, _ = clamped(plain, params, x, y)
    added = compiled(lambda p, s: energy.value(p, s) - plain.value(p, s))(params, states)
    np.testing.assert_allclose(added, 0.3 * np.sum(np.abs(params["layer2"]["weight"])))


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match="no node 'nowhere'"):
        LiftedEnergy(perceptrons(), regularisers={"nowhere": Orthogonal()})
    with pytest.raises(ValueError, match="must be a potential or another AbstractRegulariser"):
        LiftedEnergy(perceptrons(), regularisers={"layer1": 0.1})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="the map Sum has no weights"):
        LiftedEnergy(skips(), regularisers={"c": Orthogonal()})
