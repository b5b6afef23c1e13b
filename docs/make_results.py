"""Writes docs/results.md from the experiments' metrics.json: no figure is typed by hand.

``python docs/make_results.py runs`` takes every ``runs/NAME/metrics.json`` of a full run over into
``docs/results/NAME.json``, and writes the page from these.
"""

import json
import math
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

import make_choosing

from liftax.experiments._experiment import spread

PAGE = Path(__file__).parent / "results.md"
FOLDER = Path(__file__).parent / "results"


def table(columns: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def classification(metrics: dict[str, Any]) -> str:
    """Accuracy and time of every method."""
    rows = [
        [
            label,
            f"{f['step_size']:g}",
            spread(f["test_accuracy"]),
            spread(f["test_loss"], 3),
            spread(f["seconds_per_epoch"], 1),
        ]
        for label, f in metrics["figures"].items()
    ]
    return table(["method", "step", "test accuracy", "test loss", "seconds per epoch"], rows)


def step_size(metrics: dict[str, Any]) -> str:
    """Accuracy of both methods at every step."""
    accuracy = metrics["figures"]["test_accuracy"]
    steps = metrics["figures"]["steps"]
    rows = [[f"{s:g}", *(spread(accuracy[m][i]) for m in accuracy)] for i, s in enumerate(steps)]
    return table(["step", *accuracy], rows)


def sparse_autoencoder(metrics: dict[str, Any]) -> str:
    """Error and sparsity for every task, method and weight of the sparse term."""
    rows = [
        [
            task,
            label,
            alpha,
            f"{f['step_size']:g}",
            spread(f["test_mse"], 5),
            spread(f["nonzero_code"], 3),
            spread(f["seconds_per_epoch"], 1),
        ]
        for task, methods in metrics["figures"].items()
        for label, by_alpha in methods.items()
        for alpha, f in by_alpha.items()
    ]
    columns = ["task", "method", "α", "step", "test error", "code in use", "s per epoch"]
    return table(columns, rows)


def methods(metrics: dict[str, Any]) -> str:
    """Accuracy, rate and time by method."""
    rows = [
        [
            label,
            f"{f['rate']:g}",
            spread(f["test_accuracy"]),
            spread(f["best_test_accuracy"]),
            spread(f["seconds"], 1),
        ]
        for label, f in metrics["figures"].items()
    ]
    return table(["method", "rate", "test accuracy", "best epoch", "seconds"], rows)


def three_split(metrics: dict[str, Any]) -> str:
    """Accuracy by penalty."""
    rows = [
        [label, spread(f["test_accuracy"]), spread(f["seconds_per_epoch"], 1)]
        for label, f in metrics["figures"].items()
    ]
    return table(["penalty", "test accuracy", "seconds per epoch"], rows)


def architectures(metrics: dict[str, Any]) -> str:
    """Accuracy of both methods on every network."""
    rows = [
        [
            name,
            label,
            f"{f['rate']:g}",
            spread(f["test_accuracy"]),
            spread(f["seconds_per_epoch"], 1),
        ]
        for name, found in metrics["figures"].items()
        for label, f in found.items()
    ]
    return table(["network", "method", "rate", "test accuracy", "seconds per epoch"], rows)


def penalties(metrics: dict[str, Any]) -> str:
    """Accuracy, gap and time of every method on every network."""
    rows = [
        [
            title,
            label,
            f"{f['step_size']:g}",
            str(max(f["epochs"])),
            spread(f["test_accuracy"]),
            f"{sum(f['gap']) / len(f['gap']):.2g}",
            spread(f["seconds"], 1),
        ]
        for title, methods in metrics["figures"].items()
        for label, f in methods.items()
    ]
    columns = ["data, network", "method", "step", "epochs", "test accuracy", "gap", "seconds"]
    return table(columns, rows)


def optimisers(metrics: dict[str, Any]) -> str:
    """Energy, rises and time of every variant."""
    rows = [
        [
            label,
            "" if f["step_size"] is None else f"{f['step_size']:g}",
            spread(f["energy"], 5),
            f"{sum(f['rises']) / len(f['rises']):g}",
            spread(f["training_accuracy"]),
            spread(f["seconds"], 1),
        ]
        for label, f in metrics["figures"].items()
    ]
    columns = ["variant", "step", "energy", "sweeps with a rise", "training accuracy", "seconds"]
    return table(columns, rows)


def depth(metrics: dict[str, Any]) -> str:
    """Accuracy by network and method, a column a depth."""
    figures = metrics["figures"]["accuracy"]
    rows = [
        [title, label, *(spread(f["test_accuracy"]) for f in by_depth)]
        for title, methods in figures.items()
        for label, by_depth in methods.items()
    ]
    depths = [f"{n} layers" for n in metrics["config"]["depths"]]
    return table(["network", "method", *depths], rows)


def conditioning(metrics: dict[str, Any]) -> str:
    """Condition numbers of a unit, and of trained blocks before and after training."""
    figures = metrics["figures"]
    rows = [
        [name, f"{int(samples):,}", *(spread(list(v), 1) for v in zip(*runs, strict=True))]
        for samples, by in figures["unit"].items()
        for name, runs in by.items()
    ]
    rows += [[name, "∞", *(f"{v:.1f}" for v in row)] for name, row in figures["limit"].items()]
    columns = ["penalty", "samples", *(f"scale {scale:g}" for scale in figures["scales"])]
    trained = [
        [activation, block, label, *(_range([run[i] for run in runs]) for i in (0, -1))]
        for activation, blocks in figures["trained"].items()
        for block, by in blocks.items()
        for label, runs in by.items()
    ]
    heads = ["activation", "block", "penalty", "at first", "trained"]
    return table(columns, rows) + "\n" + table(heads, trained)


def _range(values: list[float | None]) -> str:
    """From the best to the worst seed; infinity is written as null."""
    found = sorted(math.inf if value is None else value for value in values)
    low, high = (("∞" if math.isinf(v) else f"{v:.3g}") for v in (found[0], found[-1]))
    return low if low == high else f"{low} to {high}"


def denoiser(metrics: dict[str, Any]) -> str:
    """PSNR and SSIM by noise level and method."""
    rows = [
        [level.split()[1], method, *(f"{fmean(f[k]):.{d}f}" for k, d in (("psnr", 2), ("ssim", 4)))]
        for level, by in sorted(metrics["figures"].items())
        for method, f in by.items()
        if method != "estimate"
    ]
    return table(["noise σ", "method", "PSNR, dB", "SSIM"], rows)


def restoration(metrics: dict[str, Any]) -> str:
    """Quality by method, PSNR by kind of image; other settings; failures over the grid."""
    figures = metrics["figures"]
    methods = {k: f for k, f in figures.items() if isinstance(f, dict) and "psnr" in f}
    kinds = list(next(iter(methods.values())).get("kinds", {}))
    found = {k: f | f.get("kinds", {}) for k, f in methods.items()}
    columns = [
        ("PSNR, dB", "psnr", 2),
        ("SSIM", "ssim", 4),
        *((kind, kind, 2) for kind in kinds),
        *(c for c in _SOME if any(c[1] in f for f in methods.values())),
    ]
    rows = [
        [label, *(spread(f[key], digits) if key in f else "" for _, key, digits in columns)]
        for label, f in found.items()
    ]
    parts = [table(["method", *(title for title, _, _ in columns)], rows)]
    parts.append(table(["failures", *BOTH], figures["failures"]))
    return "\n".join(parts)


BOTH = ("lifted", "back-propagation")
_SOME = (
    ("Lipschitz estimate", "lipschitz", 2),
    ("dB at half the noise", "weaker", 2),
    ("seconds a step", "seconds_per_step", 3),
)


def settings(metrics: dict[str, Any]) -> str:
    """PSNR and seconds of both methods by setting."""
    rows = [
        [
            row["setting"],
            f"{row['sigma']:.3g}",
            f"{row['total variation']:.2f}",
            *(f"{row['psnr'][m]:.2f}" for m in BOTH),
            f"{row['slower']} {row['in equal seconds']:.2f}",
            *(f"{row['seconds_per_step'][m]:.3f}" for m in BOTH),
        ]
        for row in metrics["figures"]["variants"]
    ]
    heads = ["setting", "noise", "total variation", *BOTH, "the slower one in equal seconds"]
    return table([*heads, *(f"seconds a step, {m}" for m in BOTH)], rows)


def stability(metrics: dict[str, Any]) -> str:
    """Failures over the grid, and dB over total variation by setting and learning rate."""
    figures, rates = metrics["figures"], metrics["config"]["rates"]
    found: dict[tuple, dict[float, list[float | None]]] = {}
    for r in figures["grid"]:
        key = (r["iterations"], r["scale"], r["method"])
        found.setdefault(key, {}).setdefault(r["rate"], []).append(r["over"])
    rows = [
        [
            str(iterations),
            f"{scale:g}",
            method,
            *("NaN" if None in by[rate] else spread(by[rate], 2) for rate in rates),
        ]
        for (iterations, scale, method), by in found.items()
    ]
    heads = ["iterations", "initial scale", "method", *(f"rate {rate:g}" for rate in rates)]
    return table(["failures", *BOTH], figures["failures"]) + "\n" + table(heads, rows)


def plug_and_play(metrics: dict[str, Any]) -> str:
    """PSNR and SSIM by problem and method, and where the iterations came to rest."""
    figures = dict(metrics["figures"])
    ends = figures.pop("fixed points")
    rows = [
        [problem, method, *(f"{fmean(f[k]):.{d}f}" for k, d in (("psnr", 2), ("ssim", 4)))]
        for problem, by in figures.items()
        for method, f in by.items()
    ]
    fixed = [
        [
            sigma,
            f"{fmean(f['psnr']):.2f}",
            f"{max(f['change']):.1e}",
            f"{fmean(f['iterations']):.0f}",
            f"{max(f['lipschitz']):.2f}",
        ]
        for sigma, f in ends.items()
    ]
    heads = ["denoiser's σ", "PSNR, dB", "largest change", "iterations", "Lipschitz estimate"]
    first = table(["problem", "method", "PSNR, dB", "SSIM"], rows)
    return first + "\n" + table(heads, fixed)


def codes(metrics: dict[str, Any]) -> str:
    """PSNR, SSIM and seconds by data set, noise and method; losses with the noise; a batch."""
    figures, noises = dict(metrics["figures"]), metrics["config"]["noise"]
    many = figures.pop("one batched call")
    rows = [
        [
            data,
            f"{noise:g}",
            method,
            found[i]["best"],
            f"{found[i]['psnr']:.2f}",
            f"{found[i]['ssim']:.4f}",
            f"{found[i]['steps'] or ''}",
            f"{found[i]['s']:.1f}" if found[i]["s"] else "",
        ]
        for data, by in figures.items()
        for i, noise in enumerate(noises)
        for method, found in by.items()
    ]
    columns = ["data", "noise", "method", "parameters", "PSNR, dB", "SSIM", "steps", "s"]
    first, last = noises[1], noises[-1]
    losses = [
        [
            data,
            method,
            f"{(found[1]['psnr'] - found[-1]['psnr']) / math.log10(last / first):.2f}",
        ]
        for data, by in figures.items()
        for method, found in by.items()
    ]
    batches = [
        [
            data,
            str(found["codes"]),
            f"{found['noise']:g}",
            str(found["sweeps"]),
            f"{found['s']:.1f}",
            f"{found['bytes'] / 2**20:.0f}",
            f"{found['psnr']:.2f}",
        ]
        for data, found in many.items()
    ]
    return "\n".join(
        [
            table(columns, rows),
            table(["data", "method", f"dB lost per decade, {first:g} to {last:g}"], losses),
            table(["data", "codes at once", "noise", "sweeps", "s", "MiB", "PSNR, dB"], batches),
        ]
    )


def below(errors: list[float], bounds: list[float | None]) -> int:
    """How many errors do not exceed their bound; an infinite one is stored as null."""
    return sum(b is None or e <= b for e, b in zip(errors, bounds, strict=True))


def perceptron(metrics: dict[str, Any]) -> str:
    """PSNR and SSIM by noise and method with the certificates, and the rates of the error."""
    rows, rates = [], []
    for name, figures in metrics["figures"].items():
        if name.startswith("rates"):
            rates += [
                [
                    label,
                    f"{f['rate']:.3f}",
                    f"{f['fitted']} of {len(f['delta'])}",
                    f"{below(f['error'], f['bound'])} of {len(f['delta'])}",
                ]
                for label, f in figures.items()
            ]
            continue
        rows += [
            [
                noise,
                method,
                *(f"{fmean(f[k]):.{d}f}" for k, d in (("psnr", 2), ("ssim", 4))),
                f"{max(f['gap']):.1e}" if "gap" in f else "",
                str(max(f["iterations"])) if "iterations" in f else "",
                f"{f['s']:.0f}",
            ]
            for noise, by in figures.items()
            for method, f in by.items()
        ]
    columns = ["noise", "method", "PSNR, dB", "SSIM", "largest gap", "most iterations", "s"]
    heads = ["regulariser", "rate in δ", "fitted to", "errors below the bound"]
    return table(columns, rows) + "\n" + table(heads, rates)


def shallow(metrics: dict[str, Any]) -> str:
    """Errors of inverses by function, noise and method; both kinds of coordinate descent."""
    figures = metrics["figures"]
    rows = [
        [
            function,
            *key.removeprefix("noise ").split(", "),
            spread([f["rms"] for f in runs]),
            spread([f["largest"] for f in runs]),
        ]
        for function, by in figures.items()
        for key, runs in by.items()
        if key.startswith("noise")
    ]
    units = [
        [function, label, f"{by['rms']:.4f}", f"{by['sweeps']:.0f}", f"{by['seconds']:.2f}"]
        for function, f in figures.items()
        for label, by in (
            ("unit by unit", f["unit by unit"]),
            ("whole layer", {k: f["unit by unit"][f"layer's {k}"] for k in _DESCENT}),
        )
    ]
    fits = [[name, spread(f["fit"])] for name, f in figures.items()]
    parts = [
        table(["function", "largest error of the network"], fits),
        table(["function", "noise", "method", "error, rms", "largest"], rows),
        table(["function", "blocks", "error, rms", "sweeps", "seconds"], units),
    ]
    return "\n".join(parts)


_DESCENT = ("rms", "sweeps", "seconds")


def residual(metrics: dict[str, Any]) -> str:
    """Spread over starts and errors by network and penalty."""
    rows, known = [], []
    for name, by in metrics["figures"].items():
        bounds = ["none" if by[k] is None else f"{by[k]:.1f}" for k in ("smallest ρ", "sharp ρ")]
        known.append([name, spread(by["fit"]), *bounds])
        for label, runs in by.items():
            if label != "constraint" and not label.startswith("ρ = "):
                continue
            for f in runs:
                keys = ("curvature", "spread", "own", "rms", "largest")
                numbers = ["" if f[k] is None else f"{f[k]:.2g}" for k in keys]
                ends = [f"{f['settled']:.0%}", f"{f['sweeps']:.0f}", f"{f['seconds']:.1f}"]
                rows.append([name, label, *numbers, *ends])
    heads = ["network, function", "largest error of the network", "ρ for all weights", "sharp"]
    columns = ["network, function", "penalty", "curvature", "spread", "own error"]
    columns += ["error, rms", "largest", "settled", "sweeps", "seconds"]
    return table(heads, known) + "\n" + table(columns, rows)


def features(metrics: dict[str, Any]) -> str:
    """PSNR and SSIM by network, depth, noise and method."""
    rows = []
    for pooling, by in metrics["figures"].items():
        network = f"{pooling}-pooling, accuracy {fmean(by['accuracy']):.3f}"
        for key, runs in by.items():
            if key == "accuracy":
                continue
            depth, noise, method = key.split(", ")
            numbers = (f"{fmean(f[k] for f in runs):.{d}f}" for k, d in _QUALITY)
            rows.append([network, depth, noise.split()[1], method, runs[0]["best"], *numbers])
    columns = ["network", "features", "noise", "method", "parameters", "PSNR, dB", "SSIM", "s"]
    return table(columns, rows)


_QUALITY = (("psnr", 2), ("ssim", 4), ("s", 1))


SECTIONS = {
    "classification": classification,
    "implicit-step": methods,
    "architectures": architectures,
    "step-size-stability": step_size,
    "bcd-three-split": three_split,
    "sparse-autoencoder": sparse_autoencoder,
    "penalties": penalties,
    "optimisers": optimisers,
    "depth": depth,
    "conditioning": conditioning,
    "denoiser": denoiser,
    "pnn-denoising": restoration,
    "pnn-settings": settings,
    "pnn-stability": stability,
    "deblurring": restoration,
    "inpainting": restoration,
    "tomography": restoration,
    "pnp": plug_and_play,
    "autoencoder-inversion": codes,
    "perceptron-inversion": perceptron,
    "classifier-inversion": features,
    "shallow-inversion": shallow,
    "resnet-inversion": residual,
}


def main(runs: Path) -> None:
    """Write the page."""
    parts = [
        "# Results\n\n"
        "Written by `docs/make_results.py` from the `metrics.json` of the experiments; "
        "mean ± standard deviation over the seeds. Seconds are of one noisy machine, and compare "
        "within a table only.\n"
    ]
    for name, section in SECTIONS.items():
        new, kept = runs / name / "metrics.json", FOLDER / f"{name}.json"
        if new.is_file() and not json.loads(new.read_text(encoding="utf-8"))["quick"]:
            kept.write_text(new.read_text(encoding="utf-8"), encoding="utf-8")
        if not kept.is_file():
            continue
        metrics = json.loads(kept.read_text(encoding="utf-8"))
        config = ", ".join(f"{key} {value}" for key, value in metrics["config"].items())
        versions = f"jax {metrics['versions']['jax']}, seeds {metrics['seeds']}"
        heading = f"## {name}\n\n`liftax reproduce {name}`: {config}; {versions}.\n"
        notes = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
        parts += [heading, section(metrics), notes]
    PAGE.write_text("\n".join(parts), encoding="utf-8")
    make_choosing.main()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs"))
