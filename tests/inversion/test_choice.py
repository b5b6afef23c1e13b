"""Choice of α, and bounds of the error."""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import pytest

from liftax.inversion import (
    L1,
    AbstractDataStep,
    PrimalDual,
    ProximalData,
    Tikhonov,
    a_priori,
    bregman_distance,
    discrepancy,
    error_bound,
)
from liftax.potentials import ReLU
from tests.inversion.problems import inverted, layer


def test_the_discrepancy_is_the_noise_level() -> None:
    network, params, _, y = layer("identity")
    noise = np.random.default_rng(3).normal(size=y.shape)
    delta = np.array([0.1, 0.2])
    noisy = y + delta[:, None] * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    solver = PrimalDual(20000, 1e-6)
    chosen = discrepancy(network, params, noisy, Tikhonov(0.5), delta, solver=solver)
    assert chosen.met.all()
    np.testing.assert_allclose(chosen.inverse.residual, delta, rtol=0.05)


class Counted(AbstractDataStep):
    """The proximal step, which counts how often it is compiled."""

    traces: ClassVar[list[int]] = []

    def steps(self, lipschitz, size, alpha, trusted=None):
        return ProximalData().steps(lipschitz, size, alpha, trusted)

    def dual(self, data, y, at, step):
        self.traces.append(1)
        return ProximalData().dual(data, y, at, step)


def test_one_program_serves_the_whole_search() -> None:
    """And outputs without a solution are left where they come nearest."""
    network, params, _, y = layer("identity")
    delta = np.array([0.1, 100.0])
    solver = PrimalDual(20000, 1e-6, Counted())
    start = len(Counted.traces)
    inverted(network, params, y + 0.1, Tikhonov(), 1.0, solver=solver)
    once = len(Counted.traces) - start
    chosen = discrepancy(network, params, y + 0.1, Tikhonov(), delta, solver=solver)
    assert len(Counted.traces) - start == once > 0
    assert chosen.met.tolist() == [True, False]
    alphas, residuals = chosen.tried
    assert alphas.shape == residuals.shape
    again = network(params, jnp.asarray(chosen.inputs.reshape(-1, *chosen.inputs.shape[2:])))
    missed = np.linalg.norm(np.asarray(again).reshape(len(alphas), *y.shape) - (y + 0.1), axis=-1)
    np.testing.assert_allclose(missed, residuals, rtol=1e-6)
    assert alphas.max() == pytest.approx(1e4)  # without a regulariser's limit, up to the end
    assert len(alphas) < 20


def test_no_delta_no_choice() -> None:
    network, params, _, y = layer()
    with pytest.raises(ValueError, match="delta must be positive"):
        discrepancy(network, params, y, L1(), 0.0)
    with pytest.raises(ValueError, match="source_norm must be positive"):
        a_priori(0.1, 0.0)


def test_the_error_is_below_the_bound_and_falls_with_the_noise() -> None:
    """J = ½|x|² has the subgradient x, so x = W'v is a source element; v on active units."""
    network, params, _, _ = layer(outputs=12)
    w, b = (np.asarray(params["out"][k]) for k in ("weight", "bias"))
    x = w @ np.random.default_rng(0).uniform(0.5, 1, size=12)
    # v on the active units alone: repeat until the active set is that of its own image.
    active = np.ones(12, bool)
    for _ in range(20):
        v = np.where(active, np.random.default_rng(0).uniform(0.5, 1, size=12), 0)
        x = w @ v
        active, before = x @ w + b > 0.2, active
        if (active == before).all():
            break
    v = np.where(active, v, 0)
    x = w @ v
    z = x @ w + b
    assert (z[v > 0] > 0.1).all()
    clean = np.maximum(z, 0)
    direction = np.where(v > 0, np.random.default_rng(2).normal(size=12), 0)
    deltas = np.logspace(-1, -5, 9) * 0.2
    errors, bounds = [], []
    alphas = np.array([a_priori(d, float(np.linalg.norm(v))) for d in deltas])
    # B = ½ |noise|² there, and z ≤ 0 costs nothing where y = 0: |noise| = √2 δ.
    noisy = clean + np.sqrt(2) * deltas[:, None] * direction / np.linalg.norm(direction)
    solver = PrimalDual(50000, 1e-12)
    out = inverted(network, params, noisy, Tikhonov(), alphas, solver=solver)
    for found, y, d, a in zip(out.x, noisy, deltas, alphas, strict=True):
        p = found.ravel()  # the subgradient of J there
        # Symmetric: the bound is of the sum of both orders.
        errors.append(
            bregman_distance(Tikhonov(), x, found.ravel(), p)
            + bregman_distance(Tikhonov(), found.ravel(), x, w @ v)
        )
        bounds.append(error_bound(ReLU(), y, v, d, a))
    errors, bounds = np.array(errors), np.array(bounds)
    np.testing.assert_allclose(bounds, 2 * np.sqrt(2) * deltas * np.linalg.norm(v), rtol=1e-6)
    assert (errors <= bounds).all()
    rate = np.polyfit(np.log(deltas), np.log(errors), 1)[0]
    assert rate >= 0.95


def test_the_bound_is_infinite_off_the_active_set() -> None:
    y, v = jnp.asarray([0.0, 1.0]), jnp.asarray([1.0, 0.0])
    assert error_bound(ReLU(), y, v, 0.1, 0.1) == np.inf
    with pytest.raises(ValueError, match="both are outputs"):
        error_bound(ReLU(), y, jnp.zeros(3), 0.1, 0.1)
    with pytest.raises(ValueError, match="give one shape"):
        bregman_distance(L1(), y, y, jnp.zeros(3))
