"""Proximal neural networks for denoising: what the experiments on them share."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from liftax.data import Dataset
from liftax.experiments._experiment import Record
from liftax.experiments._photographs import (
    any_level,
    best_total_variation,
    failures,
    noisier,
    scores,
    test_photographs,
    training_patches,
    with_noise,
)
from liftax.experiments._plots import panels
from liftax.experiments._side_by_side import BACKWARD, LIFTED, METHODS, train
from liftax.networks import Network
from liftax.restoration import NETWORKS, Denoiser

Level = float | Sequence[float]


class Setting(NamedTuple):
    """Depth and width of the network, and the noise: a level, or the two ends of a range."""

    iterations: int
    features: int
    sigma: Level


class DenoisingStudy:
    """Data and settings that all runs share."""

    def __init__(self, record: Record):
        self.record, self.config = record, record.config
        squares = training_patches(self.config["data"], self.config["samples"])
        # The last ones are of other photographs; the rest is mixed, so that a part is a sample.
        squares, self.unseen = np.split(squares, [len(squares) - self.config["held_out"]])
        self.squares = np.random.default_rng(0).permutation(squares)
        self.names, self.pictures = test_photographs(self.config["data"])

    def setting(self, **other: Any) -> Setting:
        """As configured, but for these fields."""
        fields = {**self.config, **self.config["network"], **other}
        return Setting(*(fields[name] for name in Setting._fields))

    def arguments(self, setting: Setting) -> dict[str, Any]:
        """Of the network."""
        sizes = {"iterations": setting.iterations, "features": setting.features}
        return {**self.config["network"], **sizes}

    def network(self, setting: Setting, side: int) -> Network:
        """For squares."""
        build = NETWORKS[self.config["family"]]
        return build((side, side, 1), **self.arguments(setting), interval=None)

    def train(
        self, setting: Setting, samples: int | None, size: int | None = None, **labels: Any
    ) -> Denoiser:
        """A run on squares, or their corners; labels: method, rate, scale, seed."""
        config = self.config
        side: int = config["side"] if size is None else size
        squares, unseen = (x[:, :side, :side] for x in (self.squares[:samples], self.unseen))
        network, sigma, level = self.network(setting, side), setting.sigma, config["sigma"]

        def transform(key: PRNGKeyArray, x: Array, _: Array) -> tuple[Array, Array]:
            if isinstance(sigma, float):
                return noisier(key, x - 0.5, sigma)
            return any_level(key, x - 0.5, sigma, level)

        own = sigma if isinstance(sigma, float) else level
        done = train(
            self.record,
            network,
            network.init(jax.random.key(labels["seed"])),
            Dataset(squares),
            config["epochs"],
            {"transform": transform, "validation": (with_noise(unseen, own) - 0.5, unseen - 0.5)},
            **setting._asdict(),
            **labels,
        )
        arguments = tuple(sorted(self.arguments(setting).items()))
        return Denoiser(done.params, config["family"], arguments, own)

    def total_variation(self, sigma: float) -> np.ndarray:
        """The best weight for each photograph."""
        weights = sigma * np.array(self.config["tv_weights"])
        return best_total_variation(with_noise(self.pictures, sigma), self.pictures, weights)

    def psnr(self, images: Any) -> float:
        """Mean over the test photographs; NaN stays NaN."""
        return float(scores(images, self.pictures)[:, 0].mean())

    def denoised(self, denoiser: Denoiser, sigma: float) -> np.ndarray:
        """The test photographs with noise of a level that the denoiser is told."""
        return np.stack([denoiser(y, sigma) for y in with_noise(self.pictures, sigma)])


def run_grid(
    study: DenoisingStudy, reference: float, seeds: Sequence[int], size: int | None = None
) -> list[dict[str, Any]]:
    """PSNR of every method for every depth, step size and initial scale, over that of TV."""
    config, rows = study.config, []
    settings = itertools.product(
        config["depths"], config["rates"], config["scales"], METHODS, seeds
    )
    for iterations, rate, scale, method, seed in settings:
        labels = {"rate": rate, "scale": scale, "method": method, "seed": seed}
        setting = study.setting(iterations=iterations)
        denoiser = study.train(setting, config["grid_samples"], size, **labels)
        over = study.psnr(study.denoised(denoiser, config["sigma"])) - reference
        rows.append({"iterations": iterations, **labels, "over": over})
    return rows


def write_grid(record: Record, grid: list[dict[str, Any]], side: int) -> None:
    """A panel for every depth and scale, and how many runs fail."""
    report, config = record.report, record.config
    seeds = dict.fromkeys(r["seed"] for r in grid)
    found = {
        tuple(r[k] for k in ("iterations", "scale", "method", "seed", "rate")): r["over"]
        for r in grid
    }
    report.heading("Which settings train")
    groups: dict[str, Any] = {}
    for depth, scale in itertools.product(config["depths"], config["scales"]):
        groups[f"{depth} iterations, initial scale {scale:g}"] = {
            m: (
                config["rates"],
                [[found[depth, scale, m, s, r] for r in config["rates"]] for s in seeds],
            )
            for m in METHODS
        }
    plot = panels(groups, "learning rate", "dB over TV", "x", (BACKWARD,))
    steps, batch = config["epochs"] * (config["grid_samples"] // config["batch"]), config["batch"]
    report.charts(plot, f"After {steps} steps on {batch} squares of {side}x{side} pixels")
    counts = failures(grid, METHODS, config["margins"])
    report.table(("failures", *METHODS), counts, "of all depths, learning rates, scales and seeds")
    record.figures |= {"grid": grid, "failures": counts}
    record.headline += [f"{row[0]}: {LIFTED} {row[1]}, {BACKWARD} {row[2]}" for row in counts]
