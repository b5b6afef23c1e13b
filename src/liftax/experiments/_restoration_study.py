"""Networks for images behind an operator: what deblurring, inpainting and tomography share."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from liftax.data import Dataset
from liftax.experiments._experiment import Record, spread
from liftax.experiments._photographs import best_of, failures, scores, turned
from liftax.experiments._pictures import comparison
from liftax.experiments._plots import panels
from liftax.experiments._side_by_side import BACKWARD, LIFTED, METHODS, seconds, slower, train
from liftax.imaging import AbstractOperator, gaussian_noise, tv_restore
from liftax.networks import Network, Params
from liftax.training import Result

Images = Float[np.ndarray, "n h w 1"]


class Task(NamedTuple):
    """What the experiments differ in.

    Attributes:
        operator: side of a square image → its operator.
        network: the operator → the network, with parameters of the same shapes at every size.
        squares: images to train on, in [0, 1]; the last ones judge settings.
        names: of the test images.
        pictures: the test images.
        references: (operator, measurements) → label → images to compare with.
        kinds: of the test images, one each, to be reported each for itself; or none.
        initial: (network, key) → parameters that both methods begin with.
    """

    operator: Callable[[int], AbstractOperator]
    network: Callable[[AbstractOperator], Network]
    squares: Images
    names: tuple[str, ...]
    pictures: Images
    references: Callable[[AbstractOperator, Any], Mapping[str, Images]]
    kinds: tuple[str, ...] = ()
    initial: Callable[[Network, PRNGKeyArray], Params] = Network.init


class _Study:
    """Data and settings that all runs share."""

    def __init__(self, record: Record, task: Task):
        self.record, self.config, self.task = record, record.config, task
        self.operator = task.operator(task.squares.shape[1])
        self.large = task.operator(task.pictures.shape[1])
        self.network = task.network(self.operator)
        squares, unseen = np.split(task.squares, [len(task.squares) - self.config["held_out"]])
        # Mixed, so that a part is a sample of all photographs.
        self.squares = np.random.default_rng(0).permutation(squares)
        self.validation = measured(self.operator, unseen, self.config["noise"]), unseen
        self.measured = measured(self.large, task.pictures, self.config["noise"])
        whole = task.network(self.large)
        self._restore = jax.jit(lambda params, y: whole(params, y[None])[0])

    def steps(self, samples: int | None) -> int:
        """Of a run with so many squares."""
        return self.config["epochs"] * (len(self.squares[:samples]) // self.config["batch"])

    def train(self, samples: int | None, **labels: Any) -> Result:
        """One run; labels: method, rate, scale, seed."""
        config, squares, grey = self.config, self.squares[:samples], self.config["grey"]
        # Checkpoints know a run by what this closes over: nothing that changes while others run.
        operator, turning, noise = self.operator, config["turned"], config["noise"]

        def transform(key: PRNGKeyArray, y: Array, x: Array) -> tuple[Array, Array]:
            first, second = jax.random.split(key)
            if turning:
                x = turned(first, x)
                y = jax.vmap(operator.apply)(x)
            return gaussian_noise(second, y, noise), x

        unseen = self.shifted(operator, self.validation[0]), self.validation[1] - grey
        return train(
            self.record,
            self.network,
            self.task.initial(self.network, jax.random.key(labels["seed"])),
            Dataset(applied(operator, squares - grey), squares - grey),
            config["epochs"],
            {"transform": transform, "validation": unseen},
            **labels,
        )

    def restored(self, params: Params) -> Images:
        """The test images."""
        ys = self.shifted(self.large, self.measured)
        images = np.stack([np.asarray(self._restore(params, y)) for y in ys])
        return images + self.config["grey"]

    def shifted(self, operator: AbstractOperator, y: Any) -> np.ndarray:
        """Measurements of the image less the grey that networks take for 0."""
        grey = jnp.full(operator.in_shape, self.config["grey"], jnp.float32)
        return np.asarray(y - operator.apply(grey))


def applied(operator: AbstractOperator, images: Images) -> np.ndarray:
    """$Ax$ of many images, one after another."""
    one = jax.jit(lambda x: operator.apply(x))
    return np.stack([np.asarray(one(x)) for x in images])


def measured(operator: AbstractOperator, images: Images, noise: float) -> np.ndarray:
    """$Ax$ with Gaussian noise from the seed 0."""
    rng = np.random.default_rng(0)
    clean = applied(operator, images)
    return (clean + rng.normal(0, noise, clean.shape)).astype(np.float32)


def total_variation_references(
    operator: AbstractOperator, y: Any, pictures: Images, weights: Any, iterations: int
) -> Images:
    """Restored by the best weight for each image."""
    one = jax.jit(lambda y, w: tv_restore(operator, y, w, iterations, interval=(0.0, 1.0)).x)
    return best_of(one, y, pictures, weights)


def run_study(record: Record, task: Task) -> None:
    """References, a search over rates and initial scales, and the seeds at the best rate."""
    study, config = _Study(record, task), record.config
    shown = {"original": task.pictures, **task.references(study.large, study.measured)}
    shown["before training"] = study.restored(task.initial(study.network, jax.random.key(0)))
    for label in list(shown)[1:]:
        record.figures[label] = _measures(task, [shown[label]])
        record.say(f"{label}: {record.figures[label]['psnr'][0]:.2f} dB")
    reference = record.figures["total variation"]["psnr"][0]
    grid = _grid(study, reference)
    rates = {m: max(config["rates"], key=lambda r, m=m: _of(grid, m, r)) for m in METHODS}
    runs: dict[str, list[Result]] = {method: [] for method in METHODS}
    # By turns, so that a busy machine slows both.
    for seed, method in itertools.product(record.seeds, METHODS):
        labels = {"method": method, "rate": rates[method], "scale": 1.0, "seed": seed}
        runs[method].append(study.train(None, **labels))
    for method, done in runs.items():
        images = [study.restored(run.params) for run in done]
        shown[method] = images[-1]
        record.figures[method] = {"rate": rates[method], **_measures(task, images)}
    if config["equal_seconds"]:
        _equal_seconds(study, rates)
    leaves = jax.tree.leaves(jax.eval_shape(study.network.init, jax.random.key(0)))
    record.figures["weights"] = sum(leaf.size for leaf in leaves)
    _write(record, task, shown, grid)


def _measures(task: Task, runs: Sequence[Images]) -> dict[str, Any]:
    """Means over the pictures, and over those of each kind, of every run."""
    found = [scores(images, task.pictures) for images in runs]
    means = {"psnr": [f[:, 0].mean() for f in found], "ssim": [f[:, 1].mean() for f in found]}
    kinds = np.array(task.kinds)
    by = {kind: [f[kinds == kind, 0].mean() for f in found] for kind in dict.fromkeys(task.kinds)}
    return {**means, "kinds": by} if by else means


def _equal_seconds(study: _Study, rates: Mapping[str, float]) -> None:
    """The method with the slower steps once more, with as many steps as fit the other's seconds."""
    batch, record = study.config["batch"], study.record
    times = seconds(study.network, study.config)
    for method in METHODS:
        record.figures[method]["seconds_per_step"] = times[method]
    slow, fast, share = slower(times)
    samples = batch * max(1, round(share * (len(study.squares) // batch)))
    labels = {"method": slow, "rate": rates[slow], "scale": 1.0}
    runs = [study.train(samples, **labels, seed=seed) for seed in record.seeds]
    found = _measures(study.task, [study.restored(run.params) for run in runs])
    record.figures[f"{slow}, in the seconds of {fast}"] = {"steps": study.steps(samples), **found}


def _grid(study: _Study, reference: float) -> list[dict[str, Any]]:
    """PSNR of both methods for every rate and initial scale, over that of TV."""
    config, rows = study.config, []
    for rate, scale, method in itertools.product(config["rates"], config["scales"], METHODS):
        labels = {"method": method, "rate": rate, "scale": scale, "seed": 0}
        done = study.train(config["grid_samples"], **labels)
        images = study.restored(done.params)
        psnr = float(scores(images, study.task.pictures)[:, 0].mean())
        error = float(done.history.last.get("validation_mse", np.nan))
        rows.append({**labels, "error": error, "over": psnr - reference})
    return rows


def _of(grid: list[dict[str, Any]], method: str, rate: float) -> float:
    """Minus the held-out error of a rate at the initial scale 1; a failure never wins."""
    key = (method, rate, 1)
    (error,) = (r["error"] for r in grid if (r["method"], r["rate"], r["scale"]) == key)
    return -error if np.isfinite(error) else -np.inf


def _write(
    record: Record, task: Task, shown: Mapping[str, Images], grid: list[dict[str, Any]]
) -> None:
    report, config = record.report, record.config
    figures = {k: f for k, f in record.figures.items() if k != "weights"}
    kinds = tuple(dict.fromkeys(task.kinds))
    table = [
        (
            label,
            spread(f["psnr"], 2),
            spread(f["ssim"], 4),
            *(spread(f["kinds"][kind], 2) for kind in kinds),
            spread(f["seconds_per_step"], 3) if "seconds_per_step" in f else "",
        )
        for label, f in figures.items()
    ]
    report.heading("The result")
    caption = f"{len(task.names)} images that no training has seen, seeds {record.seeds}"
    heads = ("method", "PSNR, dB", "SSIM", *(f"PSNR, {kind}" for kind in kinds), "s per step")
    report.table(heads, table, caption)
    report.text(f"The networks have {record.figures['weights']:,} weights.")
    chosen = [i for i in config["shown"] if i < len(task.names)]
    few = {label: images[chosen] for label, images in shown.items()}
    comparison(report, few, f"Noise of σ = {config['noise']:g}, last seed")
    counts = failures(grid, METHODS, config["margins"])
    _settings(record, grid, counts)
    record.figures |= {"grid": grid, "failures": counts}
    record.headline = [" ".join(["PSNR", row[0], row[1], "dB"]) for row in table]
    record.headline += [f"{row[0]}: {LIFTED} {row[1]}, {BACKWARD} {row[2]}" for row in counts]


def _settings(record: Record, grid: list[dict[str, Any]], counts: list[list[str]]) -> None:
    """Which of the grid's settings train."""
    report, config = record.report, record.config
    report.heading("Which settings train")
    groups = {
        f"initial scale {scale:g}": {
            method: (
                config["rates"],
                [[r["over"] for r in grid if (r["method"], r["scale"]) == (method, scale)]],
            )
            for method in METHODS
        }
        for scale in config["scales"]
    }
    steps = config["epochs"] * (config["grid_samples"] // config["batch"])
    plot = panels(groups, "learning rate", "dB over TV", log="x", baseline=(BACKWARD,))
    report.charts(plot, f"After {steps} steps")
    report.table(("failures", *METHODS), counts, "of all learning rates and initial scales")
