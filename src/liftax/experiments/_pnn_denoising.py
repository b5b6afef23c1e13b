"""Proximal neural networks for denoising: lifted training against back-propagation."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from liftax.data import Dataset
from liftax.experiments._experiment import Experiment, Record, spread
from liftax.experiments._photographs import (
    any_level,
    best_total_variation,
    noisier,
    scores,
    test_photographs,
    training_patches,
    with_noise,
)
from liftax.experiments._pictures import comparison
from liftax.experiments._side_by_side import METHODS, seconds, slower, train
from liftax.imaging import lipschitz_estimate
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
        fields = {**self.config, **other}
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
    ) -> tuple[Denoiser, float]:
        """A run on the corners of the squares, and its held-out error.

        Labels: method, rate, scale, seed.
        """
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
        error = float(done.history.last.get("validation_mse", np.nan))
        return Denoiser(done.params, config["family"], arguments, own), error

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


def _run(record: Record) -> None:
    config, study = record.config, DenoisingStudy(record)
    sigma, main = config["sigma"], study.setting()
    shown = {
        "photograph": study.pictures,
        "noisy": with_noise(study.pictures, sigma),
        "total variation": study.total_variation(sigma),
    }
    for label in ("noisy", "total variation"):
        mean = scores(shown[label], study.pictures).mean(axis=0)
        record.figures[label] = {"psnr": [mean[0]], "ssim": [mean[1]]}
    tuning = {m: _errors(study, main, m) for m in METHODS}
    rates = {m: config["rates"][int(np.argmin(errors))] for m, errors in tuning.items()}
    times = seconds(study.network(main, config["side"]), config)
    # Where no number of steps is given: all.
    for method in METHODS:
        found, shown[method] = _finals(study, None, method=method, rate=rates[method])
        record.figures[method] = {"seconds_per_step": times[method], **found}
    slow, fast, share = slower(times)
    samples = config["batch"] * max(1, round(share * (len(study.squares) // config["batch"])))
    found, _ = _finals(study, samples, method=slow, rate=rates[slow])
    record.figures[f"{slow}, in the seconds of {fast}"] = found
    variants = [_variant(study, rates, fields) for fields in config["variants"]]
    _write(record, study, shown)
    record.figures |= {"tuning": tuning, "variants": [row for rows in variants for row in rows]}
    _write_variants(record)


def _errors(study: DenoisingStudy, setting: Setting, method: str) -> list[float]:
    """Held-out errors of short runs, one for each rate; a failure never wins."""
    config, found = study.config, []
    for rate in config["rates"]:
        labels = {"method": method, "rate": rate, "scale": 1.0, "seed": 0}
        _, error = study.train(setting, config["tuning_samples"], config["tuning_side"], **labels)
        found.append(error if np.isfinite(error) else np.inf)
    return found


def _finals(
    study: DenoisingStudy, samples: int | None, **labels: Any
) -> tuple[dict[str, Any], np.ndarray]:
    """Figures of every seed, and the pictures of the last one."""
    sigma, setting, images = study.config["sigma"], study.setting(), np.array(0.0)
    found: dict[str, list[float]] = {"psnr": [], "ssim": [], "lipschitz": [], "weaker": []}
    for seed in study.record.seeds:
        denoiser, _ = study.train(setting, samples, scale=1.0, seed=seed, **labels)
        images = study.denoised(denoiser, sigma)
        mean = scores(images, study.pictures).mean(axis=0)
        gains = lipschitz_estimate(denoiser.at(sigma), with_noise(study.unseen[:8], sigma))
        weaker = with_noise(study.pictures, 0.5 * sigma)
        unseen = [denoiser(y, sigma) for y in weaker]
        row = (*mean, gains.max(), study.psnr(unseen))
        for values, number in zip(found.values(), row, strict=True):
            values.append(float(number))
    return {"rate": labels["rate"], **found}, images


def _variant(
    study: DenoisingStudy, rates: Mapping[str, float], fields: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Another noise, depth or width, with fewer steps; a row for every noise level of the test."""
    config, setting = study.config, study.setting(**fields)
    label = ", ".join(f"{k} {_text(v)}" for k, v in fields.items()) or "as above"
    times = seconds(study.network(setting, config["side"]), config)
    levels = [setting.sigma] if isinstance(setting.sigma, float) else config["tested"]
    trained = {
        m: study.train(
            setting,
            config["variant_samples"],
            method=m,
            rate=rates[m],
            scale=1.0,
            seed=study.record.seeds[0],
        )[0]
        for m in METHODS
    }
    return [
        {
            "setting": label,
            "sigma": level,
            "total variation": study.psnr(study.total_variation(level)),
            "psnr": {m: study.psnr(study.denoised(d, level)) for m, d in trained.items()},
            "seconds_per_step": {m: float(np.median(times[m])) for m in METHODS},
        }
        for level in levels
    ]


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float | int) else " to ".join(map(_text, value))


def _write(record: Record, study: DenoisingStudy, shown: dict[str, Any]) -> None:
    report, config = record.report, record.config
    report.heading("The result")
    digits = {"psnr": 2, "ssim": 4, "lipschitz": 3, "weaker": 2, "seconds_per_step": 3}
    table = [
        (label, *(spread(f[k], d) if k in f else "" for k, d in digits.items()))
        for label, f in record.figures.items()
    ]
    columns = ("method", "PSNR, dB", "SSIM", "Lipschitz", "PSNR at half the noise, dB", "s a step")
    report.table(columns, table, f"{len(study.names)} photographs, seeds {record.seeds}")
    report.text(
        "At half the noise the networks are told the level that they were trained for. Seconds are "
        "processor time of steps of both methods by turns."
    )
    chosen = [i for i in config["shown"] if i < len(study.names)]
    few = {label: images[chosen] for label, images in shown.items()}
    report.figure(comparison(few), f"Noise of σ = {config['sigma']:g}, last seed")
    record.headline = [" ".join(["PSNR", row[0], row[1], "dB"]) for row in table]


def _write_variants(record: Record) -> None:
    report, config = record.report, record.config
    rows = [
        (
            row["setting"],
            _text(row["sigma"]),
            f"{row['total variation']:.2f}",
            *(f"{row['psnr'][m]:.2f}" for m in METHODS),
            *(f"{row['seconds_per_step'][m]:.3f}" for m in METHODS),
        )
        for row in record.figures["variants"]
    ]
    report.heading("Other noise, depths and widths")
    columns = ("setting", "noise of the test", "total variation", *METHODS)
    steps = config["epochs"] * (config["variant_samples"] // config["batch"])
    caption = f"PSNR in dB after {steps} steps, one seed, and processor seconds a step"
    report.table((*columns, *(f"s a step, {m}" for m in METHODS)), rows, caption)


PNN_DENOISING = Experiment(
    name="pnn-denoising",
    title="Proximal neural networks for denoising",
    lead="An unrolled algorithm trained on photographs, lifted and by back-propagation, with equal data "
    "and tuning, in equal epochs and in equal seconds: how good do they get, with how much noise, depth and width?",
    config={
        "data": "photographs",
        "samples": None,
        "held_out": 120,
        "sigma": 0.1,
        "family": "ddfb",
        "network": {"kernel": 5, "threshold": 0.02},
        "iterations": 10,
        "features": 32,
        "batch": 4,
        "side": 64,
        "epochs": 1,
        "step": 0.1,
        "nudge": 0.1,
        "rates": [1e-3, 3e-3, 1e-2],
        "tuning_samples": 1600,
        "tuning_side": 40,
        "variants": [
            {},
            {"iterations": 5},
            {"iterations": 20},
            {"features": 16},
            {"features": 64},
            {"sigma": 0.05},
            {"sigma": 25 / 255},
            {"sigma": [0.02, 0.2]},
        ],
        "variant_samples": 2400,
        "tested": [0.05, 0.1, 0.15],
        "tv_weights": [0.4, 0.6, 0.8, 1.0, 1.2],
        "shown": [0, 2, 12, 14],
        "seeds": [0, 1, 2],
    },
    quick={
        "data": "samples",
        "samples": 72,
        "held_out": 8,
        "network": {"kernel": 3, "threshold": 0.02},
        "iterations": 2,
        "features": 4,
        "rates": [1e-2],
        "tuning_samples": 32,
        "variants": [{"sigma": [0.02, 0.2]}],
        "variant_samples": 32,
        "tested": [0.05],
        "tv_weights": [0.7],
        "shown": [0, 1],
        "seeds": [0],
    },
    run=_run,
)
