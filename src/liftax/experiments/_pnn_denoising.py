"""Proximal neural networks for denoising: lifted training against back-propagation."""

import itertools
from typing import Any

import jax
import numpy as np
import optax
from jaxtyping import Array, PRNGKeyArray

from liftax.data import Dataset
from liftax.experiments._experiment import Experiment, Record, spread
from liftax.experiments._photographs import (
    best_total_variation,
    failures,
    noisier,
    scores,
    test_photographs,
    training_patches,
    with_noise,
)
from liftax.experiments._pictures import comparison
from liftax.experiments._plots import panels
from liftax.imaging import lipschitz_estimate
from liftax.methods import AbstractMethod, BackPropagation, OneSweep
from liftax.restoration import NETWORKS, Denoiser
from liftax.training import Result, fit

LIFTED, BACKWARD = METHODS = ("lifted", "back-propagation")


class _Study:
    """Data and settings that all runs share."""

    def __init__(self, record: Record):
        self.record, self.config = record, record.config
        squares = training_patches(self.config["data"], self.config["samples"])
        # The last ones are of other photographs; the rest is mixed, so that a part is a sample.
        squares, unseen = np.split(squares, [len(squares) - self.config["held_out"]])
        self.squares = np.random.default_rng(0).permutation(squares)
        self.validation = (with_noise(unseen, self.config["sigma"]) - 0.5, unseen - 0.5)
        self.names, self.pictures = test_photographs(self.config["data"])
        self.noisy = with_noise(self.pictures, self.config["sigma"])

    def train(self, samples: int | None, side: int, epochs: int, **labels: Any) -> Denoiser:
        """One run on the corners of the squares; labels: method, rate, iterations, scale, seed."""
        config, squares = self.config, self.squares[:samples, :side, :side]
        noisy, unseen = self.validation
        arguments = {**config["network"], "iterations": labels["iterations"]}
        network = NETWORKS[config["family"]](squares.shape[1:], **arguments, interval=None)
        params = network.init(jax.random.key(labels["seed"]))

        def transform(key: PRNGKeyArray, x: Array, _: Array) -> tuple[Array, Array]:
            return noisier(key, x - 0.5, config["sigma"])

        steps = epochs * (len(squares) // config["batch"])
        done: Result = fit(
            network,
            Dataset(squares),
            self._method(labels["method"], labels["rate"], steps),
            epochs=epochs,
            batch_size=config["batch"],
            validation=(noisy[:, :side, :side], unseen[:, :side, :side]),
            transform=transform,
            params=jax.tree.map(lambda p: labels["scale"] * p, params),
            seed=labels["seed"],
            checkpoints=self.record.checkpoints(
                samples=len(squares), side=side, epochs=epochs, **labels
            ),
            progress=False,
        )
        self.record.add(done, samples=len(squares), **labels)
        if labels["method"] == LIFTED:
            self.record.model = done
        ordered = tuple(sorted(arguments.items()))
        return Denoiser(done.params, config["family"], ordered, config["sigma"])

    def _method(self, name: str, rate: float, steps: int) -> AbstractMethod:
        adam = optax.adam(optax.cosine_decay_schedule(rate, steps))
        if name == BACKWARD:
            return BackPropagation(adam)
        return OneSweep(adam, self.config["step"], self.config["nudge"])

    def psnr(self, denoiser: Denoiser) -> float:
        """Mean over the test photographs; NaN stays NaN."""
        images = [denoiser(y, self.config["sigma"]) for y in self.noisy]
        return float(scores(images, self.pictures)[:, 0].mean())


def _run(record: Record) -> None:
    config, study = record.config, _Study(record)
    sigma = config["sigma"]
    weights = sigma * np.array(config["tv_weights"])
    variation = best_total_variation(study.noisy, study.pictures, weights)
    reference = float(scores(variation, study.pictures)[:, 0].mean())
    grid = _grid(study, reference)
    shown = {"photograph": study.pictures, "noisy": study.noisy, "total variation": variation}
    table = []
    for label in ("noisy", "total variation"):
        mean = scores(shown[label], study.pictures).mean(axis=0)
        record.figures[label] = {"psnr": [mean[0]], "ssim": [mean[1]]}
    for method in METHODS:
        rate = max(config["rates"], key=lambda r, m=method: _of(grid, m, r))
        found: dict[str, list[float]] = {"psnr": [], "ssim": [], "lipschitz": [], "weaker": []}
        for seed in record.seeds:
            setting = {"method": method, "rate": rate, "scale": 1.0, "seed": seed}
            denoiser = study.train(
                None, config["side"], config["epochs"], iterations=config["iterations"], **setting
            )
            images = np.stack([denoiser(y, sigma) for y in study.noisy])
            mean = scores(images, study.pictures).mean(axis=0)
            gains = lipschitz_estimate(denoiser.at(sigma), study.validation[0][:8] + 0.5)
            other = with_noise(study.pictures, 0.5 * sigma)
            unseen = [denoiser(y, sigma) for y in other]
            row = (*mean, gains.max(), scores(unseen, study.pictures)[:, 0].mean())
            for values, number in zip(found.values(), row, strict=True):
                values.append(float(number))
            shown[method] = images
        record.figures[method] = {"rate": rate, **found}
    for label, f in record.figures.items():
        digits = {"psnr": 2, "ssim": 4, "lipschitz": 3, "weaker": 2}
        table.append((label, *(spread(f[k], d) if k in f else "" for k, d in digits.items())))
    record.figures["grid"] = grid
    _write(record, study, table, shown)


def _grid(study: _Study, reference: float) -> list[dict[str, Any]]:
    """PSNR of every method for every depth, step size and initial scale, over that of TV."""
    config, rows = study.config, []
    settings = itertools.product(
        config["depths"], config["rates"], config["scales"], METHODS, config["grid_seeds"]
    )
    for iterations, rate, scale, method, seed in settings:
        labels = {"iterations": iterations, "rate": rate, "scale": scale, "method": method}
        denoiser = study.train(config["grid_samples"], config["grid_side"], 1, seed=seed, **labels)
        rows.append({**labels, "seed": seed, "over": study.psnr(denoiser) - reference})
    return rows


def _of(grid: list[dict[str, Any]], method: str, rate: float) -> float:
    """Mean result of a rate over depths, with the initial scale 1; a failure never wins."""
    chosen = [r["over"] for r in grid if (r["method"], r["rate"], r["scale"]) == (method, rate, 1)]
    mean = float(np.mean(chosen))
    return mean if np.isfinite(mean) else -np.inf


def _write(record: Record, study: _Study, table: list, shown: dict[str, Any]) -> None:
    report, config, grid = record.report, record.config, record.figures["grid"]
    report.heading("The result")
    columns = ("method", "PSNR, dB", "SSIM", "Lipschitz", "PSNR at half the noise, dB")
    report.table(columns, table, f"{len(study.names)} photographs, seeds {record.seeds}")
    chosen = [i for i in config["shown"] if i < len(study.names)]
    few = {label: images[chosen] for label, images in shown.items()}
    report.figure(comparison(few), f"Noise of σ = {config['sigma']:g}, last seed")
    report.heading("Which settings train")
    groups: dict[str, Any] = {}
    for depth, scale in itertools.product(config["depths"], config["scales"]):
        groups[f"{depth} iterations, initial scale {scale:g}"] = {
            method: (config["rates"], _by_seed(grid, (depth, scale, method), config))
            for method in METHODS
        }
    plot = panels(groups, "learning rate", "dB over TV", log="x", baseline=(BACKWARD,))
    steps, side = config["grid_samples"] // config["batch"], config["grid_side"]
    report.figure(plot, f"After {steps} steps on squares of {side}x{side} pixels")
    counts = failures(grid, METHODS, config["margins"])
    report.table(("failures", *METHODS), counts, "of all depths, learning rates, scales and seeds")
    record.figures["failures"] = counts
    record.headline = [" ".join(["PSNR", row[0], row[1], "dB"]) for row in table]
    record.headline += [f"{row[0]}: {LIFTED} {row[1]}, {BACKWARD} {row[2]}" for row in counts]


def _by_seed(grid: list[dict[str, Any]], key: tuple, config: dict[str, Any]) -> list[list[float]]:
    """A row of results per seed, along the learning rates."""
    return [
        [
            next(
                r["over"]
                for r in grid
                if (r["iterations"], r["scale"], r["method"]) == key
                and (r["rate"], r["seed"]) == (rate, seed)
            )
            for rate in config["rates"]
        ]
        for seed in config["grid_seeds"]
    ]


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
