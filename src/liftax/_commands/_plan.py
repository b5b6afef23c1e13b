"""A training run as its file of settings describes it, checked before anything is computed."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from liftax._commands._methods import Budget, energy, method
from liftax._commands._networks import network
from liftax._commands._samples import Samples, samples
from liftax._commands._settings import (
    Check,
    Table,
    Value,
    hint,
    number,
    one_of,
    read_settings,
    text,
    whole,
)
from liftax.methods import AbstractMethod
from liftax.networks import Params
from liftax.objectives import LiftedEnergy
from liftax.training import EarlyStopping


@dataclasses.dataclass(frozen=True)
class Plan:
    """What `fit` is called with.

    Attributes:
        settings: as they stand in the file.
        text: of the file.
        energy: to be minimised.
        params: of a network from a file, or None.
        method: that minimises.
        samples: to learn from.
        options: ``epochs``, ``batch_size``, ``seed``, ``stream``, ``products`` of `fit`.
        every: steps between checkpoints, or None.
        stopping: when to stop, or None.
        best: column whose best epoch is kept, or None.
    """

    settings: dict[str, Any]
    text: str
    energy: LiftedEnergy
    params: Params | None
    method: AbstractMethod
    samples: Samples
    options: dict[str, Any]
    every: int | None
    stopping: EarlyStopping | None
    best: str | None


def read_plan(path: str | Path) -> Plan:
    """The run that a TOML file describes; its data are read.

    Raises:
        FileNotFoundError: for a file that is not there.
        ValueError: for whatever is wrong with the settings or the data, with its place.
    """
    root, written = read_settings(path)
    training = root.table("training")
    options = {
        "epochs": training.take("epochs", whole(1), 10),
        "batch_size": training.take("batch_size", whole(1), 128),
        "seed": training.take("seed", whole(0), 0),
        "stream": training.take("stream", whole(1)),
        "products": training.take("products", one_of(["bfloat16", "float16"])),
    }
    training.close()
    checkpoints = root.table("checkpoints")
    every = checkpoints.take("every", whole(1))
    checkpoints.close()
    stopping, best = root.take("stopping", _stopping), root.take("best", _best)
    data, graph = root.take("data", _table), root.take("network", _table)
    for name, found in (("data", data), ("network", graph)):
        if found is None:
            raise root.error(f"needs the table [{name}]; `liftax train --example` prints one")
    energies = root.table("energy")
    # What needs no data is refused before they are fetched; the size of an epoch needs them.
    given = samples(data, mapped=options["stream"] is not None)
    built, params = network(graph, given.shapes)
    lifted = energy(energies, built)
    budget = Budget(len(given.train), options["batch_size"], options["epochs"])
    chosen = method(root, bool(lifted.regularisers), budget)
    root.close()
    plan = Plan(
        *(root.content, written, lifted, params, chosen, given, options, every),
        *(_known(stopping, lifted, given), _known(best, lifted, given)),
    )
    _fits(plan)
    return plan


def _table(value: Value) -> Table:
    if not isinstance(value.content, dict):
        raise value.error("must be a table")
    return Table(value.content, value.path, value.lines)


def _stopping(value: Value) -> tuple[Value, EarlyStopping]:
    found = _table(value)
    checks: dict[str, Check] = {"column": text, "patience": whole(1), "least": number(0.0)}
    chosen = found.some(checks)
    found.close()
    rule = EarlyStopping(**chosen)
    return Value(rule.column, f"{value.path}.column", value.lines), rule


def _best(value: Value) -> tuple[Value, str]:
    found = _table(value)
    column = found.take("column", text, "validation_loss")
    found.close()
    return Value(column, f"{value.path}.column", value.lines), column


def _known(given: tuple[Value, Any] | None, energy: LiftedEnergy, samples: Samples) -> Any:
    """The rule, if the history of the run will have its column."""
    if given is None:
        return None
    column, rule = given
    metric = "accuracy" if samples.shapes.labels else "mse"
    names = ["loss", metric, "energy", *(f"gap/{name}" for name in energy.network.hidden)]
    if samples.validation is not None:
        names = ["validation_loss", f"validation_{metric}", *names]
    if column.content not in names:
        raise column.error(
            f"{column.content!r} is no column of this run's history"
            f"{hint(column.content, names)} (known: {', '.join(names)})"
        )
    return rule


def _fits(plan: Plan) -> None:
    """Whether network and samples fit, the way `fit` would find out, on shapes alone."""
    train = plan.samples.train
    shape = plan.energy.network.input_shape
    if int(np.prod(train.x.shape[1:])) != int(np.prod(shape)):
        raise ValueError(
            f"data: examples have the shape {tuple(train.x.shape[1:])}, the network takes {shape}; "
            "change data.shape or the network"
        )
    params = jax.eval_shape(plan.energy.network.init, jax.random.key(0))
    if plan.params is not None and jax.tree.structure(params) != jax.tree.structure(plan.params):
        raise ValueError("network.path: its parameters are of another network; write it anew")
    if plan.options["products"] is not None and not jnp.issubdtype(train.x.dtype, jnp.floating):
        raise ValueError("training.products: inputs are whole numbers; add data.divide")
