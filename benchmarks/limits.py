"""How near a step comes to what the machine can do, and how its cost grows.

Perceptrons of equal layers, ten sweeps over the activations and one step on the weights. The
operations of a step are those of its matrix products, counted by formula; beside its rate stands
that of one product of a mini-batch with a layer, measured in turn with it on the same processor.
Peak memory is compared with the bytes that have to be kept: parameters, Adam's two averages,
activations and pre-activations, one mini-batch.

    python benchmarks/limits.py [runs/bench/limits.json] [--rounds 9] [--widths 128 256 512 1024]
        [--depths 2 4 8 16] [--batches 32 64 128 256 512] [--batch 128]
"""

import argparse
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _report import Arguments, finish, in_turn, pinned
from _steps import Step, Timed, clock

import liftax

SWEEPS, CLASSES = 10, 10
WIDTHS, DEPTHS, BATCHES = (128, 256, 512, 1024), (2, 4, 8, 16), (32, 64, 128, 256, 512)
# What the others are while one of them varies.
WIDTH, DEPTH, BATCH = 256, 4, 128


class Product(Timed):
    """The product of a mini-batch with the weights of a layer."""

    def __init__(self, batch: int, width: int):
        rng = np.random.default_rng(0)
        u, weights = (rng.standard_normal((n, width)).astype(np.float32) for n in (batch, width))
        scaled = weights / np.sqrt(width)
        self.operations = 2 * batch * width * width
        super().__init__(lambda u, w: (u @ w,), (jnp.asarray(u),), jnp.asarray(scaled))


def operations(width: int, hidden: int, batch: int) -> int:
    """Of the matrix products of a step: forward, weight gradients, two a sweep and moving layer."""
    layers = [width * width] * hidden + [width * CLASSES]
    return 2 * batch * (2 * sum(layers) + 2 * SWEEPS * sum(layers[1:]))


def traffic(width: int, hidden: int, batch: int) -> int:
    """Bytes that these products and Adam read and write, if nothing stayed in a cache."""
    layers = [(width, width)] * hidden + [(width, CLASSES)]
    product = [4 * (batch * (m + n) + m * n) for m, n in layers]
    adam = 4 * 7 * sum(m * n for m, n in layers)
    return 2 * sum(product) + 2 * SWEEPS * sum(product[1:]) + adam


def bandwidth() -> float:
    """Bytes a second of an array, larger than the caches are for one core, that is added to."""
    size, seconds = 2**26, []
    add, array = jax.jit(lambda a: a + 1, donate_argnums=0), jnp.zeros(size, jnp.float32)
    for _ in range(6):
        begin = clock()
        array = jax.block_until_ready(add(array))
        seconds.append(clock() - begin)
    return 8 * size / float(np.median(seconds[1:]))


def kept(network: Any, batch: int) -> int:
    """Bytes that a step has to keep."""
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    parameters = sum(leaf.size for leaf in jax.tree.leaves(shapes))
    units = sum(int(np.prod(shape)) for shape in network.shapes.values())
    return 4 * (3 * parameters + 2 * batch * units)


def measured(given: Arguments, width: int, hidden: int, batch: int) -> dict[str, Any]:
    """One size."""
    network = liftax.mlp([width] * (hidden + 1) + [CLASSES])
    method = liftax.Contrastive(optax.adam(1e-3), beta=1.0, inner=SWEEPS)
    pair = {"step": Step(network, method, batch), "product": Product(batch, width)}
    seconds = in_turn({name: one.seconds for name, one in pair.items()}, given.rounds)
    done, one = operations(width, hidden, batch), pair["product"].operations
    rates = [np.divide(n, seconds[k]) for n, k in ((done, "step"), (one, "product"))]
    row = {
        "width": width,
        "hidden": hidden,
        "batch": batch,
        "milliseconds": 1e3 * float(np.median(seconds["step"])),
        "gigaflops": float(np.median(rates[0])) / 1e9,
        "product_gigaflops": float(np.median(rates[1])) / 1e9,
        "of_the_product": float(np.median(rates[0] / rates[1])),
        "operations_a_byte": done / traffic(width, hidden, batch),
        "peak_bytes": pair["step"].peak,
        "peak_over_kept": pair["step"].peak / kept(network, batch),
        "compile_seconds": pair["step"].compile,
    }
    text = ", ".join(f"{k} {v:.3g}" for k, v in row.items())
    print(text, flush=True)
    return row


def main(
    given: Arguments, widths: list[int], depths: list[int], batches: list[int], batch: int
) -> None:
    """One size after the other, and the exponents of the growth."""
    pinned(given)
    results = {
        "width": [measured(given, w, DEPTH, batch) for w in widths],
        "hidden": [measured(given, WIDTH, d, batch) for d in depths],
        "batch": [measured(given, WIDTH, DEPTH, b) for b in batches],
    }
    exponents = {}
    for name, rows in results.items():
        if len(rows) < 2:
            continue
        logs = np.log([[row[name], row["milliseconds"]] for row in rows])
        exponents[name] = float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])
        print(f"milliseconds grow as {name} to the power {exponents[name]:.2f}")
    found = {"results": results, "exponents": exponents, "bytes_a_second": bandwidth()}
    finish(given, {"sweeps": SWEEPS, **found})


if __name__ == "__main__":
    more = argparse.ArgumentParser(add_help=False)
    more.add_argument("--widths", type=int, nargs="+", default=WIDTHS)
    more.add_argument("--depths", type=int, nargs="*", default=DEPTHS)
    more.add_argument("--batches", type=int, nargs="*", default=BATCHES)
    more.add_argument("--batch", type=int, default=BATCH)
    main(*Arguments.parsed(__doc__, "limits", more))
