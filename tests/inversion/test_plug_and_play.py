"""Denoisers as regularisers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import liftax
from liftax import Reason
from liftax.affine import Dense
from liftax.blocks import Plain, ProximalGradient
from liftax.inversion import (
    L1,
    BlockDescent,
    Box,
    GradientData,
    PlugAndPlay,
    PrimalDual,
    ProximalData,
    Sum,
    l_curve,
    source_input,
)
from liftax.networks import chain
from liftax.potentials import SoftThreshold
from liftax.restoration import load_denoiser
from tests.inversion.problems import SHAPE, layer

ALPHA = 0.05
SOLVERS = {
    "proximal": PrimalDual(20000, 1e-11),
    "gradient": PrimalDual(20000, 1e-11, GradientData()),
    "blocks": BlockDescent(20000, 1, tolerance=1e-12),
}


def shrink(x, t):
    return SoftThreshold(1.0).prox(x, t)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_denoiser_that_is_a_prox_gives_what_its_function_gives(solver: str) -> None:
    network, params, _, y = layer()
    given = (network, params, y)
    known = liftax.invert(*given, L1(), ALPHA, solver=PrimalDual(40000, 1e-12))
    found = liftax.invert(*given, PlugAndPlay(shrink), ALPHA, solver=SOLVERS[solver])
    np.testing.assert_allclose(found.x, known.x, atol=1e-6)
    assert found.reasons == (Reason.SETTLED,) * 2
    assert np.isnan(found.energy).all() and np.isnan(found.gap).all()
    assert np.all(found.change <= 1e-11)
    rough = liftax.invert(*given, PlugAndPlay(shrink), ALPHA, solver=PrimalDual(3, 1e-11))
    assert rough.reasons == (Reason.MOVING,) * 2 and np.all(rough.change > 1e-11)
    assert rough.iterations.tolist() == [3, 3]


def test_others_may_be_added_and_the_step_does_not_matter_to_a_prox() -> None:
    network, params, _, y = layer()
    known = liftax.invert(
        network, params, y, Sum(L1(), Box(0.0, 0.4)), ALPHA, solver=PrimalDual(40000, 1e-12)
    )
    assert float(jnp.max(known.x)) == pytest.approx(0.4)
    for given in (PlugAndPlay(shrink, 0.3), PlugAndPlay(shrink, 0.03)):
        prior = Sum(given, Box(0.0, 0.4))
        found = liftax.invert(network, params, y, prior, ALPHA, solver=PrimalDual(40000, 1e-12))
        np.testing.assert_allclose(found.x, known.x, atol=1e-6)


@pytest.mark.slow
def test_a_trained_network_ends_in_a_fixed_point_of_what_is_said() -> None:
    """x = D(x - τW'(σ(Wx) - y)); of PrimalDual with the step τ = t/α."""
    denoiser, side, sigma = load_denoiser(), 12, 0.1
    shape = (side, side, 1)
    network = chain((side * side,), [(Dense(90, use_bias=False), "relu")])
    (name,) = (node.name for node in network.nodes)
    weight = np.random.default_rng(0).normal(size=(side * side, 90)) / side
    params = {name: {"weight": jnp.asarray(weight)}}
    row = np.linspace(0.2, 0.8, side)
    x = np.where(row[:, None] > row[None] / 2 + 0.2, 0.7, 0.3).reshape(1, -1)
    y = np.maximum(np.asarray(network(params, jnp.asarray(x))), 0)
    prior, alpha = PlugAndPlay(denoiser.prox, sigma**2, image=shape), 0.01
    size = float(np.linalg.norm(weight, 2)) ** 2
    for step, tau in ((ProximalData(), sigma**2 / alpha), (GradientData(), 1 / size)):
        out = liftax.invert(network, params, y, prior, alpha, solver=PrimalDual(500, 1e-6, step))
        assert out.reasons == (Reason.SETTLED,)
        pull = weight @ (np.maximum(out.x[0] @ weight, 0) - y[0])
        v = (out.x[0] - tau * pull).reshape(shape)
        expected = denoiser.prox(v, jnp.asarray(tau * alpha)).ravel()
        np.testing.assert_allclose(out.x[0], expected, atol=1e-5)
        assert np.linalg.norm(out.x - x) < 0.3 * np.linalg.norm(x - x.mean())


def test_deep_networks_take_it() -> None:
    """The iterates of the regulariser, sweep by sweep."""
    network = chain(SHAPE, [(Dense(12), "relu"), (Dense(8), "tanh")])
    params = network.init(jax.random.key(0), jnp.float64)
    y = network(params, jax.device_put(np.random.default_rng(0).uniform(size=(2, *SHAPE))))
    solver = BlockDescent(25, tolerance=0.0, step=ProximalGradient(), inertia=Plain())
    known, found = (
        liftax.invert(network, params, y, prior, ALPHA, solver=solver)
        for prior in (L1(), PlugAndPlay(shrink))
    )
    np.testing.assert_allclose(found.x, known.x, rtol=1e-12)
    assert found.reasons == known.reasons == (Reason.MOVING,) * 2


def test_misuse_is_named() -> None:
    network, params, _, y = layer()
    with pytest.raises(ValueError, match="step must be positive"):
        PlugAndPlay(shrink, 0.0)
    with pytest.raises(ValueError, match="PlugAndPlay takes images"):
        liftax.invert(network, params, y, PlugAndPlay(shrink, image=(3, 3, 1)), 1.0)
    for call in (
        lambda: l_curve(network, params, y, PlugAndPlay(shrink), np.logspace(-2, 0, 5)),
        lambda: source_input(network, params, y[0], PlugAndPlay(shrink), 1.0),
    ):
        with pytest.raises(ValueError, match="has no values"):
            call()
