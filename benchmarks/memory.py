"""Memory and time of a training step: lifted, in chunks, back-propagation, with segments.

``python benchmarks/memory.py`` compiles a step of a proximal neural network (DDFB) for each method
and prints the bytes that the compiler states, as ratios to back-propagation; times alternate.
"""

import statistics
import time

import jax
import jax.numpy as jnp
import optax

from liftax import BackPropagation, Chunked, LiftedEnergy, OneSweep
from liftax.networks import ddfb
from liftax.training import step_memory

ROUNDS = 5


def main(iterations: int = 20, features: int = 32, side: int = 64, batch: int = 4) -> None:
    """Print a row for every method."""
    adam = optax.adam(1e-3)
    methods = {
        "back-propagation": BackPropagation(adam),
        "back-propagation, 4 segments": BackPropagation(adam, segments=4),
        "one sweep": OneSweep(adam),
        "one sweep, 4 chunks": Chunked(OneSweep(adam), 4),
    }
    network = ddfb((side, side, 1), features, iterations, kernel=5, interval=None)
    energy = LiftedEnergy(network)
    params = network.init(jax.random.key(0))
    x = 0.1 * jax.random.normal(jax.random.key(1), (batch, side, side, 1))
    steps, states, seconds = {}, {}, {name: [] for name in methods}
    for name, method in methods.items():
        states[name] = method.init(energy, params, x, x, jax.random.key(2))
        steps[name] = jax.jit(lambda p, s, method=method: method.step(energy, p, s, x, x).params)
        jax.block_until_ready(steps[name](params, states[name]))
    for _ in range(ROUNDS):
        for name, step in steps.items():
            begin = time.perf_counter()
            jax.block_until_ready(step(params, states[name]))
            seconds[name].append(time.perf_counter() - begin)
    memory = {name: step_memory(energy, m, batch).temporary for name, m in methods.items()}
    time_of = {name: statistics.median(s) for name, s in seconds.items()}
    base = "back-propagation"
    kept = sum(jnp.size(u) for u in network.forward(params, x)[0].values()) * 4
    print(f"activations of one forward pass: {kept / 2**20:.0f} MiB")
    for name in methods:
        print(
            f"{name:30} {memory[name] / 2**20:6.0f} MiB, {memory[name] / memory[base]:.2f} of "
            f"back-propagation's; time {time_of[name] / time_of[base]:.2f}"
        )


if __name__ == "__main__":
    main()
