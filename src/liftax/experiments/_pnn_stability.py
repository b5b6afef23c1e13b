"""Which settings train: depth, step size and initial scale of proximal neural networks."""

import itertools
from collections.abc import Sequence
from typing import Any

from liftax.experiments._experiment import Experiment, Record
from liftax.experiments._photographs import failures
from liftax.experiments._plots import panels
from liftax.experiments._pnn_denoising import PNN_DENOISING, DenoisingStudy
from liftax.experiments._side_by_side import BACKWARD, METHODS

Grid = Sequence[dict[str, Any]]


def _run(record: Record) -> None:
    config, study = record.config, DenoisingStudy(record)
    sigma = config["sigma"]
    reference = study.psnr(study.total_variation(sigma))
    grid = []
    settings = itertools.product(
        config["depths"], config["rates"], config["scales"], METHODS, record.seeds
    )
    for iterations, rate, scale, method, seed in settings:
        labels = {"rate": rate, "scale": scale, "method": method, "seed": seed}
        setting = study.setting(iterations=iterations)
        denoiser, _ = study.train(setting, config["grid_samples"], **labels)
        over = study.psnr(study.denoised(denoiser, sigma)) - reference
        grid.append({"iterations": iterations, **labels, "over": over})
    counts = failures(grid, METHODS, config["margins"])
    record.figures = {"total variation": reference, "grid": grid, "failures": counts}
    _write(record, grid, counts)


def _write(record: Record, grid: Grid, counts: list[list[str]]) -> None:
    report, config = record.report, record.config
    report.heading("Which settings train")
    report.table(("failures", *METHODS), counts, "of all depths, learning rates, scales and seeds")
    groups: dict[str, Any] = {}
    for depth, scale in itertools.product(config["depths"], config["scales"]):
        groups[f"{depth} iterations, initial scale {scale:g}"] = {
            m: (config["rates"], _by_seed(record, grid, (depth, scale, m))) for m in METHODS
        }
    plot = panels(groups, "learning rate", "dB over TV", log="x", baseline=(BACKWARD,))
    steps, side = config["epochs"] * (config["grid_samples"] // config["batch"]), config["side"]
    caption = f"After {steps} steps on {config['batch']} squares of {side}x{side} pixels"
    report.figure(plot, caption)
    record.headline = [f"{row[0]}: lifted {row[1]}, {BACKWARD} {row[2]}" for row in counts]


def _by_seed(record: Record, grid: Grid, key: tuple) -> list[list[float]]:
    """A row of results per seed, along the learning rates."""
    found = {
        (r["seed"], r["rate"]): r["over"]
        for r in grid
        if (r["iterations"], r["scale"], r["method"]) == key
    }
    return [[found[seed, rate] for rate in record.config["rates"]] for seed in record.seeds]


PNN_STABILITY = Experiment(
    name="pnn-stability",
    title="Which settings train a proximal neural network",
    lead="The networks of pnn-denoising, lifted and by back-propagation, over depths, learning rates and scales of the "
    "initial weights: for how many does each method fail?",
    config={
        **{
            key: PNN_DENOISING.config[key]
            for key in (
                *("data", "samples", "held_out", "sigma", "family", "network", "features"),
                *("side", "epochs", "step", "nudge", "tv_weights"),
            )
        },
        "batch": 2,
        "depths": [5, 20],
        "rates": [1e-3, 3e-3, 1e-2],
        "scales": [0.1, 1.0],
        "grid_samples": 3200,
        "margins": [0.0, 0.5, 0.75, 1.0],
        "seeds": [0],
    },
    quick={
        "data": "samples",
        "samples": 72,
        "held_out": 8,
        "network": {"kernel": 3, "threshold": 0.02},
        "features": 4,
        "side": 40,
        "depths": [2],
        "rates": [3e-3, 1e-2],
        "scales": [1.0],
        "grid_samples": 32,
        "tv_weights": [0.7],
    },
    run=_run,
)
