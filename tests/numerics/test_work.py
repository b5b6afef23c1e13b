"""Work that the compiler counts: a gate against slow changes that no clock disturbs."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest

import liftax
from liftax.methods import AbstractMethod
from liftax.networks import Network, ddfb

BATCH = 128
WIDTHS = [784, 256, 256, 10]


def _compiled(network: Network, method: AbstractMethod) -> Any:
    energy = liftax.LiftedEnergy(network)
    x = jnp.zeros((BATCH, *network.input_shape), jnp.float32)
    y = jnp.zeros((BATCH, *network.shapes[network.output]), jnp.float32)

    def step(params: Any, state: Any) -> Any:
        done = method.step(energy, params, state, x, y)
        return done.params, done.state

    params = jax.eval_shape(network.init, jax.random.key(0))
    state = jax.eval_shape(lambda p: method.init(energy, p, x, y, jax.random.key(1)), params)
    return jax.jit(step, donate_argnums=(0, 1)).lower(params, state)


def _counts(lowered: Any) -> dict[str, float]:
    return lowered.compile().cost_analysis()


@pytest.mark.parametrize(
    "network", [liftax.mlp(WIDTHS), ddfb((8, 8, 1), 16, 3, interval=None)], ids=["mlp", "ddfb"]
)
def test_one_sweep_costs_what_back_propagation_does(network: Network) -> None:
    sgd = optax.sgd(0.1)
    ours = _counts(_compiled(network, liftax.OneSweep(sgd)))
    theirs = _counts(_compiled(network, liftax.BackPropagation(sgd)))
    # The unrolled algorithm's activations are many for its products: each is moved by a prox.
    operations, moved = (1.02, 1.05) if network.shapes[network.output] == (10,) else (1.4, 1.1)
    assert ours["flops"] <= operations * theirs["flops"]
    assert ours["bytes accessed"] <= moved * theirs["bytes accessed"]


def test_inference_multiplies_no_more_than_it_must() -> None:
    """Forward pass and weight gradient once, a loop whose body has two products a moving layer.

    The first layer's product is none of them. The compiler counts the body of a loop once.
    """
    method = liftax.Contrastive(optax.sgd(0.1), beta=1.0)
    products = [m * n for m, n in itertools.pairwise(WIDTHS)]
    least = 2 * BATCH * (2 * sum(products) + 2 * sum(products[1:]))
    counted = _counts(_compiled(liftax.mlp(WIDTHS), method))["flops"]
    assert least <= counted <= 1.1 * least


def test_programs_do_not_grow_with_the_iterations() -> None:
    network = liftax.mlp([8, 8, 8, 4])
    short, long = (
        _compiled(network, liftax.Contrastive(optax.sgd(0.1), inner=n)).as_text() for n in (10, 100)
    )
    assert len(short.splitlines()) == len(long.splitlines())


def test_a_deep_network_is_warmed_up_by_one_loop() -> None:
    """The program that starts block descent grows by a few lines a layer, not by a loop."""
    method = liftax.BlockCoordinateDescent()

    def loops(depth: int) -> int:
        network = liftax.mlp([8] * (depth + 2))
        energy = liftax.LiftedEnergy(network)
        x = jnp.zeros((4, 8), jnp.float32)

        def start(params: Any) -> Any:
            return method.init(energy, params, x, x, jax.random.key(0))

        params = jax.eval_shape(network.init, jax.random.key(0))
        return jax.jit(start).lower(params).as_text().count("stablehlo.while")

    assert loops(20) == loops(10)


def test_a_sweep_along_shortcuts_grows_with_the_depth_only() -> None:
    """The compiler would repeat every update in all that reads it, and these again in theirs."""
    method = liftax.Contrastive(optax.sgd(0.1), beta=1.0)
    counts = [_counts(_compiled(liftax.resnet(8, 8, n, 3), method)) for n in (2, 4, 6)]
    first, second = (b["flops"] - a["flops"] for a, b in itertools.pairwise(counts))
    assert second <= 1.02 * first
