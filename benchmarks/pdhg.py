"""Seconds of a primal-dual iteration against the two matrix products that it needs.

A perceptron with standard normal weights, 64x64 pixels to 512 ReLU units, inverted with total
variation, many outputs in one call; the gap is computed as usual, and its tolerance is 0. The
products are x <- W'(Wx), so that each waits for the other, in one program too. Processor time on
one core, in turn.

    python benchmarks/pdhg.py [runs/bench/pdhg.json] [--rounds 9]
"""

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _report import Arguments, finish, in_turn, median_ratio, pinned

import liftax
from liftax.affine import Dense
from liftax.inversion import GradientData, PrimalDual, TotalVariation
from liftax.networks import chain

SIDE, OUTPUTS, ALPHA = 64, 512, 0.015
BATCHES = (1, 16, 128)
FEW, MANY = 20, 320
PRODUCTS = "two products"


def main(given: Arguments) -> None:
    """Every batch, all programs in turn."""
    pinned(given)
    results = {}
    for size in BATCHES:
        programs = _programs(size)
        for program in programs.values():
            _timed(program)  # compiles
        turns = {name: functools.partial(_timed, program) for name, program in programs.items()}
        seconds = in_turn(turns, given.rounds)
        for name, values in seconds.items():
            row = {
                "milliseconds": 1e3 * float(np.median(values)),
                "ratio": median_ratio(values, seconds[PRODUCTS]),
            }
            results[f"{size} outputs, {name}"] = row
            times = f"{row['milliseconds']:.3f} ms an iteration, ratio {row['ratio']:.2f}"
            print(f"{size} outputs, {name}: {times}", flush=True)
    shape = {"pixels": SIDE * SIDE, "outputs": OUTPUTS, "iterations": MANY}
    finish(given, {**shape, "results": results})


def _programs(size: int) -> dict[str, Callable[[Any], Any]]:
    network = chain((SIDE, SIDE, 1), [(Dense(OUTPUTS, use_bias=False), "relu")])
    (name,) = (node.name for node in network.nodes)
    rng = np.random.default_rng(0)
    weight = jnp.asarray(rng.normal(size=(SIDE * SIDE, OUTPUTS)), jnp.float32)
    params = {name: {"weight": weight}}
    x = jnp.asarray(rng.uniform(size=(size, SIDE, SIDE, 1)), jnp.float32)
    y = network(params, x)

    @jax.jit
    def products(x: Any, weight: Any, count: Any) -> Any:
        scale = 1 / jnp.sum(weight**2)
        step = lambda _, v: scale * ((v @ weight) @ weight.T)  # noqa: E731
        return jax.lax.fori_loop(0, count, step, x.reshape(size, -1))

    def inverted(data_step: Any) -> Callable[[Any], Any]:
        given = (network, params, y, TotalVariation(), ALPHA)
        return lambda count: liftax.invert(*given, solver=PrimalDual(count, 0.0, data_step)).x

    return {
        PRODUCTS: lambda count: products(x, weight, count),
        "proximal data step": inverted(PrimalDual().data_step),
        "gradient data step": inverted(GradientData()),
    }


def _timed(program: Callable[[Any], Any]) -> float:
    """Processor seconds of an iteration."""
    times = []
    for count in (FEW, MANY):
        begin = time.process_time()
        jax.block_until_ready(program(jnp.asarray(count)))
        times.append(time.process_time() - begin)
    return (times[1] - times[0]) / (MANY - FEW)


if __name__ == "__main__":
    main(*Arguments.parsed(__doc__, "pdhg"))
