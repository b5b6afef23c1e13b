"""Writes docs/choosing.md: which method for what, with the figures of docs/results and performance.

No figure is typed by hand: ``python docs/make_choosing.py`` writes the page anew, and so do
``make_results.py`` and ``make_performance.py``.
"""

import json
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE / "choosing.md"


def _figures(name: str) -> dict[str, Any]:
    return json.loads((HERE / "results" / f"{name}.json").read_text(encoding="utf-8"))["figures"]


def _measured(name: str) -> dict[str, Any]:
    path = HERE / "performance" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))["results"]


def cheap() -> str:
    """Accuracy and time of one sweep beside back-propagation."""
    found = _figures("classification")
    mine, theirs = (
        fmean(found[f"{label}, step 1e-3 untuned"]["test_accuracy"])
        for label in ("Bregman, one sweep + Adam", "back-propagation, Adam")
    )
    cost = _measured("step_cost")["MLP A"]["ratio"]
    return (
        f"accuracy {mine:.3f}, back-propagation {theirs:.3f}; a step takes {cost:.2f} of its time"
    )


def steady() -> str:
    """Implicit and explicit gradient steps over four decades of the step."""
    found = _figures("step-size-stability")
    steps, accuracy = found["steps"], found["test_accuracy"]
    wide = [k for k, step in enumerate(steps) if step >= 0.1]
    low, high = steps[wide[0]], steps[wide[-1]]
    spans = [
        [fmean(accuracy[label][k]) for k in wide]
        for label in ("Bregman, implicit SGD", "back-propagation, SGD")
    ]
    (a, b), (c, d) = ((min(span), max(span)) for span in spans)
    return f"steps {low:g} to {high:g}: accuracy {a:.3f} to {b:.3f}; SGD {c:.3f} to {d:.3f}"


def quick() -> str:
    """Seconds to an accuracy, relative to back-propagation with Adam."""
    methods = _measured("time_to_result")["perceptron"]["methods"]
    mine, theirs = (
        methods[label]["0.885"]["over_back_propagation"]
        for label in ("one sweep, implicit step", "back-propagation, implicit step")
    )
    return (
        f"{mine:.2f} of the seconds of back-propagation with Adam to 0.885; the gain is the "
        f"step's: with it, back-propagation takes {theirs:.2f}"
    )


def falling() -> str:
    """Sweeps with a rise, and the energy reached."""
    found = _figures("optimisers")
    parts = []
    for label in ("plain", "variable metric", "Adam"):
        energy, rises = fmean(found[label]["energy"]), fmean(found[label]["rises"])
        parts.append(f"{label}: energy {energy:.3g}, {rises:.0f} sweeps with a rise")
    return "; ".join(parts)


def deep(network: str) -> Callable[[], str]:
    """Accuracy at the two greatest depths."""

    def row() -> str:
        found = _figures("depth")["accuracy"][network]
        parts = []
        for k in (-2, -1):
            mine, theirs = (
                fmean(found[label][k]["test_accuracy"]) for label in ("lifted", "back-propagation")
            )
            depth = found["lifted"][k]["depth"]
            parts.append(f"{depth} layers: {mine:.2f}, back-propagation {theirs:.2f}")
        return "; ".join(parts)

    return row


def sparse() -> str:
    """Error and share of the code at one weight of the sparse term."""
    found, parts = _figures("sparse-autoencoder")["1000 images"], []
    labels = {
        "one sweep": "Bregman, one sweep + Adam",
        "implicit": "Bregman, implicit SGD",
        "back-propagation": "back-propagation, Adam",
    }
    for short, label in labels.items():
        f = found[label]["0.05"]
        error, used = fmean(f["test_mse"]), fmean(f["nonzero_code"])
        parts.append(f"{short}: error {error:.4f}, {used:.0%} of the code in use")
    return "; ".join(parts)


def restored(name: str) -> Callable[[], str]:
    """PSNR of both methods and of total variation."""

    def row() -> str:
        found = _figures(name)
        parts = [
            f"{label} {fmean(found[label]['psnr']):.2f} dB"
            for label in ("lifted", "back-propagation", "total variation")
        ]
        return ", ".join(parts)

    return row


def one_layer() -> str:
    """PSNR of regularised inversion, and the certificate."""
    found = _figures("perceptron-inversion")["pictures, seed 0"]["0.05"]
    tv, squares = (fmean(found[label]["psnr"]) for label in ("total variation", "least squares"))
    gap = max(found["total variation"]["gap"])
    return f"noise 0.05: total variation {tv:.1f} dB, least squares {squares:.1f} dB; gap {gap:.0e}"


def encoder() -> str:
    """PSNR without noise of the lifted inversion, Adam on the input, and the decoder."""
    parts = []
    for data, found in _figures("autoencoder-inversion").items():
        if data == "one batched call":
            continue
        own = "from the decoder's output"
        values = {
            label: found[key][0]["psnr"]
            for label, key in (
                ("decoder", "decoder"),
                ("lifted", "lifted inversion"),
                ("Adam", "Adam"),
                (f"lifted {own}", f"lifted inversion, {own}"),
                (f"Adam {own}", f"Adam, {own}"),
            )
        }
        words = ", ".join(f"{label} {value:.1f}" for label, value in values.items())
        parts.append(f"{data.split(',')[0]}: {words} dB")
    return "; ".join(parts)


def features() -> str:
    """How often Adam on the input is ahead."""
    ahead = total = 0
    for by in _figures("classifier-inversion").values():
        for key, runs in by.items():
            if key.endswith(", Adam"):
                other = by[key.replace(", Adam", ", lifted inversion")]
                ahead += fmean(f["psnr"] for f in runs) > fmean(f["psnr"] for f in other)
                total += 1
    return f"Adam on the input is ahead in {ahead} of {total} settings"


ROWS: list[tuple[str, str, Callable[[], str]]] = [
    ("a network to train, and a tuned optimiser", "`OneSweep(optax.adam(1e-3))`", cheap),
    ("no time to search for a step size", "`ImplicitSGD(step_size=1.0)`", steady),
    (
        "few epochs: the most accuracy in the least time",
        "`OneSweep(optax.adam(3e-3), metric=blocks.Implicit(10.0))`",
        quick,
    ),
    (
        "all samples in memory, and an energy that must not rise",
        "`BlockCoordinateDescent()`, also with a variable metric",
        falling,
    ),
    ("a deep network with shortcuts", "`OneSweep`, or back-propagation", deep("residual, relu")),
    ("a deep network without shortcuts", "`BackPropagation`", deep("plain, relu")),
    (
        "a code that is to be sparse",
        "`ImplicitSGD` for the smallest error; with more weight on the code any of them",
        sparse,
    ),
    ("a denoiser that unrolls an algorithm", "`OneSweep`", restored("pnn-denoising")),
    ("deblurring", "either", restored("deblurring")),
    ("tomography", "either", restored("tomography")),
    ("to invert one layer", "`invert` (`PrimalDual`)", one_layer),
    ("to invert an encoder", "`invert` (`BlockDescent`), or Adam on the input", encoder),
    ("to invert deep features of a classifier", "Adam on the input", features),
]


def page() -> str:
    """The page."""
    lines = ["| you have, or want | take | measured |", "|---|---|---|"]
    lines += [f"| {want} | {take} | {row()} |" for want, take, row in ROWS]
    text = (HERE / "results" / "choosing.md").read_text(encoding="utf-8")
    return text.replace("{{ TABLE }}", "\n".join(lines))


def main() -> None:
    """Write it."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
