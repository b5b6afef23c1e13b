"""The demonstration: a classifier and a sparse autoencoder, each trained both ways."""

from typing import Any

import numpy as np
import optax

from liftax.data import Split, load
from liftax.experiments._experiment import Experiment, Record, spread
from liftax.experiments._plots import curves, filters, pictures
from liftax.experiments._sparse_autoencoder import sparsity
from liftax.experiments._tuning import column, sgd, tune
from liftax.methods import AbstractMethod, BackPropagation, ImplicitSGD, OneSweep
from liftax.networks import autoencoder, mlp
from liftax.objectives import LiftedEnergy
from liftax.potentials import SoftThreshold
from liftax.training import Result, fit

LIFTED, BACKPROP = "lifted (one sweep + Adam)", "back-propagation (Adam)"
IMPLICIT, EXPLICIT = "lifted (implicit SGD, step 1)", "back-propagation (SGD, tuned step)"


def _data() -> Split:
    """Fashion-MNIST if it lies on this machine, else the digits that ship with the package."""
    try:
        return load("fashion-mnist", fetch=False)
    except FileNotFoundError:
        return load("digits")


def _train(record: Record, part: str, energy: Any, data: Any, runs: dict[str, AbstractMethod]):
    """Every method on every seed, with equal epochs and batches."""
    settings = record.config[part]
    return {
        label: [
            record.add(
                fit(energy, data[0], method, validation=data[1], seed=seed, **settings),
                part=part,
                method=label,
                seed=seed,
            )
            for seed in record.seeds
        ]
        for label, method in runs.items()
    }


def _series(results: dict[str, list[Result]], name: str) -> dict[str, tuple[Any, Any]]:
    """Curves without the value before training."""
    return {
        label: (
            column(runs[0].history.rows[1:], "epoch"),
            [column(run.history.rows[1:], name) for run in runs],
        )
        for label, runs in results.items()
    }


def _run(record: Record) -> None:
    data = _data()
    record.say(f"data: {data.train.name}, {len(data.train.x)} training pictures")
    _classifier(record, data)
    _autoencoder(record, data)
    record.report.heading("What to read in it")
    record.report.text(
        "One sweep moves every activation by one proximal step and costs the same matrix products as "
        "back-propagation. Both reach about the same accuracy in the same time: lifting is no detour.",
        "The implicit step is stable at every size: 1 was taken untried. The step of SGD is the best "
        f"of {', '.join(f'{s:g}' for s in record.config['sgd_steps'])}. An implicit step costs several "
        "times more. The experiment step-size-stability draws the outcome over five orders of "
        "magnitude, sparse-autoencoder adds Adam and the comparison at equal sparsity.",
        "This page holds small runs with default settings. The studies with tuning, several seeds and "
        "the full data are `liftax reproduce --list`.",
    )


def _classifier(record: Record, data: Split) -> None:
    shape = data.train.x.shape[1:]
    network = mlp([int(np.prod(shape)), *record.config["hidden"], 10])
    runs: dict[str, AbstractMethod] = {
        LIFTED: OneSweep(optax.adam(1e-3)),
        BACKPROP: BackPropagation(optax.adam(1e-3)),
    }
    results = _train(record, "classifier", network, (data.train, data.test), runs)
    record.model = results[LIFTED][0]
    accuracy = {m: [r.history.last["validation_accuracy"] for r in rs] for m, rs in results.items()}
    seconds = {m: [r.seconds for r in rs] for m, rs in results.items()}
    ratio = float(np.median(seconds[LIFTED]) / np.median(seconds[BACKPROP]))
    record.figures["classifier"] = {
        "data": data.train.name,
        "test_accuracy": accuracy,
        "seconds": seconds,
        "time_ratio": ratio,
    }
    report = record.report
    report.heading("A classifier")
    rows = [(m, spread(accuracy[m], 4), spread(seconds[m], 2)) for m in results]
    caption = f"{data.train.name}, {record.config['classifier']['epochs']} epochs"
    report.table(("method", "test accuracy", "training seconds"), rows, caption)
    plot = curves(
        _series(results, "validation_accuracy"), "epoch", "test accuracy", baseline=[BACKPROP]
    )
    report.charts(plot, "Test accuracy against epochs; bands span the seeds")
    weights = record.model.params["layer1"]["weight"]
    report.gallery(
        filters(weights, (shape[0], shape[1])), "What the strongest first-layer units look for"
    )
    record.headline.append(
        f"classifier: test accuracy {spread(accuracy[LIFTED], 3)} lifted, "
        f"{spread(accuracy[BACKPROP], 3)} by back-propagation, in {ratio:.2f} times its time"
    )


def _autoencoder(record: Record, data: Split) -> None:
    shape = data.train.x.shape[1:]
    width = int(np.prod(shape))
    train, test = (p.x.reshape(len(p.x), width)[:1000] for p in (data.train, data.test))
    network = autoencoder([width] * 6, code=SoftThreshold(0.1))
    energy = LiftedEnergy(network, activity={"layer3": SoftThreshold(0.05)})

    def explicit(step: float) -> BackPropagation:
        return BackPropagation(sgd(step))

    settings = {**record.config["autoencoder"], "epochs": 2}
    grid, held = record.config["sgd_steps"], data.train.x.reshape(-1, width)[-300:]
    step = tune(
        record, energy, explicit, grid, ((train, train), (held, held)), EXPLICIT, **settings
    )
    runs: dict[str, AbstractMethod] = {
        IMPLICIT: ImplicitSGD(1.0, inner=5),
        EXPLICIT: explicit(step),
    }
    results = _train(record, "autoencoder", energy, ((train, train), (test, test)), runs)
    error = {m: [r.history.last["validation_mse"] for r in rs] for m, rs in results.items()}
    used = {m: [sparsity(r, test) for r in rs] for m, rs in results.items()}
    record.figures["autoencoder"] = {"test_mse": error, "nonzero_code": used, "sgd_step": step}
    report = record.report
    report.heading("A sparse autoencoder from 1,000 pictures")
    rows = [(m, spread(error[m], 5), spread(used[m], 3)) for m in results]
    report.table(("method", "test error", "code in use"), rows, "Mean squared error per pixel")
    plot = curves(
        _series(results, "validation_mse"), "epoch", "test error", log="y", baseline=[EXPLICIT]
    )
    report.charts(plot, "Test error against epochs")
    seen = {"input": test[:10]}
    seen |= {label: np.asarray(runs[0].predict(test[:10])) for label, runs in results.items()}
    report.gallery(pictures(seen, (shape[0], shape[1])), "Test pictures and their reconstructions")
    record.headline.append(
        f"sparse autoencoder: test error {spread(error[IMPLICIT], 4)} by implicit SGD, "
        f"{spread(error[EXPLICIT], 4)} by subgradients"
    )


DEMO = Experiment(
    name="demo",
    title="liftax: a first look",
    lead="A classifier and a sparse autoencoder, each trained lifted and by back-propagation on the same "
    "pictures with the same epochs.",
    config={
        "hidden": [256, 256],
        "classifier": {"epochs": 5, "batch_size": 128},
        "autoencoder": {"epochs": 6, "batch_size": 50},
        "sgd_steps": [0.001, 0.003, 0.01, 0.03, 0.1],
        "seeds": [0, 1, 2],
    },
    quick={"classifier": {"epochs": 2, "batch_size": 128}, "seeds": [0]},
    run=_run,
)
