"""Lifted training against back-propagation on several architectures."""

from collections.abc import Callable
from typing import Any

import numpy as np

from liftax.data import load
from liftax.experiments._experiment import Experiment, Record, spread
from liftax.experiments._plots import curves
from liftax.experiments._tuning import Family, adam, column, hold_out, part, tune
from liftax.methods import BackPropagation, OneSweep
from liftax.networks import Network, lenet, mlp, resnet, transformer
from liftax.objectives import LiftedEnergy
from liftax.training import fit

LIFTED, MIRROR, BASELINE = "lifted", "lifted, mirror steps", "back-propagation"
METHODS: dict[str, Family] = {
    LIFTED: lambda rate: OneSweep(adam(rate)),
    MIRROR: lambda rate: OneSweep(adam(rate), mirror=True),
    BASELINE: lambda rate: BackPropagation(adam(rate)),
}


def _networks(
    shape: tuple[int, int, int], config: dict[str, Any]
) -> dict[str, Callable[[], Network]]:
    pixels, width = int(np.prod(shape)), config["width"]
    return {
        "perceptron": lambda: mlp([pixels, 256, 256, 10]),
        "LeNet": lambda: lenet(shape),
        "ResNet, 20 blocks": lambda: resnet(pixels, width, 20, 10),
        "ResNet, 20 blocks, V = Wᵀ": lambda: resnet(pixels, width, 20, 10, tied=True),
        "transformer, 1 block": lambda: transformer(
            shape, width, 1, 10, heads=config["heads"], patch=config["patch"]
        ),
    }


def _run(record: Record) -> None:
    config = record.config
    data = load(config["data"])
    shape = tuple(data.train.x.shape[1:3])
    train = part(data.train, slice(None, config["samples"]))
    held = hold_out(train, len(train.x) // 6)
    histories: dict[str, dict[str, list]] = {}
    for name, build in _networks((*shape, 1), config).items():
        if config["networks"] and name not in config["networks"]:
            continue
        energy = LiftedEnergy(build())
        record.figures[name], histories[name] = {}, {}
        for label, family in METHODS.items():
            settings = {"epochs": config["tuning_epochs"], "batch_size": config["batch"]}
            title = f"{name}, {label}"
            rate = tune(record, energy, family, config["rates"], held, title, **settings)
            method = family(rate)
            runs = [
                record.run(
                    lambda energy=energy, method=method, seed=seed: fit(
                        energy,
                        train,
                        method,
                        epochs=config["epochs"],
                        batch_size=config["batch"],
                        validation=data.test,
                        seed=seed,
                        progress=False,
                    ),
                    network=name,
                    method=label,
                    phase="final",
                    rate=rate,
                    seed=seed,
                )
                for seed in record.seeds
            ]
            record.figures[name][label] = {
                "rate": rate,
                "test_accuracy": [rows[-1]["validation_accuracy"] for rows in runs],
                "seconds_per_epoch": [rows[-1]["seconds"] / config["epochs"] for rows in runs],
            }
            histories[name][label] = runs
    _write(record, histories)


def _write(record: Record, histories: dict[str, dict[str, list]]) -> None:
    report, config = record.report, record.config
    report.heading("The result")
    rows, headline = [], []
    for name, found in record.figures.items():
        means = {}
        for label, f in found.items():
            means[label] = 100 * np.mean(f["test_accuracy"])
            rows.append(
                (
                    f"{name}, {label}",
                    f"{f['rate']:g}",
                    spread(f["test_accuracy"]),
                    spread(f["seconds_per_epoch"], 1),
                )
            )
        ahead = [f"{label} {means[label] - means[BASELINE]:+.2f}" for label in (LIFTED, MIRROR)]
        headline.append(f"{name}, points from {BASELINE}: {'; '.join(ahead)}")
    columns = ("network, method", "rate", "test accuracy", "seconds per epoch")
    caption = f"{config['data']}, {config['epochs']} epochs, seeds {record.seeds}"
    report.table(columns, rows, caption)
    for name, found in histories.items():
        series = {
            label: (
                column(runs[0][1:], "epoch"),
                [column(run[1:], "validation_accuracy") for run in runs],
            )
            for label, runs in found.items()
        }
        plot = curves(series, "epoch", "test accuracy", baseline=[BASELINE])
        report.charts(plot, f"{name}: test accuracy against epochs; bands span the seeds")
    report.heading("How to read it")
    report.text(
        "All take Adam, with the learning rate tuned on held-out training data from the same "
        "grid. Lifted training is one backward sweep per batch with Bregman penalties; it takes no "
        "derivative of ReLU, softmax attention or the projections that stand for normalisation. "
        "Mirror steps measure a step in the geometry of φ instead of the Euclidean one, so that no "
        "prox of softmax has to be solved.",
    )
    record.headline = headline


ARCHITECTURES = Experiment(
    name="architectures",
    title="Architectures: lifted training against back-propagation",
    lead="Perceptron, LeNet, residual networks of 20 blocks and a transformer block as graphs of "
    "proximal nodes: does one lifted sweep train them as well?",
    config={
        "data": "fashion-mnist",
        "samples": None,
        "networks": None,
        "width": 64,
        "heads": 4,
        "patch": 7,
        "batch": 128,
        "epochs": 3,
        "tuning_epochs": 1,
        "rates": [1e-3, 3e-3],
        "seeds": [0, 1, 2],
    },
    quick={
        "data": "digits",
        "networks": ["perceptron", "ResNet, 20 blocks", "transformer, 1 block"],
        "width": 32,
        "patch": 2,
        "batch": 50,
        "epochs": 5,
        "tuning_epochs": 2,
        "seeds": [0],
    },
    run=_run,
)
