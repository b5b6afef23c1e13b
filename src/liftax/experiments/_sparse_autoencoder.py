"""The sparse (denoising) autoencoder, lifted against subgradients."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from liftax.data import load
from liftax.experiments._experiment import Experiment, Record, spread
from liftax.experiments._plots import curves, pictures
from liftax.experiments._tuning import Family, adam, column, sgd, tune
from liftax.methods import BackPropagation, ImplicitSGD, OneSweep
from liftax.networks import autoencoder, code_layer
from liftax.objectives import LiftedEnergy
from liftax.potentials import SoftThreshold
from liftax.training import Result, fit

IMPLICIT, SWEEP = "Bregman, implicit SGD", "Bregman, one sweep + Adam"
SUBGRADIENT, ADAM = "back-propagation, SGD", "back-propagation, Adam"


def _families(inner: int) -> dict[str, tuple[Family, tuple[float, ...]]]:
    """Label → step → method, and the grid of steps: four for each."""
    rates = (1e-4, 3e-4, 1e-3, 3e-3)
    return {
        IMPLICIT: (lambda step: ImplicitSGD(jnp.float32(step), inner), (0.01, 0.1, 1.0, 10.0)),
        SWEEP: (lambda step: OneSweep(adam(step)), rates),
        SUBGRADIENT: (lambda step: BackPropagation(sgd(step)), (0.003, 0.01, 0.03, 0.1)),
        ADAM: (lambda step: BackPropagation(adam(step)), rates),
    }


def _energy(config: dict[str, Any], width: int, alpha: float) -> LiftedEnergy:
    layers = config["layers"]
    widths = [width, *([config["width"]] * (layers - 1)), width]
    network = autoencoder(widths, code=SoftThreshold(config["threshold"]))
    return LiftedEnergy(network, activity={f"layer{code_layer(layers)}": SoftThreshold(alpha)})


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
    """Tune every method on one task, then train it with every weight of the sparse term."""
    config = record.config
    data = _task(config, samples, noise)
    width, main = data["train"][0].shape[1], config["alphas"][0]
    task = f"{samples} images" + (f", noise {noise:g}" if noise else "")
    runs: dict[str, dict[float, list[Result]]] = {}
    steps = {}
    for label, (family, grid) in _families(config["inner"]).items():
        name = f"{task}: {label}"
        settings = {"epochs": max(1, epochs // 2), "batch_size": config["batch"]}
        pair = (data["train"], data["tuning"])
        steps[label] = tune(
            record, _energy(config, width, main), family, grid, pair, name, **settings
        )
        runs[label] = {
            alpha: [
                record.add(
                    fit(
                        _energy(config, width, alpha),
                        data["train"],
                        family(steps[label]),
                        validation=data["test"],
                        epochs=epochs,
                        batch_size=config["batch"],
                        seed=seed,
                        progress=False,
                    ),
                    method=name,
                    phase="final",
                    alpha=alpha,
                    step_size=steps[label],
                    seed=seed,
                )
                for seed in record.seeds
            ]
            for alpha in config["alphas"]
        }
    return {"task": task, "data": data, "runs": runs, "steps": steps, "epochs": epochs}


def _figures(study: dict[str, Any]) -> dict[str, Any]:
    """Method → weight of the sparse term → what was measured, a value per seed."""
    codes = study["data"]["test"][0]
    return {
        label: {
            alpha: {
                "step_size": study["steps"][label],
                "test_mse": [run.history.last["validation_mse"] for run in runs],
                "train_mse": [run.history.last["mse"] for run in runs],
                "nonzero_code": [sparsity(run, codes) for run in runs],
                "seconds_per_epoch": [run.seconds / study["epochs"] for run in runs],
            }
            for alpha, runs in by_alpha.items()
        }
        for label, by_alpha in study["runs"].items()
    }


def _run(record: Record) -> None:
    main = record.config["alphas"][0]
    for index, (samples, noise, epochs) in enumerate(record.config["tasks"]):
        study = _study(record, samples, noise, epochs)
        figures = _figures(study)
        record.figures[study["task"]] = figures
        _write(record, study, figures)
        if index == 0:
            record.model = study["runs"][IMPLICIT][main][0]
        shown = ", ".join(
            f"{label} {spread(figures[label][main]['test_mse'])} "
            f"(code in use {spread(figures[label][main]['nonzero_code'], 2)})"
            for label in (IMPLICIT, SUBGRADIENT, ADAM)
        )
        record.headline.append(f"{study['task']}, test error: {shown}")
    record.report.heading("How to read it")
    record.report.text(
        "The soft-threshold has no derivative at its two kinks and none that is useful between them: a "
        "code unit inside the threshold passes no signal back. The Bregman penalty gives such a unit a "
        "target, and the l1 term acts through its prox, so that code entries become exactly zero.",
        "All methods had four step sizes to choose from, judged on held-out training pictures at half "
        "the epochs. An epoch of implicit SGD costs several epochs of back-propagation; the table "
        "gives the seconds.",
        "Errors compare fairly at equal sparsity only: the plot against the code in use shows each "
        "method with several weights α of the l1 term. The code is counted in the forward pass of the "
        "trained network, on test pictures.",
    )


def _write(record: Record, study: dict[str, Any], figures: dict[str, Any]) -> None:
    report, main = record.report, record.config["alphas"][0]
    report.heading(study["task"])
    rows = [
        (
            label,
            f"{alpha:g}",
            f"{f['step_size']:g}",
            spread(f["test_mse"], 5),
            spread(f["train_mse"], 5),
            spread(f["nonzero_code"], 3),
            spread(f["seconds_per_epoch"], 2),
        )
        for label, by_alpha in figures.items()
        for alpha, f in by_alpha.items()
    ]
    columns = ("method", "α", "step", "test error", "training error", "code in use", "s per epoch")
    caption = f"{record.config['data']}: squared error per pixel, seeds {record.seeds}"
    report.table(columns, rows, caption)
    shown = {label: by_alpha[main] for label, by_alpha in study["runs"].items()}
    series = {
        label: (
            column(runs[0].history.rows, "epoch"),
            [column(run.history.rows, "validation_mse") for run in runs],
        )
        for label, runs in shown.items()
    }
    plot = curves(series, "epoch", "test error", log="y", baseline=[SUBGRADIENT, ADAM])
    report.charts(plot, f"Test error against epochs at α = {main:g}, {study['task']}")
    if len(record.config["alphas"]) > 1:
        plot = curves(_frontier(figures), "code in use", "test error", baseline=[SUBGRADIENT, ADAM])
        caption = (
            "Test error against the fraction of the code in use, one point per α: lower left wins"
        )
        report.charts(plot, f"{caption}, {study['task']}")
    inputs, targets = (array[:10] for array in study["data"]["test"])
    noisy = bool(np.any(inputs != targets))
    pictured = {"target": targets} | ({"input": inputs} if noisy else {})
    pictured |= {label: np.asarray(runs[0].predict(inputs)) for label, runs in shown.items()}
    side = int(np.sqrt(inputs.shape[1]))
    plot = pictures(pictured, (side, side))
    report.gallery(plot, f"Test pictures and what each network makes of them, {study['task']}")


def _frontier(figures: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Mean code use against test error by method, sorted by code use."""
    series = {}
    for label, by_alpha in figures.items():
        ordered = sorted(by_alpha.values(), key=lambda f: np.mean(f["nonzero_code"]))
        used = [float(np.mean(f["nonzero_code"])) for f in ordered]
        series[label] = (used, np.array([f["test_mse"] for f in ordered]).T)
    return series


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
        "alphas": [0.05, 0.2],
        "batch": 50,
        "inner": 5,
        "validation": 1000,
        # images, standard deviation of the noise, epochs
        "tasks": [[1000, 0.0, 12], [1000, 0.3, 12], [10_000, 0.0, 2]],
        "seeds": [0, 1, 2],
    },
    quick={
        "data": "digits",
        "width": 64,
        "validation": 300,
        "alphas": [0.05],
        "tasks": [[1000, 0.0, 6], [1000, 0.3, 6]],
        "seeds": [0],
    },
    run=_run,
)
