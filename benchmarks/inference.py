"""Ten iterations of inference and one step on the weights: liftax against its peers.

Perceptrons with ReLU layers and cross-entropy, mini-batches of 128, float32; SGD or proximal steps
on the activations, Adam on the weights. liftax updates one layer after the other (Gauss-Seidel); in
a row of its own all layers at once from old neighbours (Jacobi), as the peers do. Back-propagation,
which has no inference, is the unit that other programs can be compared in. Processor time on one
core, in turn; peers are installed into environments of their own at the first run.

    python benchmarks/inference.py [runs/bench/inference.json] [--rounds 9]
"""

from typing import Any

from _programs import Program, alternate
from _report import Arguments, finish, median_ratio

NETWORKS = {
    "A": [784, 256, 256, 10],
    "B": [784, 784, 784, 784, 784, 10],
}
PROGRAMS = {
    "liftax": Program("liftax_step.py"),
    "liftax, all layers at once": Program("liftax_step.py", options=("jacobi",)),
    "liftax, bfloat16 products": Program("liftax_step.py", options=("bfloat16",)),
    "PCX 0.6.3": Program("pcx_step.py", ("pcx==0.6.3", "jax==0.4.38", "jaxlib==0.4.38")),
    "FabricPC 0.6.0": Program("fabricpc_step.py", ("fabricpc==0.6.0", "jax==0.10.2")),
    "back-propagation, JAX": Program("backprop_step.py", iterations=False),
    "back-propagation, PyTorch 2.13.0": Program("torch_step.py", ("torch==2.13.0", "numpy"), False),
}
LONG = 100


def main(given: Arguments) -> None:
    """Both networks, and how long the programs compile as iterations grow."""
    results: dict[str, Any] = {}
    for name, widths in NETWORKS.items():
        shape = ",".join(map(str, widths))
        found = alternate(PROGRAMS, (shape, "10"), given.rounds, 0.5, given.core)
        kinds = "liftax", "liftax, all layers at once", "liftax, bfloat16 products"
        ours, together, rounded = (found[kind].seconds for kind in kinds)
        results[name] = {
            label: {
                "milliseconds": 1e3 * measured.median,
                "liftax_over_it": median_ratio(ours, measured.seconds),
                "together_over_it": median_ratio(together, measured.seconds),
                "rounded_over_it": median_ratio(rounded, measured.seconds),
                "compile_seconds": measured.compile,
            }
            for label, measured in found.items()
        }
    inner = {k: p for k, p in PROGRAMS.items() if p.iterations}
    shape = ",".join(map(str, NETWORKS["A"]))
    long = alternate(inner, (shape, str(LONG)), 1, 0.01, given.core)
    for label, measured in long.items():
        results["A"][label]["compile_seconds_100"] = measured.compile
    finish(given, {"batch": 128, "iterations": 10, "networks": NETWORKS, "results": results})
    for name, rows in results.items():
        for label, row in rows.items():
            times = f"{row['milliseconds']:.2f} ms, liftax/it {row['liftax_over_it']:.2f}"
            times += f", all at once {row['together_over_it']:.2f}"
            times += f", with bfloat16 products {row['rounded_over_it']:.2f}"
            print(f"{name} {label}: {times}, compiled in {row['compile_seconds']:.1f} s")
    for label, measured in long.items():
        print(f"A {label}, {LONG} iterations: compiled in {measured.compile:.1f} s")


if __name__ == "__main__":
    main(*Arguments.parsed(__doc__, "inference"))
