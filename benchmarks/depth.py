"""Steps against depth: back-propagation, one sweep, ten sweeps in three orders, block descent.

Residual networks of blocks with 64 units, and chains of layers of several widths; batches of 128.
Milliseconds a step, and the seconds that tracing and compiling take, of the step and of the start.
In the orders red-black and Jacobi equal layers are stacks, as `fit` has them; with Gauss-Seidel,
one sweep and back-propagation where the label says so, in a loop over the layers. Otherwise each
layer is a part of the program. Of chains also a sweep alone, and block descent without the forward
pass that only the reported loss needs. On an accelerator the seconds are those of a watch.

    python benchmarks/depth.py [runs/bench/depth.json] [--rounds 5] [--blocks 4 8 16 32 64]
        [--layers 8 32 128 512] [--widths 32 64 128]
"""

import argparse
from typing import Any

import numpy as np
import optax
from _report import Arguments, finish, in_turn, median_ratio, pinned
from _steps import OfSweep, Step

import liftax
from liftax.blocks import AbstractOrder, GaussSeidel, Jacobi, RedBlack
from liftax.networks import Network

UNITS, BATCH, SWEEPS = 64, 128, 10
BASE, DESCENT, SILENT = "back-propagation", "block descent", "without the loss"
STACKED = {"red-black": RedBlack(), "Jacobi": Jacobi(), "Gauss-Seidel in stacks": GaussSeidel()}


def of_one_pass(optimiser: Any) -> dict[str, Any]:
    """Back-propagation and one sweep, each also through stacks."""
    methods = {BASE: liftax.BackPropagation(optimiser), "one sweep": liftax.OneSweep(optimiser)}
    return {f"{name}{how}": m for name, m in methods.items() for how in ("", " in stacks")}


def of_blocks() -> dict[str, Any]:
    """By label, with Adam."""
    adam = optax.adam(1e-3)
    return of_one_pass(adam) | {
        f"ten sweeps, {name}": liftax.Contrastive(adam, beta=1.0, inner=SWEEPS, order=order)
        for name, order in {"Gauss-Seidel": GaussSeidel(), **STACKED}.items()
    }


def of_layers() -> dict[str, Any]:
    """One sweep, and block descent: a sweep and a step on all parameters."""
    return of_one_pass(optax.sgd(1e-3)) | {
        f"{kind}, {name}": order if kind == "sweep" else liftax.BlockCoordinateDescent(order=order)
        for kind in ("sweep", DESCENT, f"{DESCENT} {SILENT}")
        for name, order in STACKED.items()
    }


def program(network: Network, label: str, method: Any) -> Any:
    """A step of the method, or a sweep in the order."""
    if isinstance(method, AbstractOrder):
        return OfSweep(network, method, BATCH)
    stack = any(kind in label for kind in (*STACKED, "in stacks"))
    return Step(network, method, BATCH, stack=stack, reported=SILENT not in label)


def measured(name: str, network: Network, methods: dict[str, Any], rounds: int) -> dict[str, Any]:
    """All methods on one network, in turn."""
    steps = {label: program(network, label, method) for label, method in methods.items()}
    seconds = in_turn({label: step.seconds for label, step in steps.items()}, rounds)
    found = {
        label: {
            "milliseconds": 1e3 * float(np.median(seconds[label])),
            "over_back_propagation": median_ratio(seconds[label], seconds[BASE]),
            "compile_seconds": step.compile,
            "start_seconds": step.start,
        }
        for label, step in steps.items()
    }
    for label, row in found.items():
        print(f"{name}, {label}: " + ", ".join(f"{k} {v:.3g}" for k, v in row.items()), flush=True)
    return found


def main(given: Arguments, blocks: list[int], layers: list[int], widths: list[int]) -> None:
    """One depth after the other."""
    pinned(given)
    results: dict[str, Any] = {"blocks": {}, "layers": {}}
    about = {"units": UNITS, "batch": BATCH, "results": results}
    for count in blocks:
        network = liftax.resnet(UNITS, UNITS, count, 10)
        name = f"{count} blocks"
        results["blocks"][str(count)] = measured(name, network, of_blocks(), given.rounds)
        finish(given, about)
    for width in widths:
        own = results["layers"].setdefault(str(width), {})
        for count in layers:
            network = liftax.mlp([width] * (count + 1) + [10])
            name = f"{count} layers of {width}"
            own[str(count)] = measured(name, network, of_layers(), given.rounds)
            finish(given, about)


if __name__ == "__main__":
    more = argparse.ArgumentParser(add_help=False)
    more.add_argument("--blocks", type=int, nargs="*", default=[4, 8, 16, 32, 64])
    more.add_argument("--layers", type=int, nargs="+", default=[8, 32, 128, 512])
    more.add_argument("--widths", type=int, nargs="+", default=[32, 64, 128])
    main(*Arguments.parsed(__doc__, "depth", more))
