"""Methods: what each step solves, its limits, and that no activation is differentiated."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from liftax import (
    BackPropagation,
    BlockCoordinateDescent,
    Bregman,
    ImplicitSGD,
    Lifted,
    LiftedEnergy,
    OneSweep,
    Quadratic,
)
from liftax.affine import Dense
from liftax.blocks import Fixed, Jacobi, Lipschitz, ProximalGradient, RedBlack
from liftax.networks import chain
from liftax.potentials import LeakyReLU, SoftThreshold
from tests.blind import Blind
from tests.helpers import compiled

from .graphs import NETWORKS, distance, example, perceptrons, skips


def gradient(method, energy, params, x, y):
    """What the method hands to its optimiser: plain descent with step 1 shows it."""

    @compiled
    def step(params):
        state = method.init(energy, params, x, y, jax.random.key(0))
        new = method.step(energy, params, state, x, y).params
        return jax.tree.map(lambda old, new: old - new, params, new)

    return step(params)


@pytest.mark.parametrize("net", NETWORKS)
def test_one_sweep_tends_to_back_propagation(net: str) -> None:
    """For a small nudge and a large step, whatever the slopes of the activations."""
    network = NETWORKS[net]()
    params, x, y = example(network)
    energy = LiftedEnergy(network, weights={network.output: 1.5})

    @compiled
    def gradients(params):
        exact = gradient(BackPropagation(optax.sgd(1.0)), energy, params, x, y)
        return exact, gradient(OneSweep(optax.sgd(1.0), 1e4, 1e-4), energy, params, x, y)

    exact, swept = gradients(params)
    assert distance(swept, exact) < 2e-3


@pytest.mark.parametrize("tau", [0.1, 10.0])
def test_mirror_sweep_tends_to_back_propagation_at_every_step(tau: float) -> None:
    """Curved activations too: the signal is σ'(z) g in the limit, whatever τ is."""
    network = skips()
    params, x, y = example(network)
    energy = LiftedEnergy(network, weights={"b": 1.7})

    @compiled
    def gradients(params):
        exact = gradient(BackPropagation(optax.sgd(1.0)), energy, params, x, y)
        method = OneSweep(optax.sgd(1.0), tau, 1e-5, mirror=True)
        return exact, gradient(method, energy, params, x, y)

    exact, swept = gradients(params)
    assert distance(swept, exact) < 1e-4
    with pytest.raises(ValueError, match="mirror steps are those of the Bregman"):
        OneSweep(optax.sgd(1.0), mirror=True).init(
            LiftedEnergy(network, Quadratic()), params, x, y, jax.random.key(0)
        )


def test_a_slope_scales_the_signal_as_documented() -> None:
    """Leaky ReLU of slope a, all units negative: the signal is multiplied by a(1+τ)/(a+τ)."""
    slope, tau = 0.2, 0.5
    network = chain((3,), [(Dense(4), LeakyReLU(slope)), (Dense(2), "softmax")])
    params, x, y = example(network)
    params["layer1"]["bias"] -= 100.0
    energy = LiftedEnergy(network)
    exact = gradient(BackPropagation(optax.sgd(1.0)), energy, params, x, y)
    swept = gradient(OneSweep(optax.sgd(1.0), tau), energy, params, x, y)
    factor = (1 + tau) / (slope + tau)
    found, expected = swept["layer1"]["weight"], factor * exact["layer1"]["weight"]
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-13)


def test_one_sweep_of_mac_qp_is_back_propagation() -> None:
    """With the quadratic penalty the undamped sweep is back-propagation at every nudge."""
    network = skips()
    params, x, y = example(network)
    energy = LiftedEnergy(network, Quadratic())

    @compiled
    def both(params):
        exact = gradient(BackPropagation(optax.sgd(1.0)), energy, params, x, y)
        return exact, gradient(OneSweep(optax.sgd(1.0), 0.7, 1.0), energy, params, x, y)

    exact, swept = both(params)
    assert distance(swept, exact) < 1e-12


def test_one_sweep_of_the_lifted_penalty_tends_to_the_gradient_of_its_energy() -> None:
    """Its residuals do not vanish at a forward pass: they are part of what is weighted by β."""
    network = skips()
    params, x, y = example(network)
    energy = LiftedEnergy(network, Lifted(), weights={"b": 1.7})

    @compiled
    def both(params):
        exact = jax.grad(lambda p: energy.value(p, energy.clamp(x, y, p)[0]))(params)
        method = OneSweep(optax.sgd(1.0), 0.5, 1e-5, mirror=True)
        return exact, gradient(method, energy, params, x, y)

    exact, swept = both(params)
    assert distance(swept, exact) < 1e-4


def test_damped_sweep_shrinks_by_its_factor_per_layer() -> None:
    """All units active: layer j of 3 receives (τ/(1+τ))^(3-j) of back-propagation's gradient."""
    network = perceptrons("identity")
    params, x, y = example(network)
    energy = LiftedEnergy(network)
    exact = gradient(BackPropagation(optax.sgd(1.0)), energy, params, x, y)
    damped = gradient(OneSweep(optax.sgd(1.0), 0.25, undamped=False), energy, params, x, y)
    for j in (1, 2, 3):
        found, expected = damped[f"layer{j}"]["weight"], exact[f"layer{j}"]["weight"]
        np.testing.assert_allclose(found, 0.2 ** (3 - j) * expected, rtol=1e-9, atol=1e-14)


def test_implicit_step_is_the_minimiser() -> None:
    """One layer, squared error: the implicit step is ridge regression towards the old weights."""
    network = chain((6,), [(Dense(3), "identity")])
    params, x, _ = example(network)
    y = jax.random.normal(jax.random.key(9), (5, 3))
    tau, energy = 3.0, LiftedEnergy(network)
    method = ImplicitSGD(tau, inner=4000)

    @compiled
    def step(params):
        state = method.init(energy, params, x, y, jax.random.key(0))
        return method.step(energy, params, state, x, y).params

    found = step(params)["layer1"]
    design = np.hstack([x, np.ones((5, 1))])
    old = np.vstack([params["layer1"]["weight"], params["layer1"]["bias"][None]])
    system = design.T @ design / 5 + np.eye(7) / tau
    expected = np.linalg.solve(system, design.T @ np.asarray(y) / 5 + old / tau)
    np.testing.assert_allclose(
        np.vstack([found["weight"], found["bias"][None]]), expected, rtol=1e-8
    )


@pytest.mark.slow
def test_a_small_implicit_step_is_a_gradient_step() -> None:
    """As τ → 0 the change of Θ over τ tends to the gradient at the minimising activations."""
    network = perceptrons()
    params, x, y = example(network)
    energy, tau = LiftedEnergy(network), 1e-7
    method = ImplicitSGD(tau, inner=3000)

    @compiled
    def run(params):
        state = method.init(energy, params, x, y, jax.random.key(0))
        step = method.step(energy, params, state, x, y)
        states, z = method.states(energy, params, state, x, y)
        del z
        return step.params, jax.grad(lambda p: energy.value(p, states))(params)

    new, expected = run(params)
    change = jax.tree.map(lambda old, new: (old - new) / tau, params, new)
    assert distance(change, expected) < 1e-3


@pytest.mark.parametrize(
    "method",
    [
        OneSweep(optax.sgd(0.1)),
        pytest.param(ImplicitSGD(1.0, 2, order=RedBlack()), marks=pytest.mark.slow),
        BlockCoordinateDescent(order=Jacobi()),
        pytest.param(
            BlockCoordinateDescent(
                state_step=ProximalGradient(Fixed(0.1)),
                parameter_step=ProximalGradient(Lipschitz(1.5)),
            ),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_an_activation_whose_derivative_raises_still_trains(method) -> None:
    network = perceptrons(Blind())
    params, x, y = example(network)

    def run(penalty):
        energy = LiftedEnergy(network, penalty)
        state = method.init(energy, params, x, y, jax.random.key(0))
        values = [energy.loss_value(network.forward(params, x)[1][network.output], y)]
        new = method.step(energy, params, state, x, y).params
        values.append(energy.loss_value(network.forward(new, x)[1][network.output], y))
        return values

    before, after = jax.jit(lambda: run(Bregman()))()
    assert after < before
    jax.eval_shape(lambda: run(Lifted()))
    with pytest.raises(AssertionError, match="was differentiated"):
        jax.eval_shape(lambda: run(Quadratic()))
    with pytest.raises(AssertionError, match="was differentiated"):
        backprop = BackPropagation(optax.sgd(0.1))
        jax.eval_shape(lambda: gradient(backprop, LiftedEnergy(network), params, x, y))


def test_an_activity_term_makes_codes_sparse() -> None:
    """At the minimum over U the code has exact zeros, where the optimality condition has them."""
    network = perceptrons("identity")
    params, x, y = example(network)
    alpha, name = 0.3, "layer1"
    energy = LiftedEnergy(network, activity={name: SoftThreshold(alpha)})
    method = ImplicitSGD(1e-12, inner=3000)
    plain = LiftedEnergy(network)

    @compiled
    def solve(params):
        state = method.init(energy, params, x, y, jax.random.key(0))
        states, _ = method.states(energy, params, state, x, y)

        def smooth(u):
            return len(x) * plain.value(params, {**states, name: u})

        return jax.grad(smooth)(states[name]), states[name]

    slope, u = solve(params)
    zero = u == 0
    assert 0.05 < float(jnp.mean(zero)) < 0.95
    assert float(jnp.max(jnp.abs(jnp.where(zero, slope, 0)))) <= alpha + 1e-6
    np.testing.assert_allclose(jnp.where(zero, 0, slope + alpha * jnp.sign(u)), 0, atol=1e-5)


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match="step_size and nudge must be positive, got 0"):
        OneSweep(optax.sgd(1.0), 0)
    with pytest.raises(ValueError, match=r"inner at least 1, got 1\.0 and 0"):
        ImplicitSGD(1.0, 0)
    with pytest.raises(ValueError, match=r"scale must lie in \(0, 2\)"):
        Lipschitz(2.0)
    with pytest.raises(ValueError, match="step must be positive, got -1"):
        Fixed(-1)
