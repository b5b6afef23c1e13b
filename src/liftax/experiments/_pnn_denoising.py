"""Proximal neural networks for denoising: lifted training against back-propagation."""

from typing import Any

import numpy as np

from liftax.experiments._denoising_study import DenoisingStudy, run_grid, write_grid
from liftax.experiments._experiment import Experiment, Record, spread
from liftax.experiments._photographs import scores, with_noise
from liftax.experiments._pictures import comparison
from liftax.experiments._side_by_side import METHODS
from liftax.imaging import lipschitz_estimate


def _run(record: Record) -> None:
    config, study = record.config, DenoisingStudy(record)
    sigma, noisy = config["sigma"], with_noise(study.pictures, config["sigma"])
    variation = study.total_variation(sigma)
    grid = run_grid(study, study.psnr(variation), config["grid_seeds"], config["grid_side"])
    shown = {"photograph": study.pictures, "noisy": noisy, "total variation": variation}
    table = []
    for label in ("noisy", "total variation"):
        mean = scores(shown[label], study.pictures).mean(axis=0)
        record.figures[label] = {"psnr": [mean[0]], "ssim": [mean[1]]}
    for method in METHODS:
        rate = max(config["rates"], key=lambda r, m=method: _of(grid, m, r))
        found: dict[str, list[float]] = {"psnr": [], "ssim": [], "lipschitz": [], "weaker": []}
        for seed in record.seeds:
            labels = {"method": method, "rate": rate, "scale": 1.0, "seed": seed}
            denoiser = study.train(study.setting(), None, **labels)
            images = study.denoised(denoiser, sigma)
            mean = scores(images, study.pictures).mean(axis=0)
            gains = lipschitz_estimate(denoiser.at(sigma), with_noise(study.unseen[:8], sigma))
            other = with_noise(study.pictures, 0.5 * sigma)
            unseen = [denoiser(y, sigma) for y in other]
            row = (*mean, gains.max(), study.psnr(unseen))
            for values, number in zip(found.values(), row, strict=True):
                values.append(float(number))
            shown[method] = images
        record.figures[method] = {"rate": rate, **found}
    for label, f in record.figures.items():
        digits = {"psnr": 2, "ssim": 4, "lipschitz": 3, "weaker": 2}
        table.append((label, *(spread(f[k], d) if k in f else "" for k, d in digits.items())))
    _write(record, study, table, shown)
    write_grid(record, grid, config["grid_side"])


def _of(grid: list[dict[str, Any]], method: str, rate: float) -> float:
    """Mean result of a rate over depths, with the initial scale 1; a failure never wins."""
    chosen = [r["over"] for r in grid if (r["method"], r["rate"], r["scale"]) == (method, rate, 1)]
    mean = float(np.mean(chosen))
    return mean if np.isfinite(mean) else -np.inf


def _write(record: Record, study: DenoisingStudy, table: list, shown: dict[str, Any]) -> None:
    report, config = record.report, record.config
    report.heading("The result")
    columns = ("method", "PSNR, dB", "SSIM", "Lipschitz", "PSNR at half the noise, dB")
    report.table(columns, table, f"{len(study.names)} photographs, seeds {record.seeds}")
    chosen = [i for i in config["shown"] if i < len(study.names)]
    few = {label: images[chosen] for label, images in shown.items()}
    comparison(report, few, f"Noise of σ = {config['sigma']:g}, last seed")
    record.headline = [" ".join(["PSNR", row[0], row[1], "dB"]) for row in table]


PNN_DENOISING = Experiment(
    name="pnn-denoising",
    title="Proximal neural networks for denoising",
    lead="An unrolled algorithm trained on photographs, lifted and by back-propagation, with equal data "
    "and tuning: how good do they get, and for how many settings does each train?",
    config={
        "data": "photographs",
        "samples": None,
        "held_out": 120,
        "sigma": 0.1,
        "family": "ddfb",
        "network": {"features": 32, "kernel": 5, "threshold": 0.02},
        "iterations": 10,
        "batch": 4,
        "side": 64,
        "epochs": 1,
        "step": 0.1,
        "nudge": 0.1,
        "rates": [1e-3, 3e-3, 1e-2, 3e-2],
        "scales": [0.1, 1.0, 3.0],
        "depths": [5, 10, 20],
        "grid_samples": 1600,
        "grid_side": 40,
        "grid_seeds": [0],
        "margins": [0.0, 0.5, 1.0],
        "tv_weights": [0.4, 0.6, 0.8, 1.0, 1.2],
        "shown": [0, 2, 12, 14],
        "seeds": [0, 1, 2],
    },
    quick={
        "data": "samples",
        "samples": 72,
        "held_out": 8,
        "network": {"features": 4, "kernel": 3, "threshold": 0.02},
        "iterations": 2,
        "rates": [3e-3, 1e-2],
        "scales": [1.0],
        "depths": [2],
        "grid_samples": 32,
        "tv_weights": [0.7],
        "shown": [0, 1],
        "seeds": [0, 1],
    },
    run=_run,
)
