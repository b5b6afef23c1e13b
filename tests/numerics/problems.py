"""Problems with a known solution, and runs of block steps and of descent on them."""

import jax
import jax.numpy as jnp
import numpy as np

from liftax import LiftedEnergy
from liftax._iterate import scan
from liftax.affine import Dense
from liftax.blocks import AbstractBlockStep, ParameterBlock
from liftax.methods import AbstractMethod
from liftax.networks import INPUT, chain
from liftax.potentials import ElasticNet
from tests.helpers import compiled

LAYER = "layer1"


def regression(scales, ridge: float = 0.0, samples: int = 12, outputs: int = 2):
    """One linear layer: the energy, parameters, inputs whose columns have these scales, targets."""
    network = chain((len(scales),), [(Dense(outputs), "identity")])
    regularisers = {LAYER: ElasticNet(0.0, ridge)} if ridge else {}
    keys = jax.random.split(jax.random.key(0), 3)
    params = network.init(keys[0], jnp.float64)
    x = jnp.asarray(scales) * jax.random.normal(keys[1], (samples, len(scales)), jnp.float64)
    y = jax.random.normal(keys[2], (samples, outputs), jnp.float64)
    return LiftedEnergy(network, regularisers=regularisers), params, x, y


def over_bias(theta) -> np.ndarray:
    """Weights over the bias, as one matrix."""
    return np.vstack([theta["weight"], np.asarray(theta["bias"])[None]])


def ridge_minimiser(x, y, damping, old: float | np.ndarray = 0.0) -> np.ndarray:
    """The minimiser of |Aθ - y|²/(2s) + ½⟨θ - old, D(θ - old)⟩, A having a column of ones."""
    design, diagonal = np.hstack([x, np.ones((len(x), 1))]), np.diag(damping)
    right = design.T @ np.asarray(y) / len(x) + diagonal @ (
        np.zeros((len(diagonal), y.shape[1])) + old
    )
    return np.linalg.solve(design.T @ design / len(x) + diagonal, right)


def parameter_block(energy: LiftedEnergy, params, x, y, anchor=None) -> ParameterBlock:
    """The block of a network without hidden nodes."""
    states = {INPUT: x, energy.network.output: y}
    return ParameterBlock(energy, params, states, energy.preactivations(params, states), anchor)


def iterates(step: AbstractBlockStep, energy: LiftedEnergy, params, x, y, count: int):
    """The parameters after each of so many steps."""

    def advance(carry, _):
        params, memory = carry
        moved, memory = step.update(parameter_block(energy, params, x, y), memory)
        return ({**params, **moved}, memory), {**params, **moved}

    memory = step.init(parameter_block(energy, params, x, y), jax.random.key(1))
    return scan(advance, (params, memory), jnp.arange(count))[1]


def energies(method: AbstractMethod, energy: LiftedEnergy, params, x, y, steps: int) -> np.ndarray:
    """The energy after each step of a method that keeps its activations."""

    @compiled
    def run(params):
        def advance(carry, _):
            out = method.step(energy, carry[0], carry[1], x, y)
            states, _ = method.states(energy, out.params, out.state, x, y)
            return (out.params, out.state), energy.value(out.params, states)

        state = method.init(energy, params, x, y, jax.random.key(0))
        states, _ = method.states(energy, params, state, x, y)
        start = energy.value(params, states)
        return start, scan(advance, (params, state), jnp.arange(steps))[1]

    start, values = run(params)
    return np.concatenate([np.asarray(start)[None], values])


def assert_descends(values: np.ndarray) -> None:
    """Finite, never rising but for rounding, and not standing still."""
    assert np.all(np.isfinite(values))
    assert np.all(np.diff(values) <= 1e-12 * np.abs(values[:-1])), np.diff(values).max()
    assert values[-1] < 0.98 * values[0]
