"""A picture from a classifier's features."""

import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from liftax.affine import AveragePooling, Convolution, Dense
from liftax.data import load
from liftax.experiments._adam_inversion import adam_inversion
from liftax.experiments._experiment import Experiment, Record
from liftax.experiments._photographs import scores
from liftax.experiments._pictures import comparison
from liftax.experiments._plots import panels
from liftax.experiments._tuning import adam
from liftax.inversion import BlockDescent, TotalVariation, invert
from liftax.methods import OneSweep
from liftax.networks import INPUT, Network, Node, Params, max_pooling
from liftax.training import fit

LIFTED, ADAM = "lifted inversion", "Adam"
Pictures = Float[np.ndarray, "n h w 1"]


class _Features(NamedTuple):
    """A network up to the features, features with noise, and the pictures they belong to."""

    network: Network
    params: Params
    y: Array
    pictures: Pictures


class _Solved(NamedTuple):
    pictures: Pictures
    parameters: str
    seconds: float


def _classifier(side: int, pooling: str, config: dict[str, Any]) -> Network:
    """Two convolutions, each followed by pooling of 2 x 2, then two dense layers."""
    nodes, last, size = [], INPUT, side
    for k, channels in enumerate(config["channels"], 1):
        nodes.append(Node(f"conv{k}", Convolution(channels, (5, 5)), "relu", last))
        last = f"pool{k}"
        if pooling == "max":
            nodes += max_pooling(last, f"conv{k}", (size, size, channels), 2)
        else:
            nodes.append(Node(last, AveragePooling(2), "identity", f"conv{k}"))
        size //= 2
    nodes.append(Node("dense", Dense(config["dense"]), "relu", last))
    return Network((*nodes, Node("out", Dense(10), "softmax", "dense")), (side, side, 1))


def _run(record: Record) -> None:
    config, rows = record.config, []
    data = load(config["data"])
    side = data.train.x.shape[1]
    x, unseen = (
        np.asarray(part.x, np.float32).reshape(-1, side, side, 1)
        for part in (data.train, data.test)
    )
    tuned, tested = np.split(unseen[: config["tuned"] + config["tested"]], [config["tuned"]])
    for pooling in config["poolings"]:
        for seed in record.seeds:
            network = _classifier(side, pooling, config)
            assert data.train.y is not None
            done = fit(
                network,
                (x[: config["samples"]], data.train.y[: config["samples"]]),
                OneSweep(adam(config["training_rate"])),
                epochs=config["epochs"],
                batch_size=config["batch"],
                validation=data.test,
                seed=seed,
                checkpoints=record.checkpoints(pooling=pooling, seed=seed),
                progress=False,
            )
            record.add(done, pooling=pooling, seed=seed)
            record.model = record.model or done
            found = record.figures.setdefault(pooling, {})
            accuracy = done.history.last["validation_accuracy"]
            found.setdefault("accuracy", []).append(float(accuracy))
            model = (network, done.params)
            rows += _study(record, model, (tuned, tested), f"{pooling}-pooling", seed)
    _write(record, rows)


def _write(record: Record, rows: list[tuple[str, ...]]) -> None:
    report, config = record.report, record.config
    report.heading("The result")
    columns = ("network", "features", "noise", "method", "parameters", "PSNR, dB", "SSIM", "s")
    caption = f"{config['tested']} pictures of {config['data']} that no training has seen"
    report.table(columns, rows, caption)
    report.text(
        "Noise is relative to the root mean square of the features. Adam minimises ½‖N(x) - y‖² + αTV(x) by automatic "
        "differentiation and makes as many steps as take the seconds that the lifted inversion took. Weight α, the rate "
        "of Adam and the growth of the lifted weights from node to node are the best of a grid on "
        f"{config['tuned']} other pictures, for every row anew. Seconds are those of one batched call without "
        "compilation."
    )
    record.headline = [", ".join(row[:4]) + f": {row[5]} dB" for row in rows[:2]]


def _study(
    record: Record,
    model: tuple[Network, Params],
    pictures: tuple[Pictures, Pictures],
    title: str,
    seed: int,
) -> list[tuple[str, ...]]:
    config, rows, depths = record.config, [], record.config["depths"]
    found = record.figures[title.split("-")[0]]
    for noise in config["noise"]:
        shown = {"picture": pictures[1]}
        for depth in depths:
            search, features = (
                _features(model, depth, part, noise, seed + place)
                for place, part in enumerate(pictures)
            )
            lifted = _lifted(search, features, config)
            solved = {LIFTED: lifted, ADAM: _adam(search, features, lifted.seconds, config)}
            for method, out in solved.items():
                psnr, ssim = scores(out.pictures, features.pictures).mean(axis=0)
                one = {"psnr": psnr, "ssim": ssim, "s": out.seconds, "best": out.parameters}
                key = f"{depth}, noise {noise:g}, {method}"
                found.setdefault(key, []).append(one)
                numbers = (f"{psnr:.2f}", f"{ssim:.4f}", f"{out.seconds:.1f}")
                rows.append((title, depth, f"{noise:g}", method, out.parameters, *numbers))
                record.say(" ".join(rows[-1]))
                shown[f"{depth}, {method.split()[0]}"] = out.pictures
        few = {label: images[: config["shown"]] for label, images in shown.items()}
        comparison(record.report, few, f"{title}, noise {noise:g}, seed {seed}")
    groups = {
        f"noise {noise:g}": {
            m: (
                np.arange(1, 1 + len(depths)),
                [[found[f"{d}, noise {noise:g}, {m}"][-1]["psnr"] for d in depths]],
            )
            for m in (LIFTED, ADAM)
        }
        for noise in config["noise"]
    }
    plot = panels(groups, "depth of the features", "PSNR, dB", baseline=(ADAM,))
    record.report.charts(plot, f"{title}, seed {seed}: from the first on {', '.join(depths)}")
    return rows


def _features(
    model: tuple[Network, Params], depth: str, pictures: Pictures, noise: float, seed: int
) -> _Features:
    network, params = model
    last = [node.name for node in network.nodes].index(depth)
    part = Network(network.nodes[: last + 1], network.input_shape)
    own = {node.name: params[node.name] for node in part.nodes}
    clean = jax.jit(part)(own, jnp.asarray(pictures))
    level = noise * jnp.sqrt(jnp.mean(clean**2))
    rough = clean + level * jax.random.normal(jax.random.key(seed), clean.shape, clean.dtype)
    # Behind ReLU and pooling of it there are no negative values.
    return _Features(part, own, jnp.maximum(rough, 0), pictures)


def _lifted(search: _Features, features: _Features, config: dict[str, Any]) -> _Solved:
    """The weight of every node is that of the node before it times a growth."""

    def solve(given: _Features, alpha: float, growth: float) -> Pictures:
        weights = {node.name: growth**k for k, node in enumerate(given.network.nodes)}
        solver = BlockDescent(config["sweeps"], 1, tolerance=0.0, weights=weights)
        found = invert(given.network, given.params, given.y, TotalVariation(), alpha, solver=solver)
        return np.asarray(found.x)

    quality = {
        (alpha, growth): _psnr(solve(search, alpha, growth), search.pictures)
        for alpha in config["alphas"]
        for growth in config["growths"]
    }
    alpha, growth = max(quality, key=lambda key: quality[key])
    solve(features, alpha, growth)
    begin = time.perf_counter()
    pictures = solve(features, alpha, growth)
    taken = time.perf_counter() - begin
    return _Solved(pictures, f"α {alpha:g}, growth {growth:g}", taken)


def _adam(
    search: _Features, features: _Features, seconds: float, config: dict[str, Any]
) -> _Solved:
    """With as many steps as take the seconds."""

    def solve(given: _Features, alpha: float, rate: float, steps: int) -> Pictures:
        start, model = jnp.zeros_like(given.pictures), (given.network, given.params)
        return np.asarray(adam_inversion(model, given.y, start, (rate, alpha), steps))

    solve(features, 1e-2, 1e-2, 1)
    begin = time.perf_counter()
    solve(features, 1e-2, 1e-2, config["timed"])
    steps = max(1, round(seconds / (time.perf_counter() - begin) * config["timed"]))
    quality = {
        (alpha, rate): _psnr(solve(search, alpha, rate, steps), search.pictures)
        for alpha in config["alphas"]
        for rate in config["rates"]
    }
    alpha, rate = max(quality, key=lambda key: quality[key])
    begin = time.perf_counter()
    pictures = solve(features, alpha, rate, steps)
    taken = time.perf_counter() - begin
    return _Solved(pictures, f"α {alpha:g}, rate {rate:g}, {steps} steps", taken)


def _psnr(images: Pictures, pictures: Pictures) -> float:
    mean = float(scores(images, pictures)[:, 0].mean())
    return mean if np.isfinite(mean) else -np.inf


CLASSIFIER_INVERSION = Experiment(
    name="classifier-inversion",
    title="Pictures from a classifier's features",
    lead="The features of a convolutional classifier, inverted by the lifted energy and total variation, for every "
    "depth of the features, average- and max-pooling: which picture is nearer, that of the lifted inversion or that of "
    "automatic differentiation in equal time?",
    config={
        "data": "fashion-mnist",
        "samples": 10000,
        "poolings": ["average", "max"],
        "channels": [8, 16],
        "dense": 128,
        "training_rate": 2e-3,
        "epochs": 2,
        "batch": 100,
        "noise": [0.0, 0.1],
        "depths": ["pool1", "pool2", "dense"],
        "alphas": [1e-3, 1e-2, 3e-2],
        "rates": [5e-2, 1e-1],
        "growths": [1.0],
        "sweeps": 1000,
        "timed": 30,
        "tuned": 3,
        "tested": 6,
        "shown": 4,
        "seeds": [0],
    },
    quick={
        "data": "digits",
        "samples": 1000,
        "poolings": ["max"],
        "channels": [4, 6],
        "dense": 24,
        "epochs": 3,
        "noise": [0.0],
        "depths": ["pool1"],
        "alphas": [1e-3, 1e-2],
        "rates": [5e-2],
        "growths": [1.0],
        "sweeps": 50,
        "timed": 10,
        "tuned": 4,
        "tested": 4,
        "shown": 3,
    },
    run=_run,
)
