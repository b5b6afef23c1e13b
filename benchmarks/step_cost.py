"""A step of one lifted sweep against one of back-propagation, the same optimiser for both.

Both are steps of this library on the same networks and mini-batches, compiled alone, with donated
buffers; beside the time stand what the compiler counts, operations and bytes, as ratios.

    python benchmarks/step_cost.py [runs/bench/step_cost.json] [--rounds 9]
"""

import functools
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _report import Arguments, finish, pinned

import liftax
from liftax.networks import Network, ddfb

METHODS = ("one sweep", "back-propagation")
SECONDS = 0.4


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
        steps = {name: _Step(name, network, size) for name in METHODS}
        seconds: dict[str, list[float]] = {name: [] for name in METHODS}
        for _ in range(given.rounds):
            for name, step in steps.items():
                seconds[name].append(step.seconds())
        ours, theirs = (np.array(seconds[name]) for name in METHODS)
        counts = [steps[name].counts for name in METHODS]
        results[label] = {
            "batch": size,
            "milliseconds": {name: 1e3 * float(np.median(seconds[name])) for name in METHODS},
            "ratio": float(np.median(ours / theirs)),
            "operations": counts[0]["flops"] / counts[1]["flops"],
            "bytes": counts[0]["bytes accessed"] / counts[1]["bytes accessed"],
        }
        row = results[label]
        times = ", ".join(f"{name} {value:.2f} ms" for name, value in row["milliseconds"].items())
        counted = f"operations {row['operations']:.3f}, bytes {row['bytes']:.3f}"
        print(f"{label}: {times}, ratio {row['ratio']:.3f} ({counted})", flush=True)
    finish(given, {"results": results})


class _Step:
    """A compiled step and where it stands."""

    def __init__(self, name: str, network: Network, size: int):
        adam = optax.adam(1e-3)
        method: Any = liftax.BackPropagation(adam)
        if name == METHODS[0]:
            method = liftax.OneSweep(adam)
        energy = liftax.LiftedEnergy(network)
        rng = np.random.default_rng(0)
        x = jnp.asarray(rng.random((size, *network.input_shape), np.float32))
        shape = network.shapes[network.output]
        y = x if len(shape) > 1 else jnp.eye(shape[0])[rng.integers(0, shape[0], size)]

        @functools.partial(jax.jit, donate_argnums=(0, 1))
        def step(params: Any, state: Any, x: Any, y: Any) -> Any:
            done = method.step(energy, params, state, x, y)
            return done.params, done.state

        params = network.init(jax.random.key(0))
        state = method.init(energy, params, x, y, jax.random.key(1))
        self._carry, self._data = (params, state), (x, y)
        self._step = step.lower(*self._carry, *self._data).compile()
        self.counts: Any = self._step.cost_analysis()
        self._count = 1
        self._count = max(1, round(SECONDS / self.seconds()))

    def seconds(self) -> float:
        """Processor time of a step."""
        begin = time.process_time()
        for _ in range(self._count):
            self._carry = self._step(*self._carry, *self._data)
        jax.block_until_ready(self._carry)
        return (time.process_time() - begin) / self._count


if __name__ == "__main__":
    main(*Arguments.parsed(__doc__, "step_cost"))
