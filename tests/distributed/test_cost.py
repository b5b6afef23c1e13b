"""The cost model: its limits, and that it counts what compiled programs send."""

import jax
import numpy as np
import optax
import pytest
from jax.sharding import Mesh

import liftax
from liftax import Placement
from liftax.blocks import Jacobi
from liftax.parallel import Machine, descent_cost, gradient_cost
from liftax.training import step_traffic

FIGURES = Machine(1e-14, 5e-13, 5e-6, 4e-11, 5e-6)
CHAIN = (1024, 512, 4096)


@pytest.mark.parametrize("cost", [descent_cost, gradient_cost])
def test_one_device_sends_nothing(cost):
    alone = cost(*CHAIN)
    assert alone.sent == alone.messages == 0
    dear = FIGURES._replace(sent=1.0, latency=1.0)
    assert alone.seconds(dear) == alone.seconds(FIGURES)


def test_bubbles_vanish_with_many_micro_batches():
    """Operations beyond those of the devices' parts are the bubble, (K-1)/(M+K-1) of all."""
    whole = gradient_cost(*CHAIN).operations
    for count in (1, 4, 64, 4096):
        part = gradient_cost(*CHAIN, stages=16, micro_batches=count).operations
        bubble = 15 / (count + 15)
        np.testing.assert_allclose(1 - whole / 16 / part, bubble, rtol=1e-12)
    assert bubble < 0.004


def test_strong_scaling_is_bounded_by_the_forward_pass_and_latency():
    """The share of layers vanishes, the pass through all of them and the messages stay."""
    own = descent_cost(*CHAIN, stages=1024)
    serial = 2 * 4096 * 512**2 * 1024
    np.testing.assert_allclose(own.operations, serial * (1 + 4 / 1024), rtol=1e-12)
    assert own.seconds(FIGURES) > 1024 * FIGURES.latency + serial * FIGURES.operation
    free = FIGURES._replace(operation=0, byte=0, start=0, sent=0)
    times = [descent_cost(*CHAIN, stages=k, reported=False).seconds(free) for k in (4, 64, 1024)]
    np.testing.assert_allclose(np.diff(times), 7 * 2 * 4 * FIGURES.latency, rtol=1e-12)


def test_devices_take_turns_on_the_cores():
    cost = descent_cost(*CHAIN, data=4, stages=4)
    np.testing.assert_allclose(
        cost.seconds(FIGURES._replace(cores=2)), 8 * cost.seconds(FIGURES), rtol=1e-12
    )


def test_bytes_are_those_of_the_compiled_programs():
    """Up to the sizes of the last layer and a few single numbers, and to what a sum makes of it."""
    layers, width, samples = 16, 32, 64
    network = liftax.mlp([5, *[width] * (layers + 1), 10])

    def traffic(method, grid):
        mesh = Mesh(np.array(jax.devices()[:4]).reshape(grid), ("data", "layer"))
        return step_traffic(network, method, samples, Placement(mesh))

    sent = traffic(liftax.BlockCoordinateDescent(order=Jacobi()), (1, 4))
    # A loop counts once in the program, and four times as it runs.
    found = sent.shifted + 4 * 3 * samples * width + 2 * 3 / 4 * sent.reduced
    counted = descent_cost(layers, width, samples, stages=4).sent
    np.testing.assert_allclose(counted, found, rtol=1e-4)
    sent = traffic(liftax.BackPropagation(optax.sgd(0.1)), (4, 1))
    last = 4 * (6 * width + 10 * width + 10)
    counted = gradient_cost(layers, width, samples, data=4).sent
    np.testing.assert_allclose(counted, 2 * 3 / 4 * (sent.reduced - last), rtol=1e-12)


def test_numbers_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="64 samples in 3 parts, 8 layers of width 4 in 1"):
        descent_cost(8, 4, 64, data=3)
    with pytest.raises(ValueError, match="micro_batches must divide the 32 samples"):
        gradient_cost(8, 4, 64, data=2, micro_batches=5)
