"""The denoiser that comes with the package."""

from typing import Any

import jax
import numpy as np
import optax
from jaxtyping import Array, PRNGKeyArray

from liftax.data import Dataset
from liftax.experiments._experiment import Experiment, Record
from liftax.experiments._photographs import (
    any_level,
    best_total_variation,
    scores,
    test_photographs,
    training_patches,
    with_noise,
)
from liftax.experiments._pictures import comparison
from liftax.imaging import noise_level
from liftax.methods import OneSweep
from liftax.networks import ddfb
from liftax.restoration import Denoiser
from liftax.training import fit


def _run(record: Record) -> None:
    config = record.config
    squares = training_patches(config["data"], config["samples"])
    network = ddfb(squares.shape[1:], **config["network"], interval=None)
    steps = config["epochs"] * (len(squares) // config["batch"])
    rate = optax.cosine_decay_schedule(config["rate"], steps)
    method = OneSweep(optax.adam(rate), config["step"], config["nudge"])

    def transform(key: PRNGKeyArray, x: Array, _: Array) -> tuple[Array, Array]:
        return any_level(key, x - 0.5, config["sigmas"], config["sigma"])

    result = fit(
        network,
        Dataset(squares),
        method,
        epochs=config["epochs"],
        batch_size=config["batch"],
        transform=transform,
        seed=record.seeds[0],
        checkpoints=record.checkpoints(seed=record.seeds[0]),
        progress=None,
    )
    record.model = record.add(result, method="lifted", seed=record.seeds[0])
    arguments = tuple(sorted(config["network"].items()))
    denoiser = Denoiser(result.params, "ddfb", arguments, config["sigma"])
    record.meta = denoiser.meta
    _measure(record, denoiser)


def _measure(record: Record, denoiser: Denoiser) -> None:
    """Against the noisy photograph and total variation, at several noise levels."""
    config, report = record.config, record.report
    names, pictures = test_photographs(config["data"])
    table: list[tuple[str, ...]] = []
    shown: dict[str, Any] = {}
    for sigma in config["measured"]:
        noisy = with_noise(pictures, sigma)
        weights = sigma * np.array(config["tv_weights"])
        restored = {
            "noisy": noisy,
            "total variation": best_total_variation(noisy, pictures, weights),
            "network": np.stack([denoiser(y, sigma) for y in noisy]),
            "network, σ estimated": np.stack([denoiser(y) for y in noisy]),
        }
        figures = {label: scores(images, pictures) for label, images in restored.items()}
        record.figures[f"sigma {sigma:.4g}"] = {
            label: {"psnr": f[:, 0], "ssim": f[:, 1]} for label, f in figures.items()
        }
        record.figures[f"sigma {sigma:.4g}"]["estimate"] = [noise_level(y) for y in noisy]
        table += [
            (f"{sigma:.4g}", label, f"{f[:, 0].mean():.2f}", f"{f[:, 1].mean():.4f}")
            for label, f in figures.items()
        ]
        if sigma == config["sigma"]:
            shown = {"photograph": pictures, **restored}
            record.headline = [
                f"σ = {sigma:g}, {label}: {f[:, 0].mean():.2f} dB, SSIM {f[:, 1].mean():.4f}"
                for label, f in figures.items()
            ]
    shown.pop("network, σ estimated", None)
    report.heading("The result")
    caption = f"means over {len(names)} photographs that no training has seen"
    report.table(("noise σ", "method", "PSNR, dB", "SSIM"), table, caption)
    count = sum(leaf.size for leaf in jax.tree.leaves(denoiser.params))
    report.text(
        f"One network of {count:,} weights for all levels: its input is scaled so that the noise has "
        "the level of its thresholds. Total variation has the best of "
        f"{len(config['tv_weights'])} weights for each photograph, chosen by looking at it."
    )
    if shown:
        chosen = [i for i in config["shown"] if i < len(names)]
        few = {label: images[chosen] for label, images in shown.items()}
        comparison(report, few, f"Noise of σ = {config['sigma']:g}")


DENOISER = Experiment(
    name="denoiser",
    title="The denoiser that comes with the package",
    lead="An unrolled algorithm, trained by one sweep of the lifted energy on photographs with noise "
    "of any level: how well does it remove noise from photographs that it has never seen?",
    config={
        "data": "photographs",
        "samples": None,
        "network": {"features": 32, "iterations": 10, "kernel": 5, "threshold": 0.02},
        "batch": 4,
        "epochs": 2,
        "rate": 3e-3,
        "step": 0.1,
        "nudge": 0.1,
        "sigma": 0.1,
        "sigmas": [0.02, 0.2],
        "measured": [0.05, 25 / 255, 0.1, 0.15],
        "tv_weights": [0.4, 0.6, 0.8, 1.0, 1.2],
        "shown": [0, 2, 12, 14],
        "seeds": [0],
    },
    quick={
        "data": "samples",
        "samples": 64,
        "network": {"features": 8, "iterations": 3, "kernel": 3, "threshold": 0.02},
        "epochs": 4,
        "measured": [0.1],
        "tv_weights": [0.7],
        "shown": [0, 1],
    },
    run=_run,
)
