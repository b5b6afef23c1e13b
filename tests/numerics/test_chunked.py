"""Less memory for the same gradient: chunks of the batch, segments of the network."""

import jax
import numpy as np
import optax
import pytest

from liftax import BackPropagation, Chunked, ImplicitSGD, LiftedEnergy, OneSweep, mlp
from liftax.blocks import Implicit
from liftax.networks import ddfb
from liftax.potentials import SoftThreshold
from liftax.training import step_memory, step_seconds
from tests.helpers import compiled

from .graphs import distance, example, skips

SGD = optax.sgd(1.0)


def outcome(method, energy, params, x, y):
    @compiled
    def step(params):
        state = method.init(energy, params, x, y, jax.random.key(0))
        return method.step(energy, params, state, x, y)

    return step(params)


@pytest.mark.parametrize("method", [OneSweep(SGD), BackPropagation(SGD)])
def test_chunks_give_the_step_of_the_whole_batch(method) -> None:
    network = skips()
    params, x, y = example(network, samples=6)
    energy = LiftedEnergy(network)
    whole = outcome(method, energy, params, x, y)
    pieces = outcome(Chunked(method, 3), energy, params, x, y)
    assert distance(pieces.params, whole.params) < 1e-13
    np.testing.assert_allclose(pieces.loss, whole.loss, rtol=1e-13)
    np.testing.assert_allclose(pieces.output, whole.output, rtol=1e-13)


@pytest.mark.parametrize("segments", [1, 3, 100])
def test_segments_give_the_gradient_of_back_propagation(segments: int) -> None:
    """With skips across the cuts, and an activity term on a node inside a segment."""
    network = skips()
    params, x, y = example(network)
    energy = LiftedEnergy(network, activity={"e": SoftThreshold(0.2)})
    whole = outcome(BackPropagation(SGD), energy, params, x, y)
    pieces = outcome(BackPropagation(SGD, segments=segments), energy, params, x, y)
    assert distance(pieces.params, whole.params) < 1e-13


@pytest.mark.slow
def test_segments_differentiate_learnt_thresholds() -> None:
    network = ddfb((4, 4, 1), 2, 2, interval=None)
    params, x, y = example(network, samples=2)
    energy = LiftedEnergy(network)
    whole = outcome(BackPropagation(SGD), energy, params, x, y)
    pieces = outcome(BackPropagation(SGD, segments=2), energy, params, x, y)
    assert distance(pieces.params, whole.params) < 1e-13


@pytest.mark.slow
def test_both_need_less_memory() -> None:
    """15 layers: activations are nearly all of it; 4 chunks need about a quarter."""
    network = mlp([32] * 16)
    sweep, backward = OneSweep(SGD), BackPropagation(SGD)
    whole, pieces = (step_memory(network, m, 1024) for m in (sweep, Chunked(sweep, 4)))
    assert pieces.temporary < 0.5 * whole.temporary
    kept, again = (
        step_memory(network, m, 1024) for m in (backward, BackPropagation(SGD, segments=4))
    )
    assert again.temporary < 0.8 * kept.temporary
    weights, batch = 15 * 32 * 33, 1024 * 64
    assert whole.arguments == 4 * (weights + batch)
    assert whole.peak == whole.temporary + whole.arguments


@pytest.mark.slow
def test_methods_are_timed_side_by_side() -> None:
    """50 inner sweeps take more than 5 times as long as one."""
    methods = {"one": OneSweep(SGD), "fifty": ImplicitSGD(inner=50)}
    found = step_seconds(mlp([64] * 4), methods, 64, rounds=3, seconds=0.05)
    assert [len(values) for values in found.values()] == [3, 3]
    assert min(found["one"]) > 0
    assert np.median(found["fifty"]) > 5 * np.median(found["one"])


def test_misuse_is_named() -> None:
    network = mlp([3, 2])
    params, x, y = example(network, samples=5)
    with pytest.raises(ValueError, match="chunks: 2 do not divide the batch of 5"):
        outcome(Chunked(OneSweep(SGD), 2), LiftedEnergy(network), params, x, y)
    with pytest.raises(ValueError, match="chunks must be at least 1, got 0"):
        Chunked(OneSweep(SGD), 0)
    with pytest.raises(ValueError, match=r"segments must be at least 1 .* Implicit"):
        BackPropagation(SGD, metric=Implicit(1.0), segments=2)
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        step_memory(network, OneSweep(SGD), 0)
    with pytest.raises(ValueError, match="batch_size and rounds must be at least 1, got 1 and 0"):
        step_seconds(network, {}, 1, rounds=0)
