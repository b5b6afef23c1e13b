"""Weights and multipliers that change while block descent runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liftax import BlockCoordinateDescent, Bregman, LiftedEnergy, Quadratic
from liftax._iterate import repeat
from liftax.affine import Dense
from liftax.blocks import Solve
from liftax.methods import ADMM, Continuation, DualAscent
from liftax.networks import chain, split
from tests.helpers import compiled

from .graphs import example, perceptrons


def run(method, energy, params, x, y, steps: int):
    @compiled
    def steps_of(params):
        state = method.init(energy, params, x, y, jax.random.key(1))

        def step(carry):
            out = method.step(energy, carry[0], carry[1], x, y)
            return out.params, out.state

        params, state = repeat(step, (params, state), steps)
        states, z = method.states(energy, params, state, x, y)
        return params, state, energy.terms(states, z), energy.gaps(states, z)

    return steps_of(params)


@pytest.mark.slow
def test_dual_ascent_enforces_its_bounds() -> None:
    """With multipliers the constraints hold that a fixed small weight violates."""
    network = perceptrons()
    params, x, y = example(network, samples=12)
    weights = dict.fromkeys(network.hidden, 0.05)
    energy = LiftedEnergy(network, Bregman(), weights=weights)
    bound = {"layer1": 3e-4, "layer2": 5e-5}
    free = run(BlockCoordinateDescent(), energy, params, x, y, 800)[2]
    method = BlockCoordinateDescent(multipliers=DualAscent(2.0, bound))
    _, state, held, _ = run(method, energy, params, x, y, 800)
    for name in network.hidden:
        assert free[name] > 2 * bound[name]
        assert held[name] <= 1.5 * bound[name]
        assert state.multipliers[name] > 0.05


def test_dual_ascent_is_projected_gradient_ascent() -> None:
    """One update, by hand; a slack constraint's multiplier falls to the floor."""
    network = perceptrons()
    params, x, y = example(network)
    energy = LiftedEnergy(network, weights={"layer1": 0.2})
    rule = DualAscent(0.5, {"layer1": 1e-2, "layer2": 9.0}, smallest=0.01)

    @jax.jit
    def run(params):
        states, _, _ = energy.clamp(x, y, params)
        states["layer1"] = states["layer1"] + 1.0
        z = energy.preactivations(params, states)
        start = rule.init(energy, states)
        new = rule.update(rule.at(energy, start), start, states, z)
        return new, energy.terms(states, z)["layer1"]

    new, term = run(params)
    assert float(new["layer1"]) == pytest.approx(float(0.2 + 0.5 * (term - 1e-2)))
    assert float(new["layer2"]) == 0.01
    assert rule.at(energy, new).weight("layer1") is new["layer1"]


@pytest.mark.slow
def test_continuation_hardens_the_constraints() -> None:
    """MAC: weights grow geometrically to their bound, and the gaps fall below those without it."""
    network = perceptrons("tanh")
    params, x, y = example(network, samples=12)
    energy = LiftedEnergy(network, Quadratic(), weights=dict.fromkeys(network.hidden, 0.1))
    plain = run(BlockCoordinateDescent(), energy, params, x, y, 120)[3]
    method = BlockCoordinateDescent(multipliers=Continuation(1.1, 1000.0))
    _, state, _, hard = run(method, energy, params, x, y, 120)
    assert float(state.multipliers) == pytest.approx(1000.0)
    grown = method.multipliers.at(energy, state.multipliers)
    assert float(grown.weight("layer1")) == pytest.approx(100.0)
    assert grown.weight(network.output) == 1.0
    for name in network.hidden:
        assert hard[name] < 0.2 * plain[name]


def test_admm_reaches_feasible_least_squares() -> None:
    """A linear layer, split in two: multipliers make v = Wu + b hold exactly, plain penalties not.

    With one copy v of the output's pre-activation the solution is that of least squares.
    """
    network = chain((5,), [(Dense(3), "identity"), (Dense(2), "identity")])
    keys = jax.random.split(jax.random.key(0), 3)
    params = network.init(keys[0], jnp.float64)
    x = jax.random.normal(keys[1], (40, 5), jnp.float64)
    y = jax.random.normal(keys[2], (40, 2), jnp.float64)
    energy = LiftedEnergy(network)
    plain = BlockCoordinateDescent(state_step=Solve(), parameter_step=Solve(1.0))
    penalised = run(plain, energy, params, x, y, 400)[3]
    method = BlockCoordinateDescent(
        state_step=Solve(), parameter_step=Solve(1.0), multipliers=ADMM()
    )
    found, _, _, gaps = run(method, energy, params, x, y, 2000)
    assert penalised["layer1"] > 1e-3
    assert gaps["layer1"] < 1e-6
    design = np.hstack([x, np.ones((40, 1))])
    best = np.linalg.lstsq(design, np.asarray(y), rcond=None)[0]
    np.testing.assert_allclose(network(found, x), design @ best, atol=1e-5)


def test_misuse_is_named() -> None:
    network = perceptrons()
    params, x, y = example(network)
    energy = LiftedEnergy(network)
    with pytest.raises(ValueError, match="growth and largest must be above 1, got 1"):
        Continuation(1.0)
    with pytest.raises(ValueError, match="rate and smallest must be positive, got 0"):
        DualAscent(0)
    with pytest.raises(ValueError, match="tolerance must be at least 0, got -1"):
        DualAscent(1.0, -1)
    method = BlockCoordinateDescent(multipliers=ADMM())
    with pytest.raises(ValueError, match="needs hidden nodes with the identity"):
        jax.eval_shape(lambda key: method.init(energy, params, x, y, key), jax.random.key(0))
    doubled = LiftedEnergy(split(network))

    def init(key):
        return method.init(doubled, doubled.network.init(key, x.dtype), x, y, key)

    state = jax.eval_shape(init, jax.random.key(0))
    assert state.multipliers.keys() == {"layer1.z", "layer2.z", "layer3.z"}
