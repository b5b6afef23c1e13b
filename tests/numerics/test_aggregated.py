"""Aggregated gradients reach the full minimiser with a constant step, plain SGD does not."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from liftax import PIAG, SAG, SAGA, BackPropagation, LiftedEnergy
from liftax._iterate import repeat
from liftax.affine import Dense
from liftax.networks import chain
from liftax.potentials import ElasticNet
from tests.helpers import compiled

SIZE = 4
METHODS = {
    "saga": lambda inner: SAGA(inner, SIZE),
    "sag": lambda inner: SAG(inner, SIZE),
    "piag": lambda inner: PIAG(inner, SIZE),
    "piag, late": lambda inner: PIAG(inner, SIZE, delay=3),
}


def problem():
    network = chain((5,), [(Dense(2), "identity")])
    params = jax.device_put({"layer1": {"weight": np.eye(5, 2), "bias": np.zeros(2)}})
    rng = np.random.default_rng(0)
    return network, params, *map(jnp.asarray, (rng.normal(size=(24, 5)), rng.normal(size=(24, 2))))


def run(method, energy, params, x, y, epochs: int):
    @compiled
    def epochs_of(params):
        state = method.init(energy, params, x, y, jax.random.key(1))

        def step(carry):
            out = method.step(energy, carry[0], carry[1], x, y)
            return out.params, out.state

        return repeat(step, (params, state), epochs)[0]

    return epochs_of(params)["layer1"]


@pytest.mark.parametrize("name", METHODS)
def test_the_limit_is_the_full_minimiser(name: str) -> None:
    """Least squares, against numpy; with an l2 regulariser by its prox, ridge regression."""
    network, params, x, y = problem()
    ridge = 0.3
    energy = LiftedEnergy(network, regularisers={"layer1": ElasticNet(0.0, ridge)})
    rate = 0.02 if name.startswith("piag") else 0.05
    inner = BackPropagation(optax.sgd(rate), proximal_step=rate)
    found = run(METHODS[name](inner), energy, params, x, y, 700)
    x, y = np.asarray(x), np.asarray(y)
    centred = x - x.mean(0)
    weight = np.linalg.solve(
        centred.T @ centred / 24 + ridge * np.eye(5), centred.T @ (y - y.mean(0)) / 24
    )
    np.testing.assert_allclose(found["weight"], weight, atol=1e-7)
    np.testing.assert_allclose(found["bias"], y.mean(0) - x.mean(0) @ weight, atol=1e-7)


def test_misuse_is_named() -> None:
    network, params, x, y = problem()
    inner = BackPropagation(optax.sgd(0.1))
    with pytest.raises(ValueError, match="delay must be at least 0, got -1"):
        PIAG(inner, 4, -1)
    with pytest.raises(ValueError, match="batch_size must lie between 1 and 24, got 50"):
        SAGA(inner, 50).init(LiftedEnergy(network), params, x, y, jax.random.key(0))
    energy = LiftedEnergy(network, regularisers={"layer1": ElasticNet(0.0, 0.3)})
    with pytest.raises(ValueError, match="give the method proximal_step"):
        inner.init(energy, params, x, y, jax.random.key(0))
