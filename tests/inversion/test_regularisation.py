"""Bregman iterations, linearised too, the L-curve, and noise from repeated measurements."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liftax.inversion import (
    L1,
    TGV,
    PrimalDual,
    Tikhonov,
    TotalVariation,
    bregman_iterations,
    data_term,
    l_curve,
    linearised_bregman,
    repeats,
)
from liftax.inversion import _bregman_iterations as module
from tests.helpers import compiled
from tests.inversion.problems import inverted, layer

EXACT = PrimalDual(40000, 1e-10)


def test_with_a_squared_norm_they_are_iterated_tikhonov() -> None:
    """(WW' + α) x_{k+1} = W (y - b) + α x_k, from 0: residuals fall, and vanish at last."""
    network, params, _, y = layer("identity")
    y = y + 0.1
    w, b = (np.asarray(params["out"][k]) for k in ("weight", "bias"))
    found = bregman_iterations(network, params, y, Tikhonov(), 2.0, 0.0, solver=EXACT, iterations=6)
    expected = np.zeros((2, 16))
    misses = [np.linalg.norm(y - b, axis=1)]
    for _ in range(6):
        right = (y - b) @ w.T + 2.0 * expected
        expected = np.linalg.solve(w @ w.T + 2.0 * np.eye(16), right.T).T
        misses.append(np.linalg.norm(expected @ w + b - y, axis=1))
    np.testing.assert_allclose(found.x.reshape(2, -1), expected, atol=1e-4)
    np.testing.assert_allclose(found.residuals, misses, rtol=1e-4)
    assert np.all(np.diff(found.residuals, axis=0) < 0)
    assert found.stopped.tolist() == [6, 6] and not found.met.any()


@pytest.mark.slow
def test_the_data_term_falls_and_the_discrepancy_stops() -> None:
    """ReLU and total variation; every output stops at its own iteration."""
    network, params, _, y = layer(outputs=12)
    given = (network, params, y, TotalVariation(), 0.1)
    data, values = data_term(network, params), []
    for k in (1, 2, 3, 4):
        found = bregman_iterations(*given, 0.0, solver=EXACT, iterations=k)
        z = [data.forward(x) for x in found.x]
        values.append([float(data.value(jnp.asarray(u), v)) for u, v in zip(y, z, strict=True)])
    assert np.all(np.diff(values, axis=0) <= 1e-12)
    assert np.all(np.array(values[-1]) < values[0])
    alone = inverted(network, params, y, TotalVariation(), 0.1, solver=EXACT)
    first = bregman_iterations(*given, 0.0, solver=EXACT, iterations=1)
    np.testing.assert_allclose(first.x, alone.x, atol=1e-6)
    levels = 1.0001 * np.array([found.residuals[2, 0], found.residuals[4, 1]])
    stopped = bregman_iterations(*given, levels, solver=EXACT)
    assert stopped.met.all()
    for sample, level in enumerate(levels):
        k = int(stopped.stopped[sample])
        assert stopped.residuals[k, sample] <= level < stopped.residuals[k - 1, sample]
    miss = np.linalg.norm(np.asarray(network(params, stopped.x)) - y, axis=1)
    np.testing.assert_allclose(stopped.residuals[-1], miss, rtol=1e-9)


def test_the_corner_is_that_of_the_closed_form() -> None:
    """Tikhonov on a linear layer: the curve by the normal equations, its curvature by NumPy."""
    network, params, x, _ = layer("identity", outputs=16)
    rng = np.random.default_rng(0)
    u, _, v = np.linalg.svd(params["out"]["weight"])
    w, b = u * np.logspace(0, -3, 16) @ v, np.zeros(16)
    params = {"out": {"weight": jnp.asarray(w), "bias": jnp.asarray(b)}}
    y = x.reshape(2, 16) @ w + 0.01 * rng.normal(size=(2, 16))
    alphas = np.logspace(-4.5, 1, 12)
    found = l_curve(network, params, y, Tikhonov(), alphas, solver=EXACT)
    inputs = [np.linalg.solve(w @ w.T + a * np.eye(16), w @ (y - b).T).T for a in alphas]
    misses = np.array([np.linalg.norm(u @ w + b - y, axis=1) for u in inputs])
    values = np.array([0.5 * np.sum(u**2, axis=1) for u in inputs])
    np.testing.assert_allclose(found.residuals, misses, rtol=1e-2)
    np.testing.assert_allclose(found.values, values, rtol=1e-2)
    assert np.all(np.diff(found.residuals, axis=0) > 0)
    assert np.all(np.diff(found.values, axis=0) < 0)
    dense = np.stack([np.log(misses), np.log(values)])
    slopes = np.gradient(dense, np.log(alphas), axis=1)
    bends = np.gradient(slopes, np.log(alphas), axis=1)
    cross = slopes[0] * bends[1] - slopes[1] * bends[0]
    expected = (cross / np.sum(slopes**2, axis=0) ** 1.5)[1:-1]
    np.testing.assert_array_equal(found.alpha, alphas[1 + np.argmax(expected, axis=0)])
    assert np.all((found.alpha > 1e-5) & (found.alpha < 1e-1))  # the corner, and no end


def test_misuse_is_named() -> None:
    network, params, _, y = layer()
    with pytest.raises(ValueError, match="at least five different positive"):
        l_curve(network, params, y, Tikhonov(), [1.0, 2.0])
    with pytest.raises(ValueError, match="iterations must be at least 1"):
        bregman_iterations(network, params, y, Tikhonov(), 1.0, 0.1, iterations=0)
    with pytest.raises(ValueError, match="delta must be at least 0"):
        bregman_iterations(network, params, y, Tikhonov(), 1.0, -0.1)
    for change, words in (
        ({"delta": -0.1}, "delta must be at least 0"),
        ({"iterations": 0}, "iterations must be at least 1"),
        ({"regulariser": TGV()}, "TGV has auxiliary variables"),
    ):
        with pytest.raises(ValueError, match=words):
            linearised_bregman(
                network, params, y, **{"regulariser": L1(), "alpha": 1.0, "delta": 0.1, **change}
            )


@pytest.mark.slow
def test_outputs_that_have_stopped_are_not_solved_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four outputs three stop at once: the programs have four lanes, then one."""
    network, params, x, _ = layer(outputs=12)
    y = np.asarray(network(params, jax.device_put(np.concatenate([x, 0.5 * x]))))
    lanes, solve = [], module._solve

    def counted(solver, data, prior, numbers, at):
        lanes.append(len(numbers[1]))
        return solve(solver, data, prior, numbers, at)

    monkeypatch.setattr(module, "_solve", counted)
    given = (network, params, y, TotalVariation(), 0.1)
    all_of_them = bregman_iterations(*given, 0.0, solver=EXACT, iterations=3)
    assert lanes == [4, 4, 4]
    levels = np.array([1e3, 0.0, 1.01 * float(all_of_them.residuals[1, 2]), 1e3])
    levels[3] = 1.01 * float(all_of_them.residuals[1, 3])
    found = bregman_iterations(*given, levels, solver=EXACT, iterations=3)
    assert lanes[3:] == [4, 1, 1]  # three go on, in the program of four; then one
    assert found.stopped.tolist() == [0, 3, 1, 1]
    np.testing.assert_array_equal(found.x[0], 0)
    np.testing.assert_allclose(found.x[1], all_of_them.x[1], atol=1e-6)


def test_linearised_with_a_squared_norm_it_is_a_filter_of_singular_values() -> None:
    """prox = 1/(1 + α): gradient descent with the step τ/(1 + α), in closed form."""
    network, params, _, y = layer("identity")
    y = y + 0.1
    w, b = (np.asarray(params["out"][k]) for k in ("weight", "bias"))
    found = linearised_bregman(network, params, y, Tikhonov(), 0.5, 0.0, iterations=25)
    u, s, v = np.linalg.svd(w, full_matrices=False)
    step = 1 / (1.5 * float(data_term(network, params).lipschitz((4, 4, 1), np.float64)))
    gains = (1 - (1 - step * s**2) ** 25) / s
    expected = ((y - b) @ v.T * gains) @ u.T
    np.testing.assert_allclose(found.x.reshape(2, -1), expected, atol=1e-10)
    assert found.residuals.shape == (26, 2)
    miss = np.linalg.norm(np.asarray(network(params, found.x)) - y, axis=1)
    np.testing.assert_allclose(found.residuals[-1], miss, rtol=1e-9)


@pytest.mark.parametrize("prior", [L1(), TotalVariation()], ids=["l1", "tv"])
def test_linearised_the_data_term_falls_and_the_discrepancy_stops(prior) -> None:
    network, params, _, y = layer(outputs=12)
    data, given = data_term(network, params), (network, params, y, prior, 0.5)
    terms = compiled(jax.vmap(lambda u, x: data.value(u, data.forward(x))))
    values = []
    for k in (1, 2, 5, 20, 100):
        found = linearised_bregman(*given, 0.0, iterations=k, prox_steps=30)
        values.append(terms(y, found.x))
    assert np.all(np.diff(values, axis=0) <= 1e-12)
    assert np.all(np.array(values[-1]) < 0.1 * np.array(values[0]))
    levels = 1.0001 * np.array([found.residuals[10, 0], found.residuals[40, 1]])
    stopped = linearised_bregman(*given, levels, iterations=100, prox_steps=30)
    assert stopped.met.all()
    for sample, level in enumerate(levels):
        k = int(stopped.stopped[sample])
        assert stopped.residuals[k, sample] <= level < stopped.residuals[k - 1, sample]
        assert np.all(stopped.residuals[k:, sample] == stopped.residuals[k, sample])


def test_repeats_tell_the_noise_of_their_mean() -> None:
    """Unbiased for noise that differs from number to number, against the known truth."""
    rng = np.random.default_rng(0)
    truth, scales = rng.normal(size=(3, 40)), rng.uniform(0.1, 2, size=(1, 1, 40))
    found = [repeats(truth + scales * rng.uniform(-1, 1, size=(3, 3, 40))) for _ in range(400)]
    left = np.mean([np.sum((f.mean - truth) ** 2, axis=1) for f in found], axis=0)
    np.testing.assert_allclose(np.mean([f.delta**2 for f in found], axis=0), left, rtol=0.03)
    one = found[0]
    np.testing.assert_allclose(one.delta, np.sqrt(40 / 3) * one.sigma, rtol=1e-12)
    deviations = truth + scales * rng.uniform(-1, 1, size=(3, 3, 40))
    np.testing.assert_allclose(
        repeats(deviations).sigma ** 2, np.var(deviations, axis=0, ddof=1).mean(axis=1), rtol=1e-9
    )
    with pytest.raises(ValueError, match="at least two repeats"):
        repeats(truth[None])
    with pytest.raises(ValueError, match="not finite"):
        repeats(np.full((2, 1, 3), np.nan))
