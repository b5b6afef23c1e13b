"""Time per epoch of one lifted sweep against back-propagation, alternating A B A B in one process.

Prints medians and their ratio, writes JSON: ``python benchmarks/epoch_time.py
runs/epoch_time.json``. The data are random numbers in the shape of Fashion-MNIST: only the time is
measured.
"""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import optax

import liftax
from liftax._files import write_json

NETWORKS = {"A": [784, 256, 256, 10], "B": [784, 784, 784, 784, 784, 10]}
ROUNDS, SAMPLES, BATCH = 15, 6_400, 128


def methods() -> dict[str, Any]:
    """The same optimiser for both."""
    return {
        "one sweep": liftax.OneSweep(optax.adam(1e-3)),
        "back-propagation": liftax.BackPropagation(optax.adam(1e-3)),
    }


def main(out: Path) -> None:
    """Measure every network; the first epoch of each run is not counted."""
    rng = np.random.default_rng(0)
    data = (
        rng.random((SAMPLES, 784), np.float32),
        rng.integers(0, 10, SAMPLES).astype(np.int32),
    )
    results = {}
    for name, widths in NETWORKS.items():
        network, seconds = liftax.mlp(widths), {label: [] for label in methods()}
        shared = methods()
        for _ in range(ROUNDS):
            for label, method in shared.items():
                run = liftax.fit(network, data, method, epochs=2, batch_size=BATCH, progress=False)
                steps = SAMPLES // BATCH
                first, second = run.history["seconds"][1:]
                seconds[label].append((second - first) / steps)
        medians = {label: float(np.median(values)) for label, values in seconds.items()}
        ratio = medians["one sweep"] / medians["back-propagation"]
        results[name] = {"widths": widths, "seconds_per_step": seconds, "ratio": ratio}
        shown = ", ".join(f"{label} {1e3 * value:.2f} ms" for label, value in medians.items())
        least = min(seconds["one sweep"]) / min(seconds["back-propagation"])
        print(f"{name} {widths}: {shown} a step; ratio {ratio:.3f} (of the minima {least:.3f})")
    write_json(out, {"cores": os.cpu_count(), "batch": BATCH, "results": results})


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/epoch_time.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    main(target)
