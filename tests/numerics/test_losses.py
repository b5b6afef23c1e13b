"""Losses of a clamped output: minima over a free output, gradients, smoothness."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from liftax.penalties import AbstractLoss, Bregman, Envelope, Hinge
from liftax.potentials import Identity, SoftThreshold
from tests.helpers import compiled

LOSSES: dict[str, AbstractLoss] = {
    "absolute": Envelope(SoftThreshold(1.0), 0.05),
    "huber": Envelope(SoftThreshold(0.7)),
    "hinge": Hinge(0.3),
    "squared": Bregman(),
}


@pytest.mark.parametrize("name", LOSSES)
def test_residual_is_the_gradient_and_smooth(name: str) -> None:
    loss = LOSSES[name]
    y = jnp.asarray([0.0, 1.0, 0.0, 1.0])
    z = 2 * np.random.default_rng(0).normal(size=(30, 4))

    @compiled
    def both(z):
        value = jax.vmap(jax.grad(lambda z: loss.value(Identity(), y, z)))(z)
        return value, jax.vmap(lambda z: loss.residual(Identity(), y, z))(z)

    slope, residual = both(z)
    np.testing.assert_allclose(slope, residual, atol=1e-12)
    change = np.linalg.norm(residual[1:] - residual[:-1], axis=1)
    move = np.linalg.norm(z[1:] - z[:-1], axis=1)
    assert np.all(change <= loss.smoothness * move * (1 + 1e-12))


def test_an_envelope_is_the_minimum_over_a_free_output() -> None:
    """min_u |u - y| + (u - z)²/(2μ) by a grid; with μ = 1 and threshold δ it is optax's Huber."""
    u = np.linspace(-8, 8, 320_001)
    y, mu = 0.4, 0.6
    z = np.linspace(-3, 3, 13)
    grid = [np.min(np.abs(u - y) + (u - own) ** 2 / (2 * mu)) for own in z]
    loss = Envelope(SoftThreshold(1.0), mu)
    huber = Envelope(SoftThreshold(0.7))

    @compiled
    @jax.vmap
    def values(z):
        value = loss.value(Identity(), jnp.asarray([y]), z[None])
        return value, huber.value(Identity(), jnp.zeros(1), z[None])

    found, ours = values(z)
    np.testing.assert_allclose(found, grid, atol=1e-8)
    np.testing.assert_allclose(ours, optax.huber_loss(z, delta=0.7), atol=1e-12)


def test_hinge_is_the_minimum_over_a_free_output() -> None:
    """min_u max(0, 1 - tu) + (u - z)²/(2μ) for both signs t, and optax's hinge as μ → 0."""
    u = np.linspace(-8, 8, 320_001)
    z, mu = np.linspace(-3, 3, 13), 0.5

    @compiled
    @functools.partial(jax.vmap, in_axes=(None, 0))
    def values(y, z):
        return [Hinge(m).value(Identity(), y, z[None]) for m in (mu, 1e-9)]

    for target, sign in ((1.0, 1.0), (0.0, -1.0)):
        grid = [np.min(np.maximum(0, 1 - sign * u) + (u - own) ** 2 / (2 * mu)) for own in z]
        found, sharp = values(np.asarray([target]), z)
        np.testing.assert_allclose(found, grid, atol=1e-8)
        np.testing.assert_allclose(sharp, optax.hinge_loss(z, jnp.asarray(sign)), atol=1e-8)


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match="smoothing must be positive, got 0"):
        Envelope(SoftThreshold(), 0)
    with pytest.raises(ValueError, match="smoothing must be positive, got -1"):
        Hinge(-1)
