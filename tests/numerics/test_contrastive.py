"""Contrastive training: the limit β → 0, and the written-out forms of the Bregman penalty."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.integrate import quad

from liftax import BackPropagation, Bregman, Contrastive, Lifted, LiftedEnergy
from liftax.networks import mlp
from liftax.potentials import AbstractPotential, LeakyReLU, ReLU, Sigmoid, SoftThreshold, Tanh
from tests.helpers import compiled

from .graphs import distance, example
from .test_methods import gradient

BETAS = (0.02, 0.01)


@pytest.mark.slow
@pytest.mark.parametrize("centred", [False, True])
def test_the_gradient_tends_to_back_propagation(centred: bool) -> None:
    """Relative error of order β, and β² for the centred contrast."""
    network = mlp([5, 6, 5, 3], "tanh")
    params, x, y = example(network)
    energy = LiftedEnergy(network)

    @compiled
    def gradients(params):
        exact = gradient(BackPropagation(optax.sgd(1.0)), energy, params, x, y)
        contrasts = [
            gradient(
                Contrastive(optax.sgd(1.0), beta=beta, inner=400, centred=centred),
                energy,
                params,
                x,
                y,
            )
            for beta in BETAS
        ]
        return exact, contrasts

    exact, contrasts = gradients(params)
    errors = np.array([distance(c, exact) for c in contrasts])
    order = np.log2(errors[:-1] / errors[1:])
    assert errors[-1] < (1e-3 if centred else 0.1)
    np.testing.assert_allclose(order, 2 if centred else 1, atol=0.15)


def test_the_free_phase_of_the_lifted_penalty_is_solved() -> None:
    """With β → 0 the contrast is dℓ/dΘ at the free minimiser: here by implicit differentiation."""
    network = mlp([4, 5, 3], "relu")
    params, x, y = example(network)
    energy = LiftedEnergy(network, Lifted())
    name = "layer1"

    @compiled
    def both(params):
        method = Contrastive(optax.sgd(1.0), beta=1e-5, inner=3)
        found = gradient(method, energy, params, x, y)

        # One hidden layer: the free minimiser of ½|u-z|² + Ψ(u) is σ(z), as in a forward pass.
        def loss(params):
            return energy.loss_value(network.forward(params, x)[1][network.output], y)

        return found, jax.grad(loss)(params)

    found, expected = both(params)
    # The clamped and the free u differ by O(β) on active units: first order in β is dℓ/dΘ.
    assert distance(found[name], expected[name]) < 1e-3
    assert distance(found[network.output], expected[network.output]) < 1e-3


CURVES: dict[str, tuple[AbstractPotential, object, object]] = {
    "relu": (ReLU(), lambda t: max(t, 0.0), None),
    "leaky_relu": (LeakyReLU(0.3), lambda t: max(t, 0.3 * t), lambda u: u if u > 0 else u / 0.3),
    "tanh": (Tanh(), np.tanh, np.arctanh),
    "sigmoid": (
        Sigmoid(),
        lambda t: 1 / (1 + np.exp(-t)),
        lambda u: np.log(u / (1 - u)),
    ),
    "soft_threshold": (
        SoftThreshold(0.4),
        lambda t: np.sign(t) * max(abs(t) - 0.4, 0),
        lambda u: u + 0.4 * np.sign(u),
    ),
}


@pytest.mark.parametrize("name", CURVES)
def test_bregman_is_lpom_and_fenchels_written_out_form(name: str) -> None:
    """LPOM: ½(u-z)² + ∫₀ᵘ(σ⁻¹-id) + ∫₀ᶻ(σ-id), up to its value at u = σ(z); Fenchel: φ+φ*-uz."""
    potential, sigma, inverse = CURVES[name]

    def lpom(u: float, z: float) -> float:
        start = float(sigma(0.0))  # type: ignore[operator]
        upper = quad(lambda t: sigma(t) - t, 0, z)[0]  # type: ignore[operator]
        # σ⁻¹ of ReLU is the identity on u > 0.
        lower = 0.0 if inverse is None else quad(lambda t: inverse(t) - t, start, u)[0]  # type: ignore[operator]
        return 0.5 * (u - z) ** 2 + lower + upper

    zs, others = np.array([-1.3, 0.2, 0.9]), np.array([0.7, -0.4, 1.6])
    us = np.array([float(sigma(z)) for z in others])  # type: ignore[operator]
    value = jax.jit(jax.vmap(lambda u, z: Bregman().value(potential, u[None], z[None])))
    found = value(jnp.asarray(us), jnp.asarray(zs))
    at_zero = lpom(float(sigma(0.0)), 0.0)  # type: ignore[operator]
    expected = [lpom(u, z) - at_zero for u, z in zip(us, zs, strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_fenchels_divergence_of_relu() -> None:
    """Gu, Askari & El Ghaoui: ½u² + ½max(z, 0)² - uz for u ≥ 0."""
    u, z = jnp.abs(jax.random.normal(jax.random.key(0), (20,))), jnp.linspace(-2, 2, 20)
    value = jax.jit(jax.vmap(lambda u, z: Bregman().value(ReLU(), u[None], z[None])))
    np.testing.assert_allclose(
        value(u, z), 0.5 * u**2 + 0.5 * np.maximum(z, 0) ** 2 - u * z, atol=1e-14
    )


def test_misuse_is_named() -> None:
    network = mlp([4, 5, 3], "relu")
    params, x, y = example(network)
    with pytest.raises(ValueError, match="beta must be positive and inner at least 1, got 0"):
        Contrastive(optax.sgd(1.0), beta=0)
    energy = LiftedEnergy(network, activity={"layer1": SoftThreshold(0.1)})
    with pytest.raises(ValueError, match="would subtract the activity terms"):
        Contrastive(optax.sgd(1.0), centred=True).init(energy, params, x, y, jax.random.key(0))
