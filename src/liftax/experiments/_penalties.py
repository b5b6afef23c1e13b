"""Penalties: each of them on a perceptron, a convolutional and a residual network."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from liftax.blocks import ProximalGradient, Solve
from liftax.data import Dataset, load
from liftax.experiments._experiment import Experiment, Record, spread
from liftax.experiments._journal import Rows
from liftax.experiments._plots import panels
from liftax.experiments._tuning import Family, adam, column, lines, part, tune
from liftax.methods import (
    BackPropagation,
    BlockCoordinateDescent,
    Contrastive,
    DualAscent,
    ImplicitSGD,
    OneSweep,
)
from liftax.networks import Network, lenet, mlp, resnet
from liftax.objectives import LiftedEnergy
from liftax.penalties import AbstractPenalty, Bregman, Lifted, Quadratic
from liftax.training import fit

PENALTIES: dict[str, AbstractPenalty] = {
    "Bregman": Bregman(),
    "lifted": Lifted(),
    "MAC-QP": Quadratic(),
}
BACKPROP = "back-propagation, Adam"
FULL_BATCH = ("Bregman, block descent", "Fenchel lifted, block descent")


class Study(NamedTuple):
    """A method's penalty, the method for each step of the grid, and how long it runs."""

    penalty: AbstractPenalty
    family: Family
    grid: list[float]
    tuning_epochs: int
    epochs: int


class Problem(NamedTuple):
    """What is minimised, on which data, judged on which, measured on which."""

    energy: LiftedEnergy
    train: Dataset
    judge: Dataset
    test: Dataset


def _networks(shape: tuple[int, ...], config: dict[str, Any]) -> dict[str, Callable[[], Network]]:
    pixels = int(np.prod(shape))
    return {
        "perceptron": lambda: mlp([pixels, *config["hidden"], 10]),
        "LeNet": lambda: lenet((shape[0], shape[1], 1)),
        "ResNet": lambda: resnet(pixels, config["width"], config["blocks"], 10),
    }


def _studies(config: dict[str, Any], kind: str) -> dict[str, Study]:
    """Label → study; every method has a grid of the same length."""
    rates, spans = config["rates"], (config["tuning_epochs"], config["epochs"])
    inner = config["inner"]

    def implicit(step: float) -> ImplicitSGD:
        return ImplicitSGD(jnp.float32(step), inner)

    found = {
        f"{name}, one sweep + Adam": Study(p, lambda rate: OneSweep(adam(rate)), rates, *spans)
        for name, p in PENALTIES.items()
    }
    if kind in config["contrastive"]:
        found["Bregman, contrastive + Adam"] = Study(
            Bregman(), lambda rate: Contrastive(adam(rate), inner=inner), rates, *spans
        )
    found[BACKPROP] = Study(Bregman(), lambda rate: BackPropagation(adam(rate)), rates, *spans)
    if kind != "perceptron":
        return found
    for name in config["implicit"]:
        label, penalty = f"{name}, implicit SGD", PENALTIES[name]
        found[label] = Study(penalty, implicit, config["implicit_steps"], *spans)
    sweeps = (config["tuning_sweeps"], config["sweeps"])
    plain, fenchel = FULL_BATCH
    found[plain] = Study(Bregman(), _block_descent, config["proximal"], *sweeps)
    found[fenchel] = Study(
        Bregman(),
        lambda rate: _fenchel(rate, config["tolerance"]),
        config["ascent"],
        *sweeps,
    )
    return found


def _block_descent(proximal: float) -> BlockCoordinateDescent:
    # As arrays the steps are inputs of the program, compiled once for the whole grid.
    step: Any = jnp.float32(proximal)
    return BlockCoordinateDescent(parameter_step=Solve(step))


def _fenchel(rate: float, tolerance: float) -> BlockCoordinateDescent:
    eta: Any = jnp.float32(rate)
    return BlockCoordinateDescent(
        state_step=ProximalGradient(),
        parameter_step=Solve(1e-2),
        multipliers=DualAscent(eta, tolerance),
    )


def _run(record: Record) -> None:
    config = record.config
    histories: dict[str, dict[str, list[Rows]]] = {}
    for name in config["data"]:
        data = load(name)
        samples, held = config["samples"], config["held_out"]
        train = part(data.train, slice(None, samples))
        # Samples of their own choose the steps, so that all runs train on the same ones.
        judge = part(data.train, slice(samples, samples + held))
        for kind, build in _networks(data.train.x.shape[1:], config).items():
            if config["networks"] and kind not in config["networks"]:
                continue
            title, network = f"{name}, {kind}", build()
            record.figures[title], histories[title] = {}, {}
            for label, study in _studies(config, kind).items():
                problem = Problem(LiftedEnergy(network, study.penalty), train, judge, data.test)
                labels = {"data": name, "network": kind, "method": label}
                step, runs = _train(record, problem, study, labels)
                histories[title][label] = [[_with_gap(row) for row in rows] for rows in runs]
                record.figures[title][label] = _figures(step, histories[title][label])
    _write(record, histories)


def _train(
    record: Record, problem: Problem, study: Study, labels: dict[str, str]
) -> tuple[float, list[Rows]]:
    """The chosen step, and a history for each seed."""
    energy, train, judge, test = problem
    batch = record.config["batch"]
    step = tune(
        record,
        energy,
        study.family,
        study.grid,
        (train, judge),
        ", ".join(labels.values()),
        epochs=study.tuning_epochs,
        batch_size=batch,
    )
    runs = [
        record.run(
            lambda seed=seed: fit(
                energy,
                train,
                study.family(step),
                epochs=study.epochs,
                batch_size=batch,
                validation=test,
                seed=seed,
                progress=False,
            ),
            **labels,
            phase="final",
            step_size=step,
            seed=seed,
        )
        for seed in record.seeds
    ]
    return step, runs


def _with_gap(row: dict[str, Any]) -> dict[str, Any]:
    """The row with the mean gap over the hidden nodes."""
    gaps = [value for key, value in row.items() if key.startswith("gap/")]
    return {**row, "gap": float(np.mean(gaps))}


def _figures(step: float, runs: list[Rows]) -> dict[str, Any]:
    return {
        "step_size": step,
        "epochs": [rows[-1]["epoch"] for rows in runs],
        "test_accuracy": [rows[-1]["validation_accuracy"] for rows in runs],
        "best_test_accuracy": [max(column(rows, "validation_accuracy")) for rows in runs],
        "gap": [rows[-1]["gap"] for rows in runs],
        "seconds": [rows[-1]["seconds"] for rows in runs],
    }


def _write(record: Record, histories: dict[str, dict[str, list[Rows]]]) -> None:
    report = record.report
    report.heading("The result")
    columns = ("method", "step", "epochs", "test accuracy", "best epoch", "gap", "seconds")
    for title, found in record.figures.items():
        rows = [
            (
                label,
                f"{f['step_size']:g}",
                max(f["epochs"]),
                spread(f["test_accuracy"]),
                spread(f["best_test_accuracy"]),
                f"{np.mean(f['gap']):.2g}",
                spread(f["seconds"], 1),
            )
            for label, f in found.items()
        ]
        report.table(columns, rows, f"{title}, seeds {record.seeds}")
    for x, y, log in (
        ("epoch", "validation_accuracy", ""),
        ("seconds", "validation_accuracy", "x"),
        ("epoch", "gap", "xy"),
    ):
        groups = {
            title: {label: lines(runs, x, y) for label, runs in found.items()}
            for title, found in histories.items()
        }
        shown = {"validation_accuracy": "test accuracy", "gap": "gap"}[y]
        if x == "epoch":  # a full-batch sweep is an epoch too, and there are many of them
            log = log if "x" in log else f"x{log}"
        report.charts(
            panels(groups, x, shown, log=log, baseline=[BACKPROP]),
            f"{shown.capitalize()} against {x}; bands span the seeds",
        )
    report.heading("How to read it")
    report.text(*_notes(record))
    record.headline = _headline(record)


def _notes(record: Record) -> list[str]:
    config = record.config
    return [
        "Each method had the same tuning effort, a grid of "
        f"{len(config['rates'])} numbers judged on {config['held_out']} samples that no run trains "
        "on: learning rates for Adam, steps τ for implicit SGD, the proximal constant α for block "
        "descent, the rate η of the multipliers for the Fenchel lifted network. Test data chose "
        "nothing, except that the column of the best epoch looks at them.",
        "The gap is the root mean square of u - σ(z) at the activations that the method trains "
        "with, averaged over the hidden nodes, on 512 samples of the training data (all, for block "
        "descent). Back-propagation has none by construction. One sweep and contrastive training "
        "start every batch at a forward pass and weight the loss with 0.1 while they move, so that "
        "their gap says how far a batch pulled the activations; implicit SGD starts there too, with "
        "the whole loss; block descent keeps its activations, and its gap says how far training and "
        "prediction are apart.",
        "For block descent an epoch is one sweep over the full batch. Each of its sweeps makes one "
        "update of the parameters, where the other methods make one for every batch of "
        f"{config['batch']}: compare them in seconds. The Fenchel lifted network is the same "
        "descent with the weight of each layer raised while its mean penalty exceeds "
        f"ε = {config['tolerance']:g} and lowered while it is below.",
    ]


def _headline(record: Record) -> list[str]:
    found = []
    for title, methods in record.figures.items():
        theirs = 100 * float(np.mean(methods[BACKPROP]["test_accuracy"]))
        ahead = [
            f"{name} {100 * float(np.mean(f['test_accuracy'])) - theirs:+.2f}"
            for name in PENALTIES
            for f in [methods[f"{name}, one sweep + Adam"]]
        ]
        found.append(
            f"{title}: back-propagation {theirs:.2f} %, one sweep from it in points: "
            f"{', '.join(ahead)}"
        )
    return found


PENALTIES_STUDY = Experiment(
    name="penalties",
    title="Penalties: Bregman, lifted, MAC-QP and Fenchel lifted",
    lead="Every penalty on a perceptron, a convolutional and a residual network: what accuracy does "
    "each reach, how fast, and how far are its activations from a forward pass?",
    config={
        "data": ["fashion-mnist", "mnist"],
        "networks": None,
        "samples": 6000,
        "held_out": 2000,
        "hidden": [256, 256],
        "width": 64,
        "blocks": 5,
        "batch": 100,
        "epochs": 6,
        "tuning_epochs": 2,
        "rates": [3e-4, 1e-3, 3e-3, 1e-2],
        "implicit": ["Bregman", "lifted", "MAC-QP"],
        "implicit_steps": [0.1, 1.0, 10.0, 100.0],
        "inner": 3,
        "contrastive": ["perceptron", "LeNet", "ResNet"],
        "sweeps": 50,
        "tuning_sweeps": 20,
        "proximal": [1e-4, 1e-3, 1e-2, 1e-1],
        "ascent": [0.1, 1.0, 10.0, 100.0],
        "tolerance": 0.01,
        "seeds": [0, 1],
    },
    quick={
        "data": ["digits"],
        "networks": ["perceptron", "ResNet"],
        "samples": 1000,
        "held_out": 397,
        "hidden": [64],
        "width": 32,
        "blocks": 1,
        "implicit": ["Bregman"],
        "contrastive": ["perceptron"],
        "batch": 50,
        "epochs": 4,
        "tuning_epochs": 2,
        "sweeps": 30,
        "tuning_sweeps": 10,
        "seeds": [0],
    },
    run=_run,
)
