"""Products of factors rounded to bfloat16: milliseconds a step, and what becomes of the accuracy.

On a GPU also those rounded to TF32, which is what JAX takes there for single precision by itself.
784-256-256-10 on Fashion-MNIST, mini-batches of 128, two epochs of Adam with a cosine decay from
2e-3; and the time alone of a step with layers of 784 units.

    python benchmarks/products.py [runs/bench/products.json] [--rounds 9] [--seeds 3]
"""

import argparse
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _report import Arguments, finish, in_turn, median_ratio, pinned
from _steps import Step

import liftax
from liftax.blocks import Implicit

NETWORKS = {"784-256-256-10": [784, 256, 256, 10], "784-784-784-784-784-10": [784] * 5 + [10]}
EPOCHS, BATCH, RATE = 2, 128, 2e-3


def methods() -> dict[str, Any]:
    """By label."""
    adam = optax.adam(optax.cosine_decay_schedule(RATE, EPOCHS * (60_000 // BATCH)))
    return {
        "back-propagation": liftax.BackPropagation(adam),
        "one sweep": liftax.OneSweep(adam),
        "one sweep, implicit step": liftax.OneSweep(adam, 0.5, 0.1, metric=Implicit(10.0)),
        "ten sweeps": liftax.Contrastive(adam, beta=1.0, inner=10),
    }


def kinds() -> dict[str, tuple[str, Any]]:
    """By label: JAX's precision of products, and the type that `fit` rounds their factors to."""
    plain = {"float32": ("highest", None), "bfloat16": ("default", jnp.bfloat16)}
    # What a GPU takes by itself for single precision.
    return plain if jax.default_backend() == "cpu" else {"TF32": ("default", None), **plain}


def main(given: Arguments, seeds: int) -> None:
    """Times of both networks, then the accuracy of the smaller one."""
    pinned(given)
    results: dict[str, Any] = {}
    for name, widths in NETWORKS.items():
        results[name] = {}
        for label, method in methods().items():
            network = liftax.mlp(widths)
            steps = {}
            for kind, (precision, products) in kinds().items():
                with jax.default_matmul_precision(precision):
                    steps[kind] = Step(network, method, BATCH, products)
            seconds = in_turn({kind: step.seconds for kind, step in steps.items()}, given.rounds)
            row: dict[str, Any] = {k: 1e3 * float(np.median(s)) for k, s in seconds.items()}
            row["ratio"] = median_ratio(seconds["bfloat16"], seconds["float32"])
            if "TF32" in row:
                row["ratio_TF32"] = median_ratio(seconds["TF32"], seconds["float32"])
            results[name][label] = row
            print(f"{name}, {label}: " + ", ".join(f"{k} {v:.3g}" for k, v in row.items()))
    data = liftax.data.load("fashion-mnist")
    for label, method in methods().items():
        for kind, (precision, products) in kinds().items():
            with jax.default_matmul_precision(precision):
                runs = [
                    liftax.fit(
                        liftax.mlp(NETWORKS["784-256-256-10"]),
                        data,
                        method,
                        epochs=EPOCHS,
                        batch_size=BATCH,
                        seed=seed,
                        products=products,
                        progress=False,
                    )
                    for seed in range(seeds)
                ]
            found = [run.history.last["validation_accuracy"] for run in runs]
            results["784-256-256-10"][label][f"accuracy_{kind}"] = found
            print(f"{label}, {kind}: {found}", flush=True)
    finish(given, {"seeds": seeds, "results": results})


if __name__ == "__main__":
    more = argparse.ArgumentParser(add_help=False)
    more.add_argument("--seeds", type=int, default=3)
    main(*Arguments.parsed(__doc__, "products", more))
