"""PIAG by processes that report when they like."""

import threading
from multiprocessing import Pipe

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import liftax
from liftax.affine import Dense
from liftax.networks import chain
from liftax.potentials import ElasticNet
from liftax.training import fit_asynchronously, piag_step
from liftax.training._asynchronous import Plan, serve, work
from liftax.training._stream import Stream

RIDGE, FEATURES, SAMPLES, SIZE = 0.3, 4, 24, 4


def problem() -> tuple[liftax.LiftedEnergy, np.ndarray, np.ndarray, np.ndarray, float]:
    """Ridge regression by one layer: energy, data, minimiser, Lipschitz constant."""
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(SAMPLES, n)).astype(np.float32) for n in (FEATURES, 2))
    network = chain((FEATURES,), [(Dense(2, use_bias=False), "identity")])
    energy = liftax.LiftedEnergy(network, regularisers={"layer1": ElasticNet(0.0, RIDGE)})
    gram = x.T @ x / SAMPLES
    best = np.linalg.solve(gram + RIDGE * np.eye(FEATURES), x.T @ y / SAMPLES)
    batches = x.reshape(-1, SIZE, FEATURES)
    norms = [np.linalg.norm(b.T @ b, 2) / SIZE for b in batches]
    return energy, x, y, best, float(np.mean(norms))


@pytest.mark.parametrize(
    ("bound", "naps"), [pytest.param(12, (0.0, 0.004), marks=pytest.mark.slow), (5, (0.0, 0.0))]
)
def test_late_gradients_lead_to_the_minimiser(bound: int, naps: tuple[float, float]) -> None:
    """Theory's step for the bound; the second process sleeps, so that its gradients are old."""
    energy, x, y, best, lipschitz = problem()
    gamma = piag_step(lipschitz, bound)
    method = liftax.BackPropagation(optax.sgd(gamma), proximal_step=gamma)
    plan = Plan(energy, method, Stream(x, y, jnp.float32, 0), SIZE, 900, bound)
    params = energy.network.init(jax.random.key(0), jnp.float32)
    ends: list = [None, None]

    def run(place: int, line) -> None:
        with jax.numpy_dtype_promotion("standard"):
            ends[place] = work(plan, params, line, (place, 2), naps[place])

    pairs = [Pipe() for _ in naps]
    threads = [
        threading.Thread(target=run, args=(place, pair[1])) for place, pair in enumerate(pairs)
    ]
    for thread in threads:
        thread.start()
    found = serve(plan, params, [pair[0] for pair in pairs])
    for thread in threads:
        thread.join()
    for pair in pairs:
        pair[0].close()
        pair[1].close()
    assert found.delays.shape == found.losses.shape == (900,)
    assert 0 < found.delays.max() <= bound
    assert found.losses[-1] < found.losses[0]
    np.testing.assert_allclose(found.params["layer1"]["weight"], best, atol=2e-4)
    for end in ends:
        np.testing.assert_array_equal(
            end.params["layer1"]["weight"], found.params["layer1"]["weight"]
        )
        np.testing.assert_array_equal(end.delays, found.delays)


def test_a_lost_process_is_named() -> None:
    energy, x, y, _, _ = problem()
    method = liftax.BackPropagation(optax.sgd(0.1), proximal_step=0.1)
    plan = Plan(energy, method, Stream(x, y, jnp.float32, 0), SIZE, 9, 3)
    ours, theirs = Pipe()
    theirs.close()
    params = energy.network.init(jax.random.key(0), jnp.float32)
    with pytest.raises(ConnectionError, match="process 1 was lost; start the run again"):
        serve(plan, params, [ours])
    ours.close()


def test_misuse_is_named() -> None:
    energy, x, y, _, _ = problem()
    method = liftax.BackPropagation(optax.sgd(0.1), proximal_step=0.1)
    with pytest.raises(ValueError, match=r"there are 1 processes and 6 batches: one process keeps"):
        fit_asynchronously(energy, (x, y), method, steps=9, bound=3, batch_size=SIZE)
    with pytest.raises(ValueError, match=r"bound at least 0, got 9, 128 and -1"):
        fit_asynchronously(energy, (x, y), method, steps=9, bound=-1)
    with pytest.raises(ValueError, match=r"lipschitz must be positive .* got 0 and 3"):
        piag_step(0, 3)
    assert piag_step(2.0, 3) == 1 / 14
