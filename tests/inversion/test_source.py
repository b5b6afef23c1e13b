"""The source condition, and the rate that it gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import liftax
from liftax.affine import Dense
from liftax.inversion import (
    L1,
    TGV,
    PrimalDual,
    Tikhonov,
    TotalVariation,
    a_priori,
    error_bound,
    source_element,
    source_input,
)
from liftax.networks import Network, Node
from liftax.potentials import Identity, ReLU
from tests.helpers import compiled
from tests.inversion.problems import inverted, layer

EXACT = PrimalDual(40000, 1e-11)


@pytest.mark.parametrize("prior", [TotalVariation(), L1()], ids=["tv", "l1"])
def test_a_minimiser_meets_the_condition_and_is_found_to(prior) -> None:
    network, params, _, y = layer(outputs=12)
    made = jax.device_get(source_input(network, params, y[0], prior, 0.1, solver=EXACT))
    w = np.asarray(params["out"]["weight"])
    z = np.asarray(made.x).ravel() @ w + np.asarray(params["out"]["bias"])
    assert np.all(np.asarray(made.v)[z <= 0] == 0) and np.any(z <= 0)
    assert made.residual < 1e-4 and made.slack < 1e-6
    # ξ is a subgradient: J(u) ≥ J(x) + <ξ, u - x> for all u.
    rng = np.random.default_rng(0)
    value_of = compiled(lambda u: prior.value(u))
    value = value_of(made.x)
    for size in (0.1, 1.0, 10.0):
        u = made.x + size * rng.normal(size=made.x.shape)
        assert value_of(u) >= value + np.sum(made.subgradient * (u - made.x)) - 1e-6 * value
    again = source_element(network, params, made.x, prior, iterations=20000)
    assert again.residual < 2e-2 and again.slack < 2e-2
    other = source_element(network, params, rng.uniform(size=made.x.shape), prior)
    assert other.residual + other.slack > 5 * (again.residual + again.slack)


def test_of_a_squared_norm_it_is_least_squares() -> None:
    """J = ½|x|²: the v of W'v = x, by NumPy."""
    network, params, x, _ = layer("identity")
    w = np.asarray(params["out"]["weight"])
    found = source_element(network, params, x[0], Tikhonov(), weight=1e4, iterations=20000)
    expected = np.linalg.lstsq(w, x[0].ravel(), rcond=None)[0]
    np.testing.assert_allclose(found.v, expected, rtol=1e-2, atol=1e-3)


@pytest.mark.slow
def test_the_rate_of_total_variation() -> None:
    """Four decades of δ on active units: below the bound, and of its order."""
    network, params, _, y = layer(outputs=12)
    made = source_input(network, params, y[0], TotalVariation(), 0.1, solver=EXACT)
    clean = np.asarray(network(params, made.x[None]))[0]
    norm = float(jnp.linalg.norm(made.v))
    used = np.asarray(made.v) != 0
    largest = float(np.min(clean[used] / np.abs(made.v)[used]))
    noise = np.where(clean > 0, np.random.default_rng(1).normal(size=clean.shape), 0)
    deltas = 0.3 * largest * norm / np.sqrt(2) * np.logspace(0, -4, 9)
    noisy = clean + np.sqrt(2) * deltas[:, None] * noise / np.linalg.norm(noise)
    alphas = np.array([a_priori(d, norm) for d in deltas])
    solver = PrimalDual(200000, 1e-10)
    out = inverted(network, params, noisy, TotalVariation(), alphas, solver=solver)
    assert out.point.p is not None
    w, value = np.asarray(params["out"]["weight"]), TotalVariation().value
    errors = [
        float(value(made.x) - value(x)) + np.sum((w @ p / a) * np.ravel(made.x - x))
        for x, p, a in zip(out.x, out.point.p, alphas, strict=True)
    ]
    triples = zip(noisy, deltas, alphas, strict=True)
    bounds = [error_bound(ReLU(), u, made.v, d, a) for u, d, a in triples]
    np.testing.assert_allclose(bounds, 2 * np.sqrt(2) * deltas * norm, rtol=1e-5)
    assert np.all(errors <= np.array(bounds))
    assert np.polyfit(np.log(deltas), np.log(errors), 1)[0] >= 0.95


def test_misuse_is_named() -> None:
    network, params, x, y = layer()
    with pytest.raises(ValueError, match="x has the shape"):
        source_element(network, params, x, L1())
    for call in (
        lambda: source_element(network, params, x[0], TGV()),
        lambda: source_input(network, params, y[0], TGV(), 1.0),
    ):
        with pytest.raises(ValueError, match="TGV has auxiliary variables"):
            call()


def test_four_decades_at_the_rate_of_the_theory() -> None:
    """Singular values over as many decades as α, noise against v: the rate 1 is attained.

    Squared norm, linear layer: the minimisers by their normal equations, the solver's gap below.
    """
    n = 48
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.normal(size=(n, n)))[0] for _ in range(2))
    w = left * np.logspace(0, -3.5, n) @ right
    network = Network((Node("out", Dense(n, use_bias=False), "identity", ("input",)),), (n,))
    params = {"out": {"weight": jax.device_put(w)}}
    v = right.T @ np.ones(n) / np.sqrt(n)
    x = w @ v  # W'v: rows are inputs here
    deltas = 0.3 * np.logspace(0, -4, 9)
    noisy = x @ w - np.sqrt(2) * deltas[:, None] * v
    alphas = np.array([a_priori(d, 1.0) for d in deltas])
    out = inverted(network, params, noisy, Tikhonov(), alphas, solver=PrimalDual(100000, 1e-13))
    assert out.reasons == (liftax.Reason.CERTIFIED,) * 9
    errors = 0.5 * np.sum((np.asarray(out.x) - x) ** 2, axis=1)
    exact = [
        np.linalg.solve(w @ w.T + a * np.eye(n), w @ u) for a, u in zip(alphas, noisy, strict=True)
    ]
    np.testing.assert_allclose(errors, 0.5 * np.sum((exact - x) ** 2, axis=1), rtol=1e-3)
    bounds = [
        float(error_bound(Identity(), u, v, d, a))
        for u, d, a in zip(noisy, deltas, alphas, strict=True)
    ]
    np.testing.assert_allclose(bounds, 2 * np.sqrt(2) * deltas, rtol=1e-12)
    assert np.all(errors <= bounds)
    assert 0.95 <= np.polyfit(np.log(deltas), np.log(errors), 1)[0] <= 1.1
