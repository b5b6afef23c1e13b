"""The implicit step on the parameters, lifted and with back-propagated signals."""

from typing import Any

import numpy as np
import optax

from liftax.blocks import AbstractMetric, Euclidean, Implicit
from liftax.data import load
from liftax.experiments._experiment import Experiment, Record, spread
from liftax.experiments._plots import curves
from liftax.experiments._tuning import Family, column, hold_out, tune
from liftax.methods import BackPropagation, OneSweep
from liftax.networks import mlp
from liftax.objectives import LiftedEnergy
from liftax.training import fit

PLAIN = ("lifted, Adam", "back-propagation, Adam")
IMPLICIT = ("lifted, implicit step + Adam", "back-propagation, implicit step + Adam")


def _families(config: dict[str, Any], steps: int) -> dict[str, Family]:
    """Label → learning rate → method; all decay the rate to zero by a cosine."""

    def adam(rate: float) -> optax.GradientTransformation:
        return optax.adam(optax.cosine_decay_schedule(rate, steps))

    metrics: dict[bool, AbstractMetric] = {False: Euclidean(), True: Implicit(config["tau"])}
    families: dict[str, Family] = {}
    for implicit, (lifted, backward) in ((True, IMPLICIT), (False, PLAIN)):
        metric = metrics[implicit]
        families[lifted] = lambda rate, m=metric: OneSweep(
            adam(rate), config["sweep_step"], config["nudge"], metric=m
        )
        families[backward] = lambda rate, m=metric: BackPropagation(adam(rate), m)
    return families


def _run(record: Record) -> None:
    config = record.config
    data = load(config["data"])
    shape = data.train.x.shape[1:]
    energy = LiftedEnergy(mlp([int(np.prod(shape)), *config["hidden"], 10]))
    held = hold_out(data.train, len(data.train.x) // 6)
    figures: dict[str, Any] = {}
    histories: dict[str, list] = {}
    for epochs in config["epochs"]:
        steps = epochs * (len(data.train.x) // config["batch"])
        for label, family in _families(config, steps).items():
            settings = {
                "epochs": min(epochs, config["tuning_epochs"]),
                "batch_size": config["batch"],
            }
            rate = tune(record, energy, family, config["rates"], held, label, **settings)
            runs = [
                record.add(
                    fit(
                        energy,
                        data,
                        family(rate),
                        epochs=epochs,
                        batch_size=config["batch"],
                        seed=seed,
                        progress=False,
                    ),
                    method=label,
                    phase="final",
                    epochs=epochs,
                    rate=rate,
                    seed=seed,
                )
                for seed in record.seeds
            ]
            record.model = record.model or runs[0]
            accuracies = [column(r.history.rows[1:], "validation_accuracy") for r in runs]
            figures[f"{label}, {epochs} epochs"] = {
                "rate": rate,
                "test_accuracy": [a[-1] for a in accuracies],
                "best_test_accuracy": [max(a) for a in accuracies],
                "seconds": [r.seconds for r in runs],
            }
            histories[label] = [r.history.rows for r in runs]
    record.figures = figures
    _write(record, histories)


def _write(record: Record, histories: dict[str, list]) -> None:
    report, config = record.report, record.config
    report.heading("The result")
    rows = [
        (
            label,
            f"{f['rate']:g}",
            spread(f["test_accuracy"]),
            spread(f["best_test_accuracy"]),
            spread(f["seconds"], 1),
        )
        for label, f in record.figures.items()
    ]
    columns = ("method", "rate", "test accuracy", "best epoch", "seconds")
    report.table(columns, rows, f"{config['data']}, seeds {record.seeds}")
    baseline = [PLAIN[1], IMPLICIT[1]]
    for x in ("epoch", "seconds"):
        series = {
            label: (
                column(runs[0][1:], x),
                [column(run[1:], "validation_accuracy") for run in runs],
            )
            for label, runs in histories.items()
        }
        plot = curves(series, x, "test accuracy", baseline=baseline)
        report.charts(plot, f"Test accuracy against {x}; bands span the seeds")
    report.heading("How to read it")
    report.text(
        "The implicit step replaces a layer's gradient by the minimiser of its majorised energy on the "
        "batch (a regularised least-squares fit of the signals), which then goes to Adam. It needs one "
        "small linear system per layer and batch. The same step is given to back-propagation: the "
        "difference between a row and the row below it is what lifting adds, the difference between "
        "the implicit and the plain rows is what the step adds.",
        "Learning rates were tuned on a sixth of the training data, with the same grid for all; they "
        "decay by a cosine. Test data chose nothing, except that the column of the best epoch looks "
        "at them.",
    )
    lifted = [label for label in record.figures if label.startswith(IMPLICIT[0])]
    record.headline = [
        f"{label}: {spread(record.figures[label]['test_accuracy'])}" for label in lifted
    ]


IMPLICIT_STEP = Experiment(
    name="implicit-step",
    title="The implicit step on the parameters",
    lead="One least-squares step per layer and batch instead of a gradient, lifted and with "
    "back-propagated signals: what does the step add, and what does lifting?",
    config={
        "data": "fashion-mnist",
        "hidden": [256, 256],
        "batch": 128,
        "tau": 10.0,
        "sweep_step": 0.5,
        "nudge": 0.1,
        "epochs": [1, 10],
        "tuning_epochs": 3,
        "rates": [3e-4, 1e-3, 3e-3],
        "seeds": [0, 1, 2],
    },
    quick={
        "data": "digits",
        "hidden": [64, 64],
        "batch": 50,
        "epochs": [2, 6],
        "tuning_epochs": 2,
        "rates": [1e-3, 3e-3],
        "seeds": [0, 1],
    },
    run=_run,
)
