"""Steps against depth: back-propagation, one sweep, and ten sweeps in three orders.

Residual networks of blocks with 64 units, mini-batches of 128. Milliseconds a step, and the seconds
that tracing and compiling take.

    python benchmarks/depth.py [runs/bench/depth.json] [--rounds 5] [--blocks 4 8 16 32 64]
"""

import argparse
from typing import Any

import numpy as np
import optax
from _report import Arguments, finish, in_turn, median_ratio, pinned
from _steps import Step

import liftax
from liftax.blocks import GaussSeidel, Jacobi, RedBlack

UNITS, BATCH, SWEEPS = 64, 128, 10
BASE = "back-propagation"


def methods() -> dict[str, Any]:
    """By label, with Adam."""
    adam = optax.adam(1e-3)
    orders = {"Gauss-Seidel": GaussSeidel(), "red-black": RedBlack(), "Jacobi": Jacobi()}
    return {BASE: liftax.BackPropagation(adam), "one sweep": liftax.OneSweep(adam)} | {
        f"ten sweeps, {name}": liftax.Contrastive(adam, beta=1.0, inner=SWEEPS, order=order)
        for name, order in orders.items()
    }


def main(given: Arguments, blocks: list[int]) -> None:
    """One depth after the other."""
    pinned(given)
    results: dict[str, Any] = {}
    for count in blocks:
        network = liftax.resnet(UNITS, UNITS, count, 10)
        steps = {label: Step(network, method, BATCH) for label, method in methods().items()}
        seconds = in_turn({label: step.seconds for label, step in steps.items()}, given.rounds)
        results[str(count)] = {
            label: {
                "milliseconds": 1e3 * float(np.median(seconds[label])),
                "over_back_propagation": median_ratio(seconds[label], seconds[BASE]),
                "compile_seconds": step.compile,
            }
            for label, step in steps.items()
        }
        for label, row in results[str(count)].items():
            print(f"{count} blocks, {label}: " + ", ".join(f"{k} {v:.3g}" for k, v in row.items()))
        finish(given, {"units": UNITS, "batch": BATCH, "results": results})


if __name__ == "__main__":
    more = argparse.ArgumentParser(add_help=False)
    more.add_argument("--blocks", type=int, nargs="+", default=[4, 8, 16, 32, 64])
    main(*Arguments.parsed(__doc__, "depth", more))
