"""A step of one lifted sweep against one of back-propagation, the same optimiser for both.

Both are steps of this library on the same networks and mini-batches, compiled alone, with donated
buffers; beside the time stand what the compiler counts, operations and bytes, as ratios.

    python benchmarks/step_cost.py [runs/bench/step_cost.json] [--rounds 9]
"""

import numpy as np
import optax
from _report import Arguments, finish, in_turn, median_ratio, pinned
from _steps import Step

import liftax
from liftax.methods import AbstractMethod
from liftax.networks import Network, ddfb

METHODS = ("one sweep", "back-propagation")


def methods() -> dict[str, AbstractMethod]:
    """Both, with Adam."""
    adam = optax.adam(1e-3)
    return dict(zip(METHODS, (liftax.OneSweep(adam), liftax.BackPropagation(adam)), strict=True))


def networks() -> dict[str, tuple[Network, int]]:
    """By label: a network and the size of a mini-batch."""
    return {
        "MLP A": (liftax.mlp([784, 256, 256, 10]), 128),
        "MLP B": (liftax.mlp([784, 784, 784, 784, 784, 10]), 128),
        "LeNet": (liftax.lenet(), 64),
        "ResNet, 20 blocks": (liftax.resnet(784, 64, 20, 10), 128),
        "DDFB, K = 20, 64 features": (ddfb((40, 40, 1), 64, 20, interval=None), 4),
    }


def main(given: Arguments) -> None:
    """Every network, both methods in turn."""
    pinned(given)
    results = {}
    for label, (network, size) in networks().items():
        steps = {name: Step(network, method, size) for name, method in methods().items()}
        seconds = in_turn({name: step.seconds for name, step in steps.items()}, given.rounds)
        counts = [steps[name].counts for name in METHODS]
        results[label] = {
            "batch": size,
            "milliseconds": {name: 1e3 * float(np.median(seconds[name])) for name in METHODS},
            "ratio": median_ratio(*(seconds[name] for name in METHODS)),
            "operations": counts[0]["flops"] / counts[1]["flops"],
            "bytes": counts[0]["bytes accessed"] / counts[1]["bytes accessed"],
        }
        row = results[label]
        times = ", ".join(f"{name} {value:.2f} ms" for name, value in row["milliseconds"].items())
        counted = f"operations {row['operations']:.3f}, bytes {row['bytes']:.3f}"
        print(f"{label}: {times}, ratio {row['ratio']:.3f} ({counted})", flush=True)
    finish(given, {"results": results})


if __name__ == "__main__":
    main(*Arguments.parsed(__doc__, "step_cost"))
