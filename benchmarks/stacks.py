"""Steps of methods with equal layers as stacks, and with each layer apart.

Of block descent in two orders, and with Adam of one sweep and of back-propagation.

For kinds of layers: convolutions in a row, normalised, and in residual blocks, unrolled networks of
dense layers with learnt thresholds, of convolutions with fixed ones. Milliseconds a step, the
seconds that tracing and compiling take, of the step and of the start, and the memory that the
step's program holds at its peak.

    python benchmarks/stacks.py [runs/bench/stacks.json] [--rounds 5] [--layers 40]
        [--methods red-black "one sweep"]
"""

import argparse
from typing import Any

import numpy as np
import optax
from _report import Arguments, finish, in_turn, median_ratio, pinned
from _steps import Step

import liftax
from liftax.affine import Convolution, Dense, Mean, Normalisation
from liftax.blocks import GaussSeidel, RedBlack
from liftax.networks import Network, chain, ddfb, fixed, lista

METHODS: dict[str, Any] = {
    "red-black": liftax.BlockCoordinateDescent(order=RedBlack()),
    "Gauss-Seidel": liftax.BlockCoordinateDescent(order=GaussSeidel()),
    "one sweep": liftax.OneSweep(optax.adam(1e-3)),
    "back-propagation": liftax.BackPropagation(optax.adam(1e-3)),
}
KEPT = {"layers": False, "stacks": True}


def networks(layers: int) -> dict[str, tuple[Network, int]]:
    """By label: a network and the size of a mini-batch."""

    def convolutions(channels: int, *given: Any) -> Network:
        own = given or ((Convolution(channels, gain=2**0.5), "relu"),)
        return chain(
            (16, 16, channels),
            [*own] * (layers // len(own)) + [(Mean(), "identity"), (Dense(10), "softmax")],
        )

    half = layers // 2
    normalised = (Convolution(16, use_bias=False), "identity"), (Normalisation(), "relu")
    return {
        f"{layers} convolutions, 16 channels of 16x16": (convolutions(16), 16),
        f"{half} residual blocks, 16 channels of 16x16": (
            liftax.resnet((16, 16, 3), 16, half, 10),
            16,
        ),
        f"{half} normalised convolutions, 16 channels of 16x16": (
            convolutions(16, *normalised),
            16,
        ),
        f"LISTA, K = {half}, 256 to 512": (lista(256, 512, half), 128),
        f"DDFB, K = {half}, 64 features of 40x40": (
            fixed(ddfb((40, 40, 1), 64, half, interval=None)),
            4,
        ),
        f"{layers} convolutions, 4 channels of 16x16": (convolutions(4), 16),
    }


def measured(network: Network, size: int, method: Any, rounds: int) -> dict[str, Any]:
    """Both ways in turn."""
    steps = {kept: Step(network, method, size, stack=stack) for kept, stack in KEPT.items()}
    seconds = in_turn({kept: step.seconds for kept, step in steps.items()}, rounds)
    return {
        kept: {
            "milliseconds": 1e3 * float(np.median(seconds[kept])),
            "over_layers": median_ratio(seconds[kept], seconds["layers"]),
            "compile_seconds": step.compile,
            "start_seconds": step.start,
            "mebibytes": step.peak / 2**20,
        }
        for kept, step in steps.items()
    }


def main(given: Arguments, layers: int, methods: list[str]) -> None:
    """One method after the other, one network after the other."""
    pinned(given)
    results: dict[str, Any] = {}
    for name in methods:
        for label, (network, size) in networks(layers).items():
            found = results.setdefault(label, {})[name] = measured(
                network, size, METHODS[name], given.rounds
            )
            for kept, row in found.items():
                figures = ", ".join(f"{k} {v:.3g}" for k, v in row.items())
                print(f"{label}, {name}, {kept}: {figures}", flush=True)
            finish(given, {"results": results})


if __name__ == "__main__":
    more = argparse.ArgumentParser(add_help=False)
    more.add_argument("--layers", type=int, default=40)
    more.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    main(*Arguments.parsed(__doc__, "stacks", more))
