"""What optax offers is accepted wherever a gradient step is taken, and survives a checkpoint."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from liftax import (
    SAGA,
    BackPropagation,
    BlockCoordinateDescent,
    Checkpoints,
    ImplicitSGD,
    LiftedEnergy,
    OneSweep,
    fit,
    mlp,
)
from liftax._iterate import scan
from liftax.blocks import Nesterov, Optimiser, ProximalGradient, Random, Solve
from liftax.methods import DualAscent
from tests.helpers import quick

NETWORK = mlp([6, 8, 3])


def data(samples: int = 32):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, 6)).astype("float32")
    return x, np.argmax(x[:, :3], axis=1)


def run(method, params, x, y):
    """Steps over the leading axis of the batches x, y."""
    energy = LiftedEnergy(NETWORK)

    @jax.jit
    def steps(params):
        state = method.init(energy, params, x[0], y[0], jax.random.key(0))

        def step(carry, batch):
            out = method.step(energy, carry[0], carry[1], *batch)
            return (out.params, out.state), None

        return scan(step, (params, state), (x, y))[0][0]

    return steps(params)


def batches(size: int):
    x, labels = data()
    y = jax.nn.one_hot(labels, 3)
    return jnp.asarray(x).reshape(-1, size, 6), y.reshape(-1, size, 3).astype(jnp.float32)


@pytest.mark.parametrize("kind", [pytest.param(BackPropagation, marks=pytest.mark.slow), OneSweep])
def test_accumulated_gradients_are_those_of_the_large_batch(kind) -> None:
    params = NETWORK.init(jax.random.key(0))
    whole = run(kind(optax.sgd(0.5)), params, *batches(16))
    gathered = optax.MultiSteps(optax.sgd(0.5), 4).gradient_transformation()
    parts = run(kind(gathered), params, *batches(4))
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(parts), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_clipped_and_scheduled_steps() -> None:
    """With a bound c on the norm and rates r_k the parameters move by at most c Σ r_k."""
    params = NETWORK.init(jax.random.key(0))
    rates = optax.piecewise_constant_schedule(0.1, {1: 0.1})
    optimiser = optax.chain(optax.clip_by_global_norm(1e-3), optax.sgd(rates))
    new = run(OneSweep(optimiser), params, *batches(16))
    moved = float(optax.tree.norm(jax.tree.map(jnp.subtract, new, params)))
    assert 1e-5 < moved <= 1e-3 * 0.11 * (1 + 1e-4)


def test_schedules_of_the_implicit_method() -> None:
    """Step sizes and inner budgets by step number are those of single methods in turn."""
    params = NETWORK.init(jax.random.key(0))
    x, y = batches(16)
    scheduled = run(ImplicitSGD(lambda k: 0.5 / (1 + k), lambda k: 1 + k), params, x, y)
    energy = LiftedEnergy(NETWORK)

    @jax.jit
    def by_hand(params):
        first = ImplicitSGD(0.5, 1)
        state = first.init(energy, params, x[0], y[0], jax.random.key(0))
        out = first.step(energy, params, state, x[0], y[0])
        return ImplicitSGD(0.25, 2).step(energy, out.params, out.state, x[1], y[1]).params

    for a, b in zip(jax.tree.leaves(scheduled), jax.tree.leaves(by_hand(params)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


METHODS = {
    "saga": SAGA(OneSweep(optax.sgd(0.1)), 8),
    "optimiser in block descent": BlockCoordinateDescent(
        parameter_step=Optimiser(optax.adam(0.01))
    ),
    "random order, inertia, multipliers": BlockCoordinateDescent(
        order=Random(),
        state_step=ProximalGradient(acceleration=Nesterov()),
        parameter_step=Solve(0.1),
        multipliers=DualAscent(0.1, 1e-3),
    ),
}


@pytest.mark.parametrize("name", quick(METHODS, "saga"))
def test_a_stopped_run_goes_on_bit_by_bit(name: str, tmp_path) -> None:
    """Tables, moments, multipliers and random bits are all in the checkpoint."""
    method = METHODS[name]
    whole = fit(NETWORK, data(), method, epochs=4, batch_size=8, progress=False)
    saved = Checkpoints(tmp_path, resume=True)
    fit(
        NETWORK,
        data(),
        method,
        epochs=4,
        batch_size=8,
        progress=False,
        checkpoints=saved,
        callback=lambda history, _: history.last["epoch"] == 2,
    )
    resumed = fit(
        NETWORK, data(), method, epochs=4, batch_size=8, progress=False, checkpoints=saved
    )
    for a, b in zip(jax.tree.leaves(whole.params), jax.tree.leaves(resumed.params), strict=True):
        np.testing.assert_array_equal(a, b)
    assert resumed.history["loss"][-1] < whole.history["loss"][1]
