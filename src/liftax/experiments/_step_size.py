"""How the outcome depends on the step: implicit SGD against SGD."""

import jax.numpy as jnp
import numpy as np

from liftax.data import load
from liftax.experiments._experiment import Experiment, Record, spread
from liftax.experiments._plots import curves
from liftax.experiments._tuning import sgd
from liftax.methods import BackPropagation, ImplicitSGD
from liftax.networks import mlp
from liftax.training import fit

IMPLICIT, EXPLICIT = "Bregman, implicit SGD", "back-propagation, SGD"


def _run(record: Record) -> None:
    config = record.config
    split = load(config["data"])
    network = mlp([int(np.prod(split.train.x.shape[1:])), *config["hidden"], 10])
    families = {
        # As an array the step is an input of the program, compiled once for all steps.
        IMPLICIT: lambda step: ImplicitSGD(jnp.float32(step), config["inner"]),
        EXPLICIT: lambda step: BackPropagation(sgd(step)),
    }
    accuracy = {label: [] for label in families}
    for step in config["steps"]:
        for label, family in families.items():
            runs = [
                record.add(
                    fit(
                        network,
                        split,
                        family(step),
                        epochs=config["epochs"],
                        batch_size=config["batch"],
                        seed=seed,
                        progress=False,
                    ),
                    method=label,
                    step_size=step,
                    seed=seed,
                )
                for seed in record.seeds
            ]
            accuracy[label].append([r.history.last["validation_accuracy"] for r in runs])
            if label == IMPLICIT and step == config["steps"][-1]:
                record.model = runs[0]
    record.figures = {"steps": config["steps"], "test_accuracy": accuracy}
    _write(record, accuracy)


def _write(record: Record, accuracy: dict[str, list]) -> None:
    report, steps = record.report, record.config["steps"]
    report.heading("The result")
    series = {label: (steps, np.array(rows).T) for label, rows in accuracy.items()}
    plot = curves(series, "step", "test accuracy", log="x", baseline=[EXPLICIT])
    report.charts(plot, "Test accuracy against the step; bands span the seeds")
    rows = [(f"{s:g}", *(spread(accuracy[m][i]) for m in accuracy)) for i, s in enumerate(steps)]
    caption = f"{record.config['data']}, {record.config['epochs']} epochs, seeds {record.seeds}"
    report.table(("step", *accuracy), rows, caption)
    report.heading("How to read it")
    report.text(
        "The implicit step solves for the parameters that the new activations ask for, and is stable "
        "for every step size: beyond a certain size only the inner budget decides. The explicit step "
        "has a window, above which it diverges; a guess is a single class, 0.1.",
        "Inside its window a tuned explicit step can be better after the same number of epochs, and "
        "it costs far less per epoch.",
    )
    large = [i for i, s in enumerate(steps) if s >= 0.1]
    implicit = [float(np.mean(accuracy[IMPLICIT][i])) for i in large]
    explicit = [float(np.mean(accuracy[EXPLICIT][i])) for i in large]
    record.headline = [
        f"steps from {steps[large[0]]:g} to {steps[-1]:g}: implicit SGD between {min(implicit):.3f} "
        f"and {max(implicit):.3f}, SGD between {min(explicit):.3f} and {max(explicit):.3f}"
    ]


STEP_SIZE = Experiment(
    name="step-size-stability",
    title="Stability over step sizes: implicit SGD against SGD",
    lead="The same perceptron trained with steps over five orders of magnitude: where does each method "
    "work, and where does it fail?",
    config={
        "data": "fashion-mnist",
        "hidden": [128, 64],
        "batch": 100,
        "epochs": 2,
        "inner": 10,
        "steps": [1e-3, 1e-2, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0],
        "seeds": [0, 1, 2],
    },
    quick={
        "data": "digits",
        "hidden": [32, 16],
        "batch": 50,
        "epochs": 3,
        "steps": [0.01, 1.0, 100.0],
        "seeds": [0],
    },
    run=_run,
)
