"""Block-coordinate descent with closed forms on a three-split network."""

from typing import Any

from liftax.affine import Dense
from liftax.blocks import AbstractBlockStep, ProximalGradient, Solve
from liftax.data import Dataset, load
from liftax.experiments._experiment import Experiment, Record, spread
from liftax.experiments._plots import curves
from liftax.experiments._tuning import column
from liftax.methods import BlockCoordinateDescent
from liftax.networks import Network, chain, split
from liftax.objectives import LiftedEnergy
from liftax.penalties import AbstractPenalty, Bregman, Quadratic
from liftax.training import fit

# The published outcomes on MNIST: hidden widths, epochs → test accuracy (mean of five seeds).
PUBLISHED = {((1500,) * 3, 50): 0.946, ((600,) * 10, 300): 0.866}


def network(inputs: int, hidden: list[int], gain: float) -> Network:
    """A ReLU perceptron with a linear output, every layer in two nodes."""
    layers = [(Dense(width, gain=gain), "relu") for width in hidden]
    return split(chain((inputs,), [*layers, (Dense(10, gain=gain), "identity")]))


def energy(graph: Network, penalty: AbstractPenalty, gamma: float, rho: float) -> LiftedEnergy:
    r"""γ on the activations, ρ on the layers; the output's variables are eliminated.

    $\min_{V,U}\frac12\|V-y\|^2 + \frac\gamma2\|V-U\|^2 + \frac\rho2\|U-z\|^2 = \frac w2\|y-z\|^2$ with
    $1/w = 1 + 1/\gamma + 1/\rho$.
    """
    weights = {n: rho if n.endswith(".z") else gamma for n in graph.hidden}
    weights[graph.output] = 1 / (1 + 1 / gamma + 1 / rho)
    return LiftedEnergy(graph, penalty, weights=weights)


def _run(record: Record) -> None:
    config = record.config
    data = load(config["data"])
    x, y = data.train.x[: config["samples"]], data.train.y
    assert y is not None
    train = Dataset(x, y[: config["samples"]], data.train.name, data.train.classes)
    graph = network(int(x[0].size), config["hidden"], config["gain"])
    copies = [n for n in graph.hidden if n.endswith(".z")]
    penalties: dict[str, AbstractPenalty] = {"MAC-QP": Quadratic(), "Bregman": Bregman()}
    histories: dict[str, list] = {}
    for label in config["penalties"]:
        objective = energy(graph, penalties[label], config["gamma"], config["rho"])
        method = BlockCoordinateDescent(
            # Sums over samples there, means here: α on the parameters is divided by their number.
            state_step=Solve({name: config["alpha"] for name in copies}, _otherwise(label)),
            parameter_step=Solve(config["alpha"] / len(x)),
            interleaved=True,
        )
        histories[label] = []
        for seed in record.seeds:
            rows = record.run(
                lambda goal=objective, method=method, label=label, seed=seed: fit(
                    goal,
                    train,
                    method,
                    epochs=config["epochs"],
                    validation=data.test,
                    seed=seed,
                    progress=False,
                    callback=lambda history, _: _tell(record, label, seed, history.last),
                ),
                penalty=label,
                seed=seed,
            )
            histories[label].append(rows)
    record.figures = {
        label: {
            "test_accuracy": [rows[-1]["validation_accuracy"] for rows in runs],
            "best_test_accuracy": [max(column(rows, "validation_accuracy")) for rows in runs],
            "seconds_per_epoch": [rows[-1]["seconds"] / config["epochs"] for rows in runs],
        }
        for label, runs in histories.items()
    }
    _write(record, histories)


def _otherwise(label: str) -> AbstractBlockStep | None:
    # A ReLU node of the Bregman penalty has no closed form: a prox step instead.
    return None if label == "MAC-QP" else ProximalGradient()


def _tell(record: Record, label: str, seed: int, row: dict[str, Any]) -> None:
    if row["epoch"] % max(1, record.config["epochs"] // 10) == 0:
        record.say(
            f"{label}, seed {seed}, epoch {row['epoch']}: {row['validation_accuracy']:.4f} "
            f"({row['seconds']:.0f} s)"
        )


def _write(record: Record, histories: dict[str, list]) -> None:
    report, config, figures = record.report, record.config, record.figures
    known = PUBLISHED.get((tuple(config["hidden"]), config["epochs"]))
    report.heading("The result")
    rows = [
        (
            label,
            spread(f["test_accuracy"]),
            spread(f["best_test_accuracy"]),
            spread(f["seconds_per_epoch"], 1),
        )
        for label, f in figures.items()
    ]
    if known and config["data"] == "mnist" and not config["samples"]:
        rows.append(("published code, MAC-QP", f"{known:.3f}", "", ""))
    columns = ("penalty", "test accuracy", "best epoch", "seconds per epoch")
    caption = f"{config['data']}, {len(config['hidden'])} hidden layers of {config['hidden'][0]}"
    report.table(columns, rows, f"{caption}, {config['epochs']} epochs, seeds {record.seeds}")
    for name, title in (("validation_accuracy", "test accuracy"), ("energy", "energy")):
        series = {
            label: (column(runs[0][1:], "epoch"), [column(run[1:], name) for run in runs])
            for label, runs in histories.items()
        }
        plot = curves(series, "epoch", title, log="y" if name == "energy" else "")
        report.charts(plot, f"{title.capitalize()} against epochs; bands span the seeds")
    report.heading("How to read it")
    report.text(
        "Every layer is two nodes, v = W u + b and u = σ(v). With quadratic penalties each block then "
        "has a closed form: a small linear system for an activation, one of two branches for v, "
        "ridge regression for a layer. No step size occurs; the proximal constant is α. One epoch "
        "is one update of every block, from the output down, on the whole training set.",
        "The output's two variables are eliminated from the energy instead of being updated in turn.",
    )
    record.headline = [
        f"test accuracy after {config['epochs']} epochs, {label}: {spread(f['test_accuracy'])}"
        for label, f in figures.items()
    ]


THREE_SPLIT = Experiment(
    name="bcd-three-split",
    title="Block-coordinate descent with closed forms: the three-split network",
    lead="A ReLU perceptron on the whole training set of MNIST, every block in closed form: how far "
    "does it get without any gradient step?",
    config={
        "data": "mnist",
        "samples": None,
        "hidden": [1500, 1500, 1500],
        "gain": 0.3,
        "gamma": 1.0,
        "rho": 1.0,
        "alpha": 5.0,
        "epochs": 50,
        "penalties": ["MAC-QP"],
        "seeds": [0, 1, 2, 3, 4],
    },
    quick={
        "data": "digits",
        "hidden": [100, 100, 100],
        "epochs": 20,
        "penalties": ["MAC-QP", "Bregman"],
        "seeds": [0],
    },
    run=_run,
)
