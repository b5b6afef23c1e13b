"""Writes the part "What to expect" of docs/scaling.md and its picture.

``python docs/make_scaling.py [runs/bench/scaling.json]`` takes a measurement over into
``docs/performance/``, and writes what the cost model makes of it, and of a cluster.
"""

import json
import math
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt
from make_results import table

from liftax.parallel import Cost, Machine, descent_cost, gradient_cost

HERE = Path(__file__).parent
PAGE, FILE = HERE / "scaling.md", HERE / "performance" / "scaling.json"
BEGIN, END = "<!-- by docs/make_scaling.py -->\n", "<!-- to here -->\n"

# 100 TFLOP/s and 2 TB/s of memory a device; between nodes of 8 devices 25 GB/s, within 400 GB/s.
ACROSS = Machine(1 / 100e12, 1 / 2e12, 5e-6, 1 / 25e9, 5e-6)
WITHIN = ACROSS._replace(sent=1 / 400e9, latency=2e-6)
NODE, DEPTH, WIDTH, SAMPLES, EACH = 8, 1024, 4096, 4096, 16
# Smaller products would not be as fast.
ROWS = 64
DEVICES = [2**k for k in range(11)]
LINES: dict[str, Callable[[int, int, int], Cost]] = {
    "block descent": lambda layers, data, stages: descent_cost(
        layers, WIDTH, SAMPLES, data, stages
    ),
    "block descent, loss not reported": lambda layers, data, stages: descent_cost(
        layers, WIDTH, SAMPLES, data, stages, reported=False
    ),
    "back-propagation, pipeline": lambda layers, data, stages: min(
        (
            gradient_cost(layers, WIDTH, SAMPLES, data, stages, 2**k)
            for k in range(int(math.log2(SAMPLES // data // ROWS)) + 1)
        ),
        key=seconds,
    ),
}


def machine(cost: Cost) -> Machine:
    """All links are those between nodes as soon as there are two."""
    return WITHIN if cost.devices <= NODE else ACROSS


def seconds(cost: Cost) -> float:
    """Of a step on the cluster."""
    return cost.seconds(machine(cost))


def best(line: str, layers: int, devices: int, grid: bool = True) -> tuple[Cost, int, int]:
    """The quickest division of so many devices into parts of the samples and stages."""
    parts = [2**k for k in range(int(math.log2(devices)) + 1)] if grid else [1]
    found = [
        (LINES[line](layers, data, devices // data), data, devices // data)
        for data in parts
        if SAMPLES // data >= ROWS and layers % (devices // data) == 0
    ]
    return min(found, key=lambda one: seconds(one[0]))


def scaled(layers: Callable[[int], int], axes: Any, title: str) -> str:
    """Seconds, share of sending and grid for some numbers of devices; all in the picture."""
    rows = []
    for name in LINES:
        found = [best(name, layers(d), d) for d in DEVICES]
        axes.loglog(DEVICES, [seconds(cost) for cost, *_ in found], "o-", label=name, markersize=4)
        for d in (1, 8, 64, 256, 1024):
            cost, data, stages = found[DEVICES.index(d)]
            quiet = seconds(cost._replace(sent=0, messages=0))
            share = f"{1 - quiet / seconds(cost):.0%}"
            rows.append([name, str(d), f"{data} x {stages}", f"{seconds(cost):.3g}", share])
    axes.set(xlabel="devices", ylabel="seconds a step", title=title)
    axes.grid(alpha=0.3)
    return table(["method", "devices", "samples x layers", "seconds a step", "of it sending"], rows)


def validation(results: dict[str, Any]) -> str:
    """Errors of the model on what it was fitted to, and on the rest; and the figures."""
    rows, names = [], {"1": "one process", "2": "two processes"}
    for count, found in sorted(results.items()):
        for part in ("fitted", "predicted"):
            steps = [step for step in found["steps"] if step["part"] == part]
            errors = [step["error"] for step in steps]
            times = [1e3 * step["seconds"] for step in steps]
            spread = f"{min(times):.3g} to {max(times):.3g}"
            cells = [f"{np.median(errors):.0%}", f"{max(errors):.0%}"]
            rows.append([names[count], part, str(len(steps)), spread, *cells])
    text = table(["devices of", "part", "steps", "ms", "median error", "largest"], rows)
    head = ["devices of", "GFLOP/s", "GB/s of memory", "µs to start", "GB/s sent", "µs a message"]
    figures = []
    for count, found in sorted(results.items()):
        f = found["figures"]
        rates = [f["operation"], f["byte"], f["sent"]]
        flops, byte, sent = (f"{1e-9 / r:.3g}" if r > 0 else "no limit found" for r in rates)
        start, message = (f"{1e6 * f[key]:.3g}" for key in ("start", "latency"))
        figures.append([names[count], flops, byte, start, sent, message])
    return text + "\n" + table(head, figures)


def summary() -> str:
    """What the tables come to."""
    border = 11 * ACROSS.sent / (WIDTH * ACROSS.operation)
    parts = []
    for title, layers in (("strong", DEPTH), ("weak", EACH * DEVICES[-1])):
        times = [seconds(best(name, layers, DEVICES[-1])[0]) for name in LINES]
        shares = [f"{time / times[-1]:.2f}" for time in times[:-1]]
        parts.append(f"{shares[0]} and {shares[1]} ({title})")
    return (
        f"On {DEVICES[-1]} devices a step of block descent, with and without the reported loss, "
        f"takes of the time of back-propagation: {'; '.join(parts)}. Sending takes longer than the "
        f"products of a sweep where a device has fewer than {border:.0f} of these layers.\n"
    )


def page() -> str:
    """The whole of docs/scaling.md."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    strong = scaled(lambda d: DEPTH, axes[0], f"{DEPTH} layers")
    weak = scaled(lambda d: EACH * d, axes[1], f"{EACH} layers a device")
    axes[0].legend(fontsize=7)
    figure.savefig(HERE / "images" / "scaling.png", dpi=110)
    plt.close(figure)
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    measured = json.loads(FILE.read_text(encoding="utf-8"))
    made = (
        f"Measured on {measured['machine']['processor']}, one core, "
        f"JAX {measured['machine']['jax']}:\n\n{validation(measured['results'])}\n"
        f"Strong scaling, {DEPTH} layers of width {WIDTH}, {SAMPLES} samples:\n\n{strong}\n"
        f"Weak scaling, {EACH} layers a device:\n\n{weak}\n"
        f"{summary()}\n![Seconds a step against devices](images/scaling.png)\n"
    )
    return before + BEGIN + made + END + after


if __name__ == "__main__":
    if len(sys.argv) > 1:
        shutil.copy(sys.argv[1], FILE)
    PAGE.write_text(page(), encoding="utf-8")
