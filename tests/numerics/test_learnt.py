"""Hyper-parameters of potentials that are trained, by the envelope theorem."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from liftax import (
    BackPropagation,
    BlockCoordinateDescent,
    Bregman,
    Lifted,
    LiftedEnergy,
    Node,
    OneSweep,
    Quadratic,
    fit,
)
from liftax._iterate import scan
from liftax.affine import Dense
from liftax.blocks import ParameterBlock, ProximalGradient, Solve
from liftax.networks import INPUT, Network, potential_key
from liftax.potentials import AbstractPotential, Clip, LeakyReLU, SoftThreshold
from tests.helpers import compiled, quick

from .graphs import distance, example, moved
from .test_methods import gradient

KEY = potential_key("a")


def learner(potential: AbstractPotential, learn) -> Network:
    return Network(
        (
            Node("a", Dense(6), potential, INPUT, learn=learn),
            Node("b", Dense(5), "tanh", "a"),
            Node("out", Dense(3), "softmax", "b"),
        ),
        (4,),
    )


LEARNERS = {
    "threshold": (SoftThreshold(0.3), ("threshold",)),
    "thresholds": (SoftThreshold(jnp.linspace(0.1, 0.6, 6)), ("threshold",)),
    "slope": (LeakyReLU(0.3), ("slope",)),
    "levels": (Clip(-0.4, 0.5), ("low", "high")),
}


@pytest.mark.parametrize(
    ("name", "penalty"),
    [
        ("threshold", Bregman()),
        ("thresholds", Lifted()),
        ("slope", Quadratic()),
        pytest.param("slope", Bregman(), marks=pytest.mark.slow),
    ],
    ids=repr,
)
def test_gradient_of_the_energy(name: str, penalty) -> None:
    """At given activations: that of the definition, for soft-threshold ‖u‖₁ - ‖σ(z)‖₁."""
    network = learner(*LEARNERS[name])
    params, x, y = example(network)
    params[KEY] = network.init(jax.random.key(0), jnp.float64)[KEY]
    energy = LiftedEnergy(network, penalty, weights={"a": 1.6})
    states = moved(energy, params, x, y)

    @compiled
    def both(params):
        here = energy.at(params)
        block = ParameterBlock(here, params, states, here.preactivations(params, states))
        ours = block.gradient(block.x)
        return ours, jax.grad(lambda p: energy.value(p, states))(params)

    ours, theirs = both(params)
    assert distance(ours, theirs) < 1e-12
    assert distance(ours[KEY], theirs[KEY]) < 1e-10
    if name == "threshold" and isinstance(penalty, Bregman):
        z = network.preactivation(params, states, "a")
        sigma = jnp.sign(z) * jnp.maximum(jnp.abs(z) - 0.3, 0)
        by_hand = 1.6 * jnp.mean(jnp.sum(jnp.abs(states["a"]) - jnp.abs(sigma), -1))
        np.testing.assert_allclose(ours[KEY]["threshold"], by_hand, rtol=1e-10)


@pytest.mark.parametrize(
    ("name", "penalty"),
    [
        ("thresholds", Bregman()),
        pytest.param("slope", Bregman(), marks=pytest.mark.slow),
        ("levels", Bregman()),
        pytest.param("levels", Quadratic(), marks=pytest.mark.slow),
    ],
    ids=repr,
)
def test_one_sweep_tends_to_back_propagation(name: str, penalty) -> None:
    """Also for the levels of a clip, on which the domain depends."""
    network = learner(*LEARNERS[name])
    params, x, y = example(network)
    params[KEY] = network.init(jax.random.key(0), jnp.float64)[KEY]
    energy = LiftedEnergy(network, penalty)

    @compiled
    def gradients(params):
        exact = gradient(BackPropagation(optax.sgd(1.0)), energy, params, x, y)
        return exact, gradient(OneSweep(optax.sgd(1.0), 1e5, 1e-5), energy, params, x, y)

    exact, swept = gradients(params)
    assert distance(swept[KEY], exact[KEY]) < 1e-3


@pytest.mark.slow
def test_a_threshold_is_recovered() -> None:
    """Data of a network with threshold 0.5; with its weights given, training finds it."""
    network = Network(
        (
            Node("a", Dense(20, use_bias=False), SoftThreshold(0.05), INPUT, learn="threshold"),
            Node("out", Dense(3, use_bias=False), "identity", "a"),
        ),
        (4,),
    )
    params = network.init(jax.random.key(0), jnp.float64)
    true = {**params, KEY: {"threshold": jnp.asarray(0.5)}}
    x = jax.random.normal(jax.random.key(1), (64, 4), jnp.float64)
    y = network(true, x)
    labels = {"a": "fixed", KEY: "free", "out": "fixed"}
    optimiser = optax.multi_transform(
        {"free": optax.adam(0.02), "fixed": optax.set_to_zero()}, labels
    )
    with jax.numpy_dtype_promotion("standard"):  # optax's Adam is not strict
        found = fit(
            LiftedEnergy(network),
            (np.asarray(x), np.asarray(y)),
            OneSweep(optimiser, 1.0, 1e-3),
            epochs=150,
            batch_size=64,
            dtype=jnp.float64,
            params=params,
            progress=False,
        ).params
    assert float(found[KEY]["threshold"]) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("step", quick(["plain", "closed form"], "closed form"))
def test_descent_learns_a_threshold(step: str) -> None:
    """Block descent with a learnt threshold never increases the energy, and moves it."""
    network = learner(SoftThreshold(0.3), ("threshold",))
    params, x, y = example(network, samples=9)
    params[KEY] = {"threshold": jnp.asarray(0.3)}
    energy = LiftedEnergy(network)
    rule = ProximalGradient() if step == "plain" else Solve(1e-3)
    method = BlockCoordinateDescent(parameter_step=rule)

    @compiled
    def run(params):
        state = method.init(energy, params, x, y, jax.random.key(0))

        def sweep(carry, _):
            out = method.step(energy, carry[0], carry[1], x, y)
            states, _ = method.states(energy, out.params, out.state, x, y)
            return (out.params, out.state), energy.value(out.params, states)

        return scan(sweep, (params, state), jnp.arange(60))

    (found, _), values = run(params)
    assert np.all(np.diff(values) <= 1e-13)
    assert abs(float(found[KEY]["threshold"]) - 0.3) > 0.01


def test_admissible_values_are_kept() -> None:
    """A step that leaves the interval is projected: a threshold stays at least 0."""
    network = learner(SoftThreshold(0.01), ("threshold",))
    params, x, y = example(network)
    energy = LiftedEnergy(network)
    method = OneSweep(optax.sgd(1e4))
    state = method.init(energy, params, x, y, jax.random.key(0))
    out = jax.jit(lambda p, s: method.step(energy, p, s, x, y))(params, state)
    assert out.params[KEY]["threshold"] >= 0


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match="is to learn 'slope', but SoftThreshold can learn"):
        learner(SoftThreshold(0.1), ("slope",))
    network = learner(*LEARNERS["levels"])
    params, x, y = example(network)
    method, energy = BlockCoordinateDescent(), LiftedEnergy(network)

    def step(key):
        return method.step(energy, params, method.init(energy, params, x, y, key), x, y)

    with pytest.raises(ValueError, match="learns the domain of Clip"):
        jax.eval_shape(step, jax.random.key(0))
