"""The sparse (denoising) autoencoder, lifted against subgradients."""

from typing import Any

import jax
import numpy as np
import optax

from liftax.data import load
from liftax.experiments._experiment import Experiment, Record, spread
from liftax.experiments._plots import curves, pictures
from liftax.experiments._tuning import Family, column, tune
from liftax.methods import BackPropagation, ImplicitSGD, OneSweep
from liftax.networks import autoencoder, code_layer
from liftax.objectives import LiftedEnergy
from liftax.potentials import SoftThreshold
from liftax.training import Result, fit

IMPLICIT, SWEEP = "Bregman, implicit SGD", "Bregman, one sweep + Adam"
SUBGRADIENT, ADAM = "back-propagation, SGD", "back-propagation, Adam"


def _families(inner: int) -> dict[str, tuple[Family, tuple[float, ...]]]:
    """Label → step → method, and the grid of steps: four for each."""
    adam = (1e-4, 3e-4, 1e-3, 3e-3)
    return {
        IMPLICIT: (lambda step: ImplicitSGD(step, inner), (0.01, 0.1, 1.0, 10.0)),
        SWEEP: (lambda step: OneSweep(optax.adam(step)), adam),
        SUBGRADIENT: (lambda step: BackPropagation(optax.sgd(step)), (0.003, 0.01, 0.03, 0.1)),
        ADAM: (lambda step: BackPropagation(optax.adam(step)), adam),
    }


def _energy(config: dict[str, Any], width: int) -> LiftedEnergy:
    layers = config["layers"]
    widths = [width, *([config["width"]] * (layers - 1)), width]
    network = autoencoder(widths, code=SoftThreshold(config["threshold"]))
    code = f"layer{code_layer(layers)}"
    return LiftedEnergy(network, activity={code: SoftThreshold(config["alpha"])})


def _task(config: dict[str, Any], samples: int, noise: float) -> dict[str, Any]:
    """Training, tuning and test pairs (input, target); noise of fixed seeds on the inputs."""
    split = load(config["data"])
    flat = [part.x.reshape(len(part.x), -1) for part in (split.train, split.test)]
    held = config["validation"]
    clean = {"train": flat[0][:samples], "tuning": flat[0][-held:], "test": flat[1][:held]}
    rng = np.random.default_rng(0)
    return {
        name: (x + noise * rng.standard_normal(x.shape).astype(x.dtype), x)
        for name, x in clean.items()
    }


def sparsity(result: Result, x: Any) -> float:
    """Fraction of code entries that are not zero."""
    network = result.energy.network
    (code,) = result.energy.activity
    states, _ = jax.jit(network.forward)(result.params, x)
    return float(np.mean(np.asarray(states[code]) != 0))


def _study(record: Record, samples: int, noise: float, epochs: int) -> dict[str, Any]:
    """Tune and train every method on one task; returns figures, histories and the first runs."""
    config = record.config
    data = _task(config, samples, noise)
    energy = _energy(config, data["train"][0].shape[1])
    task = f"{samples} images" + (f", noise {noise:g}" if noise else "")
    figures, histories, shown = {}, {}, {}
    for label, (family, grid) in _families(config["inner"]).items():
        settings = {"epochs": max(1, epochs // 2), "batch_size": config["batch"]}
        pair = (data["train"], data["tuning"])
        step = tune(record, energy, family, grid, pair, f"{task}: {label}", **settings)
        runs = [
            record.add(
                fit(
                    energy,
                    data["train"],
                    family(step),
                    validation=data["test"],
                    epochs=epochs,
                    batch_size=config["batch"],
                    seed=seed,
                    progress=False,
                ),
                method=f"{task}: {label}",
                phase="final",
                step_size=step,
                seed=seed,
            )
            for seed in record.seeds
        ]
        histories[label], shown[label] = [run.history.rows for run in runs], runs[0]
        figures[label] = {
            "step_size": step,
            "test_mse": [run.history.last["validation_mse"] for run in runs],
            "train_mse": [run.history.last["mse"] for run in runs],
            "nonzero_code": [sparsity(run, data["test"][0]) for run in runs],
            "seconds_per_epoch": [run.seconds / epochs for run in runs],
        }
    return {"figures": figures, "histories": histories, "shown": shown, "data": data, "task": task}


def _run(record: Record) -> None:
    for index, (samples, noise, epochs) in enumerate(record.config["tasks"]):
        study = _study(record, samples, noise, epochs)
        record.figures[study["task"]] = study["figures"]
        _write(record, study, record.config["data"])
        if index == 0:
            record.model = study["shown"][IMPLICIT]
        ours, theirs = study["figures"][IMPLICIT], study["figures"][SUBGRADIENT]
        record.headline.append(
            f"{study['task']}: test error implicit SGD {spread(ours['test_mse'])}, "
            f"subgradients {spread(theirs['test_mse'])} (code entries in use "
            f"{spread(ours['nonzero_code'], 2)} and {spread(theirs['nonzero_code'], 2)})"
        )
    record.report.heading("How to read it")
    record.report.text(
        "The soft-threshold has no derivative at its two kinks and none that is useful between them: a "
        "code unit inside the threshold passes no signal back. The Bregman penalty gives such a unit a "
        "target, and the l1 term acts through its prox, so that code entries become exactly zero.",
        "All methods had four step sizes to choose from, judged on held-out training pictures at half "
        "the epochs. An epoch of implicit SGD costs several epochs of back-propagation; the table "
        "gives the seconds.",
    )


def _write(record: Record, study: dict[str, Any], name: str) -> None:
    report, figures, shown = record.report, study["figures"], study["shown"]
    report.heading(study["task"])
    rows = [
        (
            label,
            f"{f['step_size']:g}",
            spread(f["test_mse"], 5),
            spread(f["train_mse"], 5),
            spread(f["nonzero_code"], 3),
            spread(f["seconds_per_epoch"], 2),
        )
        for label, f in figures.items()
    ]
    columns = ("method", "step", "test error", "training error", "code in use", "s per epoch")
    caption = f"{name}: mean squared error per pixel, seeds {record.seeds}"
    report.table(columns, rows, caption)
    series = {
        label: (column(runs[0], "epoch"), [column(run, "validation_mse") for run in runs])
        for label, runs in study["histories"].items()
    }
    plot = curves(series, "epoch", "test error", log="y", baseline=[SUBGRADIENT, ADAM])
    report.figure(plot, f"Test error against epochs, {study['task']}")
    inputs, targets = (array[:10] for array in study["data"]["test"])
    shown_rows = {"target": targets} if inputs is targets else {"target": targets, "input": inputs}
    shown_rows |= {label: np.asarray(run.predict(inputs)) for label, run in shown.items()}
    side = int(np.sqrt(inputs.shape[1]))
    plot = pictures(shown_rows, (side, side))
    report.figure(plot, f"Test pictures and what each network makes of them, {study['task']}")


SPARSE_AUTOENCODER = Experiment(
    name="sparse-autoencoder",
    title="Sparse autoencoders: lifted training against subgradients",
    lead="Five layers with a soft-threshold code and an l1 term on it, trained to reconstruct and to "
    "denoise pictures of clothes from few examples.",
    config={
        "data": "fashion-mnist",
        "layers": 5,
        "width": 784,
        "threshold": 0.1,
        "alpha": 0.05,
        "batch": 50,
        "inner": 5,
        "validation": 1000,
        # images, standard deviation of the noise, epochs
        "tasks": [[1000, 0.0, 20], [1000, 0.3, 20], [10_000, 0.0, 4]],
        "seeds": [0, 1, 2],
    },
    quick={
        "data": "digits",
        "width": 64,
        "validation": 300,
        "tasks": [[1000, 0.0, 6], [1000, 0.3, 6]],
        "seeds": [0],
    },
    run=_run,
)
