"""The facts of the penalties, for every penalty and potential."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liftax.penalties import AbstractPenalty, Bregman, Lifted, Quadratic, prox_phi
from liftax.potentials import (
    AbstractPotential,
    Clip,
    Identity,
    LeakyReLU,
    ReLU,
    Sigmoid,
    Softmax,
    SoftThreshold,
    Tanh,
)
from tests.blind import Blind
from tests.helpers import compiled

POTENTIALS: dict[str, AbstractPotential] = {
    "identity": Identity(),
    "relu": ReLU(),
    "leaky_relu": LeakyReLU(0.2),
    "clip": Clip(-0.5, 1.0),
    "soft_threshold": SoftThreshold(0.7),
    "tanh": Tanh(),
    "sigmoid": Sigmoid(),
    "softmax": Softmax(),
}
PENALTIES: dict[str, AbstractPenalty] = {
    "bregman": Bregman(),
    "lifted": Lifted(),
    "quadratic": Quadratic(),
}
TOLERANCE = {jnp.float32: 2e-5, jnp.float64: 1e-12}


def draws(dtype, count: int = 40, size: int = 4) -> np.ndarray:
    """Pre-activations, and others, whose activations are states that do not belong to them."""
    return 2 * np.random.default_rng(1).normal(size=(2, count, size)).astype(dtype)


SINGLE = ("relu", "softmax")  # fast in single precision too
FACTS = [
    pytest.param(
        name, dtype, marks=[pytest.mark.slow] if dtype == jnp.float32 and name not in SINGLE else []
    )
    for name in POTENTIALS
    for dtype in TOLERANCE
]


@pytest.mark.parametrize(("name", "dtype"), FACTS)
def test_bregman_facts(name: str, dtype) -> None:
    potential, tolerance = POTENTIALS[name], TOLERANCE[dtype]
    z, other = draws(dtype)

    @compiled
    def facts(other, z):
        u = jax.vmap(potential.activation)(other)
        middle = (u[:, None] + u) / 2
        cost = jax.vmap(lambda u, z: Bregman().value(potential, u, z))
        sigma = jax.vmap(potential.activation)(z)

        def envelope(u, z):
            return 0.5 * jnp.sum((u - z) ** 2) + potential.value(u)

        difference = jax.vmap(envelope)(u, z) - jax.vmap(envelope)(sigma, z)
        gradient = jax.vmap(jax.grad(lambda z, u: Bregman().value(potential, u, z)))(z, u)
        ours = jax.vmap(lambda u, z: Bregman().residual(potential, u, z))(u, z)
        half = jax.vmap(jax.vmap(lambda u, z: Bregman().value(potential, u, z), (0, None)))(
            middle, z
        )
        ends = jax.vmap(
            jax.vmap(lambda u, z: Bregman().value(potential, u, z), (0, None)), (None, 0)
        )
        costs = cost(u, z), cost(sigma, z), ends(u, z)
        return u, *costs, sigma, difference, gradient, ours, half

    u, value, at_sigma, ends, sigma, difference, gradient, ours, half = facts(other, z)
    assert value.dtype == dtype
    scale = 1 + float(np.abs(z).max())
    square = 0.5 * np.sum((u - sigma) ** 2, -1)
    assert np.all(value >= square - scale * tolerance)
    assert np.all(np.abs(at_sigma) <= scale * tolerance)
    assert np.all(value[square > 1e-3] > 0)
    np.testing.assert_allclose(value, difference, atol=4 * scale * tolerance)
    np.testing.assert_allclose(gradient, ours, atol=4 * tolerance)
    # Convex in u: half[i, j] sits at the middle of u_i and u_j, for z_i.
    chord = (np.diagonal(ends)[:, None] + ends) / 2
    assert np.all(half <= chord + 4 * scale * tolerance)


# One penalty with every potential, the others with a curve, kinks and a map of vectors.
FAST = {
    "bregman": tuple(POTENTIALS),
    "lifted": ("relu", "soft_threshold", "softmax"),
    "quadratic": ("relu", "soft_threshold", "tanh", "softmax"),
}
BELONGING = [
    pytest.param(penalty, name, marks=[] if name in fast else [pytest.mark.slow])
    for penalty, fast in FAST.items()
    for name in POTENTIALS
]


@pytest.mark.parametrize(("penalty", "name"), BELONGING)
def test_residual_linear_and_prox_belong_to_the_value(penalty: str, name: str) -> None:
    """∇_z C is `residual`, `linear` is c(z) of C = κ(u) - <u, c(z)> + d(z), `prox` is that of κ."""
    potential, cost = POTENTIALS[name], PENALTIES[penalty]
    z, inner = draws(jnp.float64)
    tau = 0.8

    @compiled
    def facts(inner, z):
        u = jax.vmap(potential.activation)(inner)
        other, v = u[::-1], z[::-1]
        value = jax.vmap(lambda u, z: cost.value(potential, u, z))
        gradient = jax.vmap(jax.grad(lambda z, u: cost.value(potential, u, z)))(z, u)
        residual = jax.vmap(lambda u, z: cost.residual(potential, u, z))(u, z)
        zero = jnp.zeros_like(z)
        linear = jax.vmap(lambda z: cost.linear(potential, z))
        # With c(z) - c(0) the unknown κ and d(z) drop out of a second difference.
        left = value(u, z) - value(other, z) - value(u, zero) + value(other, zero)
        right = -jnp.sum((u - other) * (linear(z) - linear(zero)), -1)
        centre = linear(zero)
        p = jax.vmap(lambda v: cost.prox(potential, v, tau))(v)

        def objective(w):
            kappa = value(w, zero) + jnp.sum(w * centre, -1)
            return tau * kappa + 0.5 * jnp.sum((w - v) ** 2, -1)

        steps = jnp.linspace(0.02, 1, 30)[:, None, None]
        around = jax.vmap(objective)(p + steps * (u - p)).min(0)
        return gradient, residual, left, right, objective(p), around

    gradient, residual, left, right, least, around = facts(inner, z)
    np.testing.assert_allclose(gradient, residual, atol=1e-10)
    np.testing.assert_allclose(left, right, atol=1e-9)
    # Strong convexity: moving from the minimiser p towards any point of the domain costs.
    assert np.all(around >= least - 1e-9)


def test_softmax_bregman_is_cross_entropy_and_identity_the_squared_error() -> None:
    z, other = draws(jnp.float64)
    one_hot = np.tile(np.eye(4), (10, 1))

    @compiled
    def both(other, z):
        u = jax.nn.softmax(other)
        softmax = jax.vmap(lambda u, z: Bregman().value(Softmax(), u, z))
        square = jax.vmap(lambda u, z: Bregman().value(Identity(), u, z))
        kl = jnp.sum(u * (jnp.log(u) - jax.nn.log_softmax(z)), -1)
        entropy = -jnp.sum(one_hot * jax.nn.log_softmax(z), -1)
        half = 0.5 * jnp.sum((u - z) ** 2, -1)
        return (softmax(u, z), softmax(one_hot, z), square(u, z)), (kl, entropy, half)

    for found, expected in zip(*both(other, z), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_prox_phi_is_the_scaled_prox() -> None:
    """Against a direct search for ReLU, whose φ is u²/2 on u ≥ 0."""
    v = jnp.array([-2.0, -0.1, 0.0, 0.4, 3.0])
    for tau in (0.1, 1.0, 7.0):
        found = prox_phi(ReLU(), v, tau)
        np.testing.assert_allclose(found, np.maximum(v, 0) / (1 + tau), rtol=1e-14)


def test_no_derivative_of_the_activation_is_asked_for() -> None:
    """An activation whose derivative raises: all that the Bregman penalty does still works."""
    z, other = map(jnp.asarray, draws(jnp.float64))
    u = jnp.maximum(other, 0)
    Bregman().residual(Blind(), u[0], z[0])
    Bregman().prox(Blind(), z[0], 0.3)
    with pytest.raises(AssertionError, match="was differentiated"):
        Quadratic().residual(Blind(), u[0], z[0])
