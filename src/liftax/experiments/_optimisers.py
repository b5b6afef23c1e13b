"""Optimisers: step rules, accelerations and orders of full-batch block-coordinate descent."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from liftax.blocks import (
    AbstractBlockStep,
    AbstractOrder,
    Adam,
    Backtracking,
    Fixed,
    HeavyBall,
    Jacobi,
    Nesterov,
    ProximalGradient,
    Random,
    RedBlack,
    Solve,
)
from liftax.data import Dataset, load
from liftax.experiments._experiment import Experiment, Record, spread
from liftax.experiments._journal import Rows
from liftax.experiments._plots import panels
from liftax.experiments._tuning import Family, column, lines, part
from liftax.methods import BlockCoordinateDescent
from liftax.networks import mlp
from liftax.objectives import LiftedEnergy
from liftax.training import fit

PLAIN, METRIC = "plain", "variable metric"
ORDERS: dict[str, AbstractOrder] = {
    "red-black": RedBlack(),
    "Jacobi": Jacobi(),
    "random": Random(),
}
# An energy that grows by less than this share of itself has not grown but been rounded.
ROUNDING = 1e-5


class Variant(NamedTuple):
    """A panel of the plots, the method for each number of a grid, and the grid."""

    panel: str
    family: Family
    grid: list[float]


def _both(step: AbstractBlockStep) -> BlockCoordinateDescent:
    return BlockCoordinateDescent(state_step=step, parameter_step=step)


def _adam(step: float) -> ProximalGradient:
    # As an array the step is an input of the program, compiled once for the whole grid.
    size: Any = jnp.float32(step)
    return ProximalGradient(Fixed(size), Adam())


def _variants(config: dict[str, Any]) -> dict[str, Variant]:
    rates, once = config["steps"], [float("nan")]
    metric = Solve(config["proximal"])
    found = {
        PLAIN: Variant("steps", lambda _: BlockCoordinateDescent(), once),
        "Nesterov": Variant(
            "steps", lambda _: _both(ProximalGradient(acceleration=Nesterov())), once
        ),
        "heavy-ball": Variant(
            "steps", lambda _: _both(ProximalGradient(acceleration=HeavyBall())), once
        ),
        "backtracking": Variant("steps", lambda _: _both(ProximalGradient(Backtracking())), once),
        "Adam": Variant("steps", lambda rate: _both(_adam(rate)), rates),
        "Adam on the parameters": Variant(
            "steps", lambda rate: BlockCoordinateDescent(parameter_step=_adam(rate)), rates
        ),
        METRIC: Variant("steps", lambda _: BlockCoordinateDescent(parameter_step=metric), once),
    }
    steps = {PLAIN: ProximalGradient(), METRIC: metric}
    for kind in config["ordered"]:
        for name, order in ORDERS.items():
            method = BlockCoordinateDescent(order, parameter_step=steps[kind])
            found[f"{name}, {kind}"] = Variant(f"orders, {kind}", lambda _, m=method: m, once)
    chosen = config["variants"] or list(found)
    return {label: found[label] for label in chosen}


def _run(record: Record) -> None:
    config = record.config
    data = load(config["data"]).train
    train = part(data, slice(None, config["samples"]))
    energy = LiftedEnergy(mlp([int(train.x[0].size), *config["hidden"], 10]))
    histories: dict[str, list[Rows]] = {}
    variants = _variants(config)
    for label, variant in variants.items():
        step = _tuned(record, energy, train, label, variant)
        histories[label] = [
            record.run(
                lambda seed=seed, step=step, variant=variant: fit(
                    energy,
                    train,
                    variant.family(step),
                    epochs=config["sweeps"],
                    seed=seed,
                    progress=False,
                ),
                method=label,
                phase="final",
                seed=seed,
            )
            for seed in record.seeds
        ]
        record.figures[label] = {"step_size": step, **_figures(histories[label])}
    _write(record, variants, histories)


def _tuned(
    record: Record, energy: LiftedEnergy, train: Dataset, label: str, variant: Variant
) -> float:
    """The step with the lowest energy after the tuning sweeps."""
    if len(variant.grid) == 1:
        return variant.grid[0]
    found = []
    for step in variant.grid:
        rows = record.run(
            lambda step=step: fit(
                energy,
                train,
                variant.family(step),
                epochs=record.config["tuning_sweeps"],
                seed=record.seeds[0],
                progress=False,
            ),
            method=label,
            phase="tuning",
            step_size=step,
            seed=record.seeds[0],
        )
        last = rows[-1]["energy"]
        found.append(last if np.isfinite(last) else np.inf)
    return float(variant.grid[int(np.argmin(found))])


def _figures(runs: list[Rows]) -> dict[str, Any]:
    energies = [np.array(column(rows, "energy")) for rows in runs]
    return {
        "first_energy": [e[0] for e in energies],
        "energy": [e[-1] for e in energies],
        "rises": [int(np.sum(e[1:] > e[:-1] * (1 + ROUNDING))) for e in energies],
        "training_accuracy": [rows[-1]["accuracy"] for rows in runs],
        "seconds": [rows[-1]["seconds"] for rows in runs],
    }


def _write(record: Record, variants: dict[str, Variant], histories: dict[str, list[Rows]]) -> None:
    report, config = record.report, record.config
    report.heading("The result")
    rows = [
        (
            label,
            "" if np.isnan(f["step_size"]) else f"{f['step_size']:g}",
            spread(f["energy"], 5),
            f"{np.mean(f['rises']):g}",
            spread(f["training_accuracy"]),
            spread(f["seconds"], 1),
        )
        for label, f in record.figures.items()
    ]
    columns = ("variant", "step", "energy", "sweeps with a rise", "training accuracy", "seconds")
    caption = f"{config['data']}, {config['samples']} pictures, {config['sweeps']} sweeps"
    report.table(columns, rows, f"{caption}, seeds {record.seeds}")
    for x, shown in (("epoch", "sweep"), ("seconds", "seconds")):
        groups: dict[str, dict[str, Any]] = {}
        for label, runs in histories.items():
            group = groups.setdefault(variants[label].panel, {})
            group[label] = lines(runs, x, "energy")
            if label in (PLAIN, METRIC):
                order = groups.setdefault(f"orders, {label}", {})
                order[f"Gauss-Seidel, {label}"] = group[label]
        # Where no other order was run there is nothing to compare.
        groups = {title: group for title, group in groups.items() if len(group) > 1}
        figure = panels(groups, shown, "energy", log="xy")
        report.charts(figure, f"Energy against {shown}; bands span the seeds")
    report.heading("How to read it")
    report.text(
        "The lifted energy with Bregman penalties of all pictures, from a forward pass on. A sweep "
        "is one update of every layer's activations, from the output down (Gauss-Seidel) unless "
        "another order is named, and one of the parameters. Steps of the rows "
        f"'{PLAIN}', Nesterov and heavy-ball come from Lipschitz constants by power iteration, those "
        "of backtracking from trials; Adam has fixed steps, the same on activations and parameters "
        "or on the parameters only, and is the only row that was tuned: on a grid of "
        f"{len(config['steps'])}, by the energy after {config['tuning_sweeps']} sweeps of the first "
        f"seed. '{METRIC}' solves for the parameters in the metric of each layer's inputs.",
        "A rise is a sweep after which the energy is higher than before, by more than rounding. The "
        "theory excludes it for plain steps with exact constants, backtracking and the variable "
        "metric in every order, and promises nothing for Nesterov, heavy-ball and Adam. A random order draws as many layers a "
        "sweep as there are, with replacement, so that some are left out. Seconds are of compiled "
        "steps on one machine, where the updates of a red-black or Jacobi sweep do not run in "
        "parallel unless it has the cores.",
    )
    record.headline = _headline(record.figures)


def _headline(figures: dict[str, Any]) -> list[str]:
    means = {label: float(np.mean(f["energy"])) for label, f in figures.items()}
    finite = {label: value for label, value in means.items() if np.isfinite(value)}
    best = min(finite, key=lambda label: finite[label])
    first = float(np.mean(figures[PLAIN]["first_energy"]))
    return [
        f"energy {first:.3f} at first; at last plain {means[PLAIN]:.4f}, lowest {best} "
        f"{means[best]:.4f}"
    ]


OPTIMISERS = Experiment(
    name="optimisers",
    title="Optimisers: steps, accelerations and orders of block descent",
    lead="Full-batch block-coordinate descent on one lifted energy: how fast does each step rule, "
    "acceleration, metric and order bring it down, in sweeps and in seconds?",
    config={
        "data": "fashion-mnist",
        "samples": 1000,
        "hidden": [64, 64],
        "sweeps": 300,
        "tuning_sweeps": 100,
        "steps": [1e-3, 3e-3, 1e-2, 3e-2],
        "proximal": 1e-3,
        "ordered": [PLAIN, METRIC],
        "variants": None,
        "seeds": [0, 1, 2],
    },
    quick={
        "data": "digits",
        "samples": 200,
        "hidden": [32, 32],
        "sweeps": 60,
        "tuning_sweeps": 30,
        "variants": [
            PLAIN,
            "Nesterov",
            "backtracking",
            "Adam on the parameters",
            METRIC,
            f"random, {METRIC}",
        ],
        "seeds": [0],
    },
    run=_run,
)
