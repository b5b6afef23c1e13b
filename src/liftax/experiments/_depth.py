"""Depth: plain and residual networks of many layers, and the signals that reach their layers."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from liftax.blocks import AbstractMetric, Implicit
from liftax.data import Dataset, load
from liftax.experiments._experiment import Experiment, Record, spread
from liftax.experiments._plots import panels
from liftax.experiments._tuning import Family, adam, part, tune
from liftax.methods import AbstractGradientMethod, BackPropagation, OneSweep
from liftax.networks import Network, Params, States, mlp, resnet
from liftax.objectives import LiftedEnergy
from liftax.potentials import Identity
from liftax.training import fit

BACKPROP = "back-propagation"


class Signals(AbstractMetric):
    """The signals at the pre-activations themselves, by node name."""

    def gradient(
        self,
        energy: LiftedEnergy,
        params: Params,
        states: States,
        signals: States,
        factor: float = 1.0,
    ) -> Params:
        return {name: factor * signal for name, signal in signals.items()}


def _network(kind: str, activation: str, depth: int, pixels: int, width: int) -> Network:
    """`depth` maps with parameters, a residual block counting two (one less if that is odd)."""
    if kind == "plain":
        return mlp([pixels, *[width] * (depth - 1), 10], activation)
    return resnet(pixels, width, max(1, (depth - 2) // 2), 10, activation)


def _families(config: dict[str, Any]) -> dict[str, Family]:
    metric = Implicit(config["tau"])
    families: dict[str, Family] = {
        "lifted": lambda rate: OneSweep(adam(rate)),
        "lifted, nudge 0.01": lambda rate: OneSweep(adam(rate), nudge=0.01),
        "lifted, implicit metric": lambda rate: OneSweep(adam(rate), metric=metric),
        BACKPROP: lambda rate: BackPropagation(adam(rate)),
    }
    return {label: families[label] for label in config["methods"] or families}


def _run(record: Record) -> None:
    config = record.config
    data = load(config["data"])
    samples = config["samples"]
    train = part(data.train, slice(None, samples))
    judge = part(data.train, slice(samples, samples + config["held_out"]))
    pixels = int(train.x[0].size)
    record.figures = {"signals": _signals(record, train, pixels), "accuracy": {}}
    for depth in config["depths"]:
        for kind in config["kinds"]:
            for activation in config["activations"]:
                network = _network(kind, activation, depth, pixels, config["width"])
                found = record.figures["accuracy"].setdefault(f"{kind}, {activation}", {})
                for label, family in _families(config).items():
                    labels = {
                        "network": kind,
                        "activation": activation,
                        "depth": depth,
                        "method": label,
                    }
                    result = _train(record, network, family, (train, judge, data.test), labels)
                    found.setdefault(label, []).append({"depth": depth, **result})
    _write(record)


def _train(
    record: Record,
    network: Network,
    family: Family,
    data: tuple[Dataset, Dataset, Dataset],
    labels: dict[str, Any],
) -> dict[str, Any]:
    config, energy = record.config, LiftedEnergy(network)
    train, judge, test = data
    title = ", ".join(str(value) for value in labels.values())
    settings = {"epochs": config["tuning_epochs"], "batch_size": config["batch"]}
    rate = tune(record, energy, family, config["rates"], (train, judge), title, **settings)
    runs = [
        record.run(
            lambda seed=seed: fit(
                energy,
                train,
                family(rate),
                epochs=config["epochs"],
                batch_size=config["batch"],
                validation=test,
                seed=seed,
                progress=False,
            ),
            **labels,
            phase="final",
            rate=rate,
            seed=seed,
        )
        for seed in record.seeds
    ]
    return {
        "rate": rate,
        "test_accuracy": [rows[-1]["validation_accuracy"] for rows in runs],
        "seconds": [rows[-1]["seconds"] for rows in runs],
    }


def _signals(record: Record, train: Dataset, pixels: int) -> dict[str, Any]:
    """Title → method → layers, and the size of the signals there for every seed."""
    config, found = record.config, {}
    plain = optax.identity()
    methods: dict[str, AbstractGradientMethod] = {
        "lifted, nudge 1": OneSweep(plain, nudge=1.0, metric=Signals()),
        "lifted, nudge 0.1": OneSweep(plain, nudge=0.1, metric=Signals()),
        "lifted, nudge 0.01": OneSweep(plain, nudge=0.01, metric=Signals()),
        BACKPROP: BackPropagation(plain, metric=Signals()),
    }
    assert train.y is not None
    x = jnp.asarray(train.x[: config["batch"]]).reshape(-1, pixels)
    y = jax.nn.one_hot(train.y[: config["batch"]], 10, dtype=x.dtype)
    for kind in config["kinds"]:
        for activation in config["signal_activations"]:
            depth = config["signal_depth"]
            network = _network(kind, activation, depth, pixels, config["width"])
            energy, title = LiftedEnergy(network), f"{kind}, {activation}, {depth} layers"
            # Behind an identity a node only passes on: the layers with an activation are drawn.
            layers = {
                node.name: place
                for place, node in enumerate(network.nodes, 1)
                if not isinstance(node.potential, Identity)
            }
            found[title] = {}
            for label, method in methods.items():
                sizes = []
                for seed in record.seeds:
                    params = network.init(jax.random.key(seed))
                    size = _sizes(method, energy, params, x, y)
                    sizes.append([float(size[name]) for name in layers])
                found[title][label] = {"layers": list(layers.values()), "sizes": sizes}
            record.say(f"signals: {title}")
    return found


@eqx.filter_jit
def _sizes(
    method: AbstractGradientMethod, energy: LiftedEnergy, params: Params, x: Array, y: Array
) -> dict[str, Array]:
    """Root of the mean over the samples of the squared norm of the signals."""
    signals = method.evaluate(energy, params, (), x, y).gradient
    names = [node.name for node in energy.network.nodes]
    return {n: jnp.sqrt(jnp.sum(signals[n] ** 2) / len(x)) for n in names}


def _write(record: Record) -> None:
    report, config, figures = record.report, record.config, record.figures
    report.heading("The result")
    rows = [
        (
            f"{title}, {f['depth']} layers, {label}",
            f"{f['rate']:g}",
            spread(f["test_accuracy"]),
            spread(f["seconds"], 1),
        )
        for title, methods in figures["accuracy"].items()
        for label, by_depth in methods.items()
        for f in by_depth
    ]
    caption = f"{config['data']}, {config['samples']} pictures, {config['epochs']} epochs"
    columns = ("network, method", "rate", "test accuracy", "seconds")
    report.table(columns, rows, f"{caption}, seeds {record.seeds}")
    groups = {
        title: {
            label: (
                [f["depth"] for f in by_depth],
                np.array([f["test_accuracy"] for f in by_depth]).T,
            )
            for label, by_depth in methods.items()
        }
        for title, methods in figures["accuracy"].items()
    }
    plot = panels(groups, "layers", "test accuracy", log="x", baseline=[BACKPROP])
    report.charts(plot, "Test accuracy against the number of layers; bands span the seeds")
    report.heading("The signal at initialisation")
    signals = {
        title: {label: (f["layers"], f["sizes"]) for label, f in methods.items()}
        for title, methods in figures["signals"].items()
    }
    plot = panels(signals, "layer", "signal", log="y", baseline=[BACKPROP])
    report.charts(
        plot, "Size of the signal against the layer, 1 at the input; bands span the seeds"
    )
    rows = [
        (title, *(f"{_remaining(f):.2g}" for f in methods.values()))
        for title, methods in figures["signals"].items()
    ]
    labels = list(next(iter(figures["signals"].values())))
    report.table(("network", *labels), rows, "Signal at the first drawn layer over the last one's")
    report.heading("How to read it")
    report.text(*_notes(config))
    record.headline = _headline(figures, config["depths"][-1])


def _remaining(found: dict[str, Any]) -> float:
    sizes = np.array(found["sizes"])
    return float(np.mean(sizes[:, 0] / sizes[:, -1]))


def _notes(config: dict[str, Any]) -> list[str]:
    return [
        "A network of n layers has n maps with parameters, a residual one n or n - 1; each of its "
        "blocks counts two. All methods "
        f"take Adam with a rate from the same grid {config['rates']}, judged after "
        f"{config['tuning_epochs']} epochs on {config['held_out']} pictures that no run trains on. "
        "The implicit metric gives Adam the solution of a least-squares problem for every layer "
        "instead of its gradient. The nudge is 0.1 where none is named. A guess has the accuracy 0.1.",
        "The signal is what a layer's pre-activations receive for one picture, the root mean square "
        f"over {config['batch']} pictures of its norm, before any training; a lifted signal is "
        "divided by the nudge. Where a curve falls towards the input by more than rounding and "
        "Adam's ε allow, the first layers do not learn. Back-propagation multiplies the signal by "
        "the slope of the activation at every layer, the sweep by a number nearer to one where that "
        "slope lies between 0 and 1; both "
        "multiply it by the transposed weights, so that what these shrink or stretch is the same "
        "for both.",
    ]


def _headline(figures: dict[str, Any], depth: int) -> list[str]:
    found = []
    for title, methods in figures["accuracy"].items():
        ends = [
            f"{label} {100 * np.mean(by_depth[-1]['test_accuracy']):.1f} %"
            for label, by_depth in methods.items()
        ]
        found.append(f"{title}, {depth} layers: {', '.join(ends)}")
    return found


DEPTH = Experiment(
    name="depth",
    title="Depth: lifted training and back-propagation from 10 to 100 layers",
    lead="Plain and residual networks of more and more layers: which methods still train them, and how "
    "much of the signal reaches the first layers?",
    config={
        "data": "fashion-mnist",
        "samples": 5000,
        "held_out": 1000,
        "kinds": ["plain", "residual"],
        "activations": ["relu", "tanh"],
        "depths": [10, 20, 50, 100],
        "methods": None,
        "width": 64,
        "batch": 100,
        "epochs": 8,
        "tuning_epochs": 3,
        "rates": [1e-4, 3e-4, 1e-3, 3e-3],
        "tau": 10.0,
        "signal_activations": ["relu", "tanh", "sigmoid"],
        "signal_depth": 30,
        "seeds": [0, 1],
    },
    quick={
        "data": "digits",
        "samples": 1000,
        "held_out": 397,
        "kinds": ["plain", "residual"],
        "activations": ["relu"],
        "depths": [5, 10],
        "methods": ["lifted", BACKPROP],
        "width": 32,
        "batch": 50,
        "epochs": 6,
        "tuning_epochs": 2,
        "rates": [1e-3, 3e-3],
        "signal_activations": ["relu"],
        "signal_depth": 10,
        "seeds": [0],
    },
    run=_run,
)
