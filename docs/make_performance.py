"""Writes docs/performance.md and its pictures from the benchmarks' JSON files.

``python docs/make_performance.py runs/bench`` takes every ``runs/bench/NAME.json`` that has a
section here over into ``docs/performance/``, and writes the page from these.
"""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import make_choosing
import matplotlib.pyplot as plt
from make_results import table

HERE = Path(__file__).parent
FOLDER, IMAGES = HERE / "performance", HERE / "images"


def inference(found: dict[str, Any]) -> str:
    """Peers, ten iterations and one step on the weights."""
    parts = []
    for name, rows in found["results"].items():
        widths = "-".join(map(str, found["networks"][name]))
        lines = []
        for label, row in rows.items():
            long = row.get("compile_seconds_100")
            lines.append(
                [
                    label,
                    f"{row['milliseconds']:.2f}",
                    f"{row['liftax_over_it']:.2f}",
                    f"{row['together_over_it']:.2f}" if "together_over_it" in row else "",
                    f"{row['rounded_over_it']:.2f}",
                    f"{row['compile_seconds']:.1f}",
                    "" if long is None else f"{long:.1f}",
                ]
            )
        columns = [f"{name} = {widths}", "ms a step", "liftax / it"]
        columns += [
            "all at once / it",
            "bfloat16 / it",
            "compile s, 10",
            "compile s, 100 iterations",
        ]
        parts.append(table(columns, lines))
    return "\n".join(parts)


def step_cost(found: dict[str, Any]) -> str:
    """One sweep against back-propagation."""
    rows = [
        [
            label,
            str(row["batch"]),
            *(f"{row['milliseconds'][name]:.2f}" for name in ("one sweep", "back-propagation")),
            f"{row['ratio']:.2f}",
            f"{row['operations']:.2f}",
            f"{row['bytes']:.2f}",
        ]
        for label, row in found["results"].items()
    ]
    columns = ["network", "batch", "one sweep, ms", "back-propagation, ms", "ratio"]
    return table([*columns, "of operations", "of bytes"], rows)


def time_to_result(found: dict[str, Any]) -> str:
    """Steps and seconds to every target."""
    parts = []
    for name, problem in found["results"].items():
        rows = []
        for label, targets in problem["methods"].items():
            for target, row in targets.items():
                if not isinstance(row, dict):
                    continue
                steps = np.array(row["steps"], float)
                ratio = row["over_back_propagation"]
                rows.append(
                    [
                        label,
                        target,
                        f"{row['rate']:g}, {row['epochs_of_decay']:g}",
                        _middle(steps, "{:.0f}"),
                        f"{targets['step_over_back_propagation']:.2f}",
                        _middle(np.array(row["seconds"], float), "{:.2f}"),
                        f"{ratio:.2f}" if np.isfinite(ratio) and ratio > 0 else "",
                    ]
                )
        columns = [name, problem["unit"], "rate, epochs", "steps", "cost of a step", "seconds"]
        parts.append(table([*columns, "seconds / back-propagation's"], rows))
    return "\n".join(parts)


def _middle(values: np.ndarray, form: str) -> str:
    """Median and range of those that arrived, and how many did not."""
    there = values[np.isfinite(values)]
    missed = f", {len(values) - len(there)} of {len(values)} missed" * (len(there) < len(values))
    if not len(there):
        return "none of them"
    ends = f"{form.format(there.min())} to {form.format(there.max())}"
    return f"{form.format(np.median(there))} ({ends}{missed})"


def depth(found: dict[str, Any]) -> str:
    """Milliseconds and compile seconds against depth, and a picture."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained", sharey=True)
    head = ["ms a step", "/ back-propagation", "compile s", "start s"]
    text = _against_depth(left, found["results"]["blocks"], "blocks", head)
    for width, runs in found["results"]["layers"].items():
        text += f"\nChains of layers of {width} units:\n\n"
        text += _against_depth(right if width == "64" else None, runs, "layers", head)
    left.set(xlabel="residual blocks", ylabel="ms a step")
    right.set(xlabel="layers of 64 units")
    for axes, where in ((left, "upper left"), (right, "lower right")):
        axes.legend(fontsize=7, loc=where)
    _save(figure, "performance-depth.png")
    return text + "\n![Milliseconds a step against depth](images/performance-depth.png)\n"


def stacks(found: dict[str, Any]) -> str:
    """Steps with equal layers as stacks and apart."""
    rows = [
        [
            network,
            method,
            kept,
            f"{r['milliseconds']:.3g}",
            f"{r['over_layers']:.2f}",
            *(f"{r[key]:.1f}" for key in ("compile_seconds", "start_seconds", "mebibytes")),
        ]
        for network, methods in found["results"].items()
        for method, both in methods.items()
        for kept, r in both.items()
    ]
    head = ["network", "method", "kept as", "ms a step", "/ layers", "compile s", "start s", "MiB"]
    return table(head, rows)


def _against_depth(
    axes: Any, runs: dict[str, Any], unit: str, head: list[str], sparse: bool = True
) -> str:
    rows = []
    depths = sorted(runs, key=int)
    for label in runs[depths[0]]:
        found = [runs[count][label] for count in depths]
        for count, r in zip(depths, found, strict=True):
            times = f"{r['milliseconds']:.3g}", f"{r['over_back_propagation']:.2g}"
            compiled = f"{r['compile_seconds']:.1f}", f"{r['start_seconds']:.1f}"
            rows.append([label, count, *times, *compiled])
        if axes is not None and not (sparse and "without" in label):
            numbers = [int(count) for count in depths]
            axes.loglog(numbers, [r["milliseconds"] for r in found], "o-", label=label)
    return table(["method", unit, *head], rows)


def limits(found: dict[str, Any]) -> str:
    """Rates, exponents, memory, and the roofline."""
    rows, seen = [], set()
    for group in found["results"].values():
        for r in group:
            size = (r["width"], r["hidden"], r["batch"])
            if size in seen:
                continue
            seen.add(size)
            rows.append(
                [
                    *map(str, size),
                    f"{r['milliseconds']:.2f}",
                    f"{r['gigaflops']:.0f}",
                    f"{r['product_gigaflops']:.0f}",
                    f"{r['of_the_product']:.2f}",
                    f"{r['peak_bytes'] / 2**20:.1f}",
                    f"{r['peak_over_kept']:.2f}",
                ]
            )
    columns = ["width", "hidden layers", "batch", "ms", "GFLOP/s", "one product", "ratio"]
    columns += ["peak MiB", "peak / kept"]
    grows = ", ".join(f"{name} to the power {e:.2f}" for name, e in found["exponents"].items())
    _roofline(found)
    return (
        table(columns, rows)
        + f"\nFitted growth of the milliseconds: {grows}.\n"
        + "\n![Roofline: rate against operations a byte](images/performance-roofline.png)\n"
    )


def _roofline(found: dict[str, Any]) -> None:
    rows = [r for group in found["results"].values() for r in group]
    best, speed = max(r["product_gigaflops"] for r in rows), found["bytes_a_second"] / 1e9
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    across = np.geomspace(0.2, 200, 200)
    axes.loglog(across, np.minimum(best, speed * across), "k-", lw=1, label="roof of one core")
    for name, group in found["results"].items():
        points = [(r["operations_a_byte"], r["gigaflops"]) for r in group]
        axes.loglog(*zip(*points, strict=True), "o", label=f"steps, varied {name}")
    axes.set(xlabel="operations a byte, nothing in the cache", ylabel="GFLOP/s")
    axes.legend(fontsize=8)
    _save(figure, "performance-roofline.png")


def gpu(found: dict[str, Any]) -> str:
    """Depth and rates on a GPU, and a picture."""
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    head, text = ["ms a step", "/ back-propagation", "compile s", "start s"], ""
    for width, runs in sorted(found["layers"].items(), key=lambda pair: -len(pair[1])):
        text += f"\nChains of layers of {width} units:\n\n"
        text += _against_depth(axes if len(runs) > 1 else None, runs, "layers", head, False)
    axes.set(xlabel="layers of 64 units", ylabel="ms a step")
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    _save(figure, "performance-gpu.png")
    rows = [
        [
            str(r["width"]),
            str(r["batch"]),
            f"{r['milliseconds']:.2f}",
            f"{r['gigaflops'] / 1e3:.0f}",
            f"{r['product_gigaflops'] / 1e3:.0f}",
            f"{r['of_the_product']:.2f}",
            f"{r['peak_over_kept']:.2f}",
        ]
        for r in found["width"]
    ]
    columns = ["width", "batch", "ms", "TFLOP/s", "one product", "ratio", "peak / kept"]
    return (
        text
        + "\n![Milliseconds a step against depth, on a GPU](images/performance-gpu.png)\n\n"
        + f"Four hidden layers, {found['sweeps']} sweeps and a step on the weights, against one "
        + "product of the same sizes:\n\n"
        + table(columns, rows)
    )


def products(found: dict[str, Any]) -> str:
    """Times with rounded products, and accuracies."""
    rows = []
    for network, methods in found["results"].items():
        for label, r in methods.items():
            accuracy = [
                f"{np.mean(r[key]):.4f} ± {np.std(r[key]):.4f}" if key in r else ""
                for key in ("accuracy_float32", "accuracy_bfloat16")
            ]
            times = [f"{r['float32']:.2f}", f"{r['bfloat16']:.2f}", f"{r['ratio']:.2f}"]
            rows.append([network, label, *times, *accuracy])
    columns = ["network", "method", "float32 ms", "bfloat16 ms", "ratio"]
    return table([*columns, "accuracy, float32", "accuracy, bfloat16"], rows)


def pdhg(found: dict[str, Any]) -> str:
    """An iteration of the inversion against the two products that it needs."""
    rows = [
        [label, *(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values())]
        for label, row in found["results"].items()
    ]
    return table(["instance", *next(iter(found["results"].values()))], rows)


def _save(figure: Any, name: str) -> None:
    figure.savefig(IMAGES / name, dpi=110)
    plt.close(figure)


PROGRAMS = {
    "gpu": "`python benchmarks/depth.py --core -1 --blocks --layers 8 32 128 256 --widths 64` and "
    "`python benchmarks/limits.py --core -1 --widths 512 1024 2048 4096 --batch 1024 --depths "
    "--batches` measure"
}

SECTIONS: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "inference": ("Ten iterations of inference, against its peers", inference),
    "step_cost": ("One sweep, against back-propagation", step_cost),
    "time_to_result": ("Seconds to a result", time_to_result),
    "depth": ("Depth", depth),
    "stacks": ("Stacks of layers", stacks),
    "limits": ("Near the limit", limits),
    "gpu": ("On a GPU", gpu),
    "products": ("Products in bfloat16", products),
    "pdhg": ("Inversion", pdhg),
}


def main(folder: Path | None) -> None:
    """Take new results over, write the page."""
    FOLDER.mkdir(exist_ok=True)
    for name in SECTIONS:
        if folder is not None and (folder / f"{name}.json").exists():
            shutil.copy(folder / f"{name}.json", FOLDER / f"{name}.json")
    parts = [(FOLDER / "introduction.md").read_text().rstrip()]
    for name, (title, made) in SECTIONS.items():
        if not (FOLDER / f"{name}.json").exists():
            continue
        found = json.loads((FOLDER / f"{name}.json").read_text())
        machine = found["machine"]
        on = machine["processor"]
        if "device" in machine and machine["device"] != "cpu":
            on = machine["device"]
        on = f"{on}, JAX {machine['jax']}, {machine['rounds']} rounds"
        text = (FOLDER / f"{name}.md").read_text().strip()
        programs = PROGRAMS.get(name, f"`python benchmarks/{name}.py` measures")
        again = f"{programs} it again. Here: {on}."
        parts.append(f"## {title}\n\n{text}\n\n{made(found)}\n{again}")
    (HERE / "performance.md").write_text("\n\n".join(parts) + "\n")
    make_choosing.main()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
