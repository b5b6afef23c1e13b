"""Condition numbers of the blocks of lifted energies, at random and trained networks."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

from liftax.affine import Dense
from liftax.data import Dataset, load
from liftax.diagnostics import gauss_newton_spectrum
from liftax.experiments._experiment import Experiment, Record, spread
from liftax.experiments._plots import curves, panels
from liftax.methods import OneSweep
from liftax.networks import chain, mlp
from liftax.objectives import LiftedEnergy
from liftax.penalties import AbstractPenalty, Bregman, Lifted, Quadratic
from liftax.training import fit

PENALTIES: dict[str, AbstractPenalty] = {
    "MAC-QP": Quadratic(),
    "lifted": Lifted(),
    "Bregman": Bregman(),
}
EXACT = " (limit)"


def unit(activation: str, inputs: int, samples: int, scales: Any, seed: int) -> dict[str, Any]:
    """Penalty → condition numbers of a unit with standard normal inputs, |w| over the scales."""
    rng = np.random.default_rng(seed)
    x = jnp.asarray(rng.standard_normal((samples, inputs)), jnp.float32)
    direction = rng.standard_normal(inputs)
    direction = jnp.asarray(direction / np.linalg.norm(direction), jnp.float32)
    network = chain((inputs,), [(Dense(1, use_bias=False), activation)])

    @jax.jit
    def conditions(x: Any, direction: Any, scales: Any) -> dict[str, Any]:
        def condition(scale: Any, penalty: AbstractPenalty) -> Any:
            params = {"layer1": {"weight": scale * direction[:, None]}}
            energy = LiftedEnergy(network, loss=penalty)
            y = jnp.zeros((samples, 1), x.dtype)
            key = jax.random.key(seed)
            return gauss_newton_spectrum(energy, params, x, y, key=key)["layer1"].condition

        return {
            name: jax.vmap(lambda scale, p=penalty: condition(scale, p))(scales)
            for name, penalty in PENALTIES.items()
        }

    found = conditions(x, direction, jnp.asarray(scales, jnp.float32))
    return {name: np.asarray(values).tolist() for name, values in found.items()}


def limit(scales: Any) -> dict[str, list[float]]:
    r"""The condition numbers of a tanh unit for infinitely many samples, by quadrature.

    $E\,d(w^\top x)\,xx^\top = aI + (b - a)\,ww^\top/|w|^2$ with $a = E\,d$ and $b = E\,g^2d$, $g$ standard normal: $a/b$.
    """
    g = np.linspace(-12, 12, 20001)
    found = {}
    for name, power in (("MAC-QP", 4), ("Bregman", 2)):
        mass = [np.exp(-g * g / 2) / np.cosh(scale * g) ** power for scale in scales]
        found[name] = [float(np.sum(m) / np.sum(m * g * g)) for m in mass]
    return found


def whitened(data: Dataset, components: int) -> np.ndarray:
    """Leading principal components of all samples, each of variance 1."""
    x = np.asarray(data.x, np.float64).reshape(len(data.x), -1)
    x = x - x.mean(axis=0)
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    leading = slice(None, -components - 1, -1)
    return (x @ vectors[:, leading] / np.sqrt(values[leading])).astype(np.float32)


def _run(record: Record) -> None:
    config = record.config
    scales = config["scales"]
    units: dict[str, Any] = {}
    for samples in config["unit_samples"]:
        runs = [unit("tanh", config["inputs"], samples, scales, seed) for seed in record.seeds]
        units[str(samples)] = {name: [run[name] for run in runs] for name in PENALTIES}
        record.say(f"one tanh unit, {samples} samples: done")
    trained = {a: _trained(record, a) for a in config["activations"]}
    record.figures = {
        "scales": scales,
        "unit": units,
        "limit": limit(scales),
        "epochs": config["epochs"],
        "trained": trained,
    }
    _write(record)


def _trained(record: Record, activation: str) -> dict[str, Any]:
    """Block → penalty → for every seed a list over the epochs."""
    config = record.config
    data = load(config["data"]).train
    assert data.y is not None
    x, y = whitened(data, config["inputs"])[: config["samples"]], data.y[: config["samples"]]
    network = mlp([config["inputs"], *config["hidden"], 10], activation)
    found: dict[str, Any] = {}
    for seed in record.seeds:
        params: Any = network.init(jax.random.key(seed), jnp.float32)
        before = 0
        for epoch in config["epochs"]:
            if epoch > before:
                result = fit(
                    network,
                    (x, y),
                    OneSweep(optax.adam(config["rate"])),
                    epochs=epoch - before,
                    seed=seed,
                    params=params,
                    progress=False,
                )
                params, before = result.params, epoch
                record.add(result, activation=activation, seed=seed, until=epoch)
                record.model = record.model or result
            for label, penalty in PENALTIES.items():
                spectra = gauss_newton_spectrum(
                    LiftedEnergy(network, penalty),
                    params,
                    x,
                    y,
                    # Exact up to rounding: as many steps as the largest block has dimensions.
                    steps=max(ravel_pytree(theta)[0].size for theta in params.values()),
                    key=jax.random.key(seed),
                )
                for block, spectrum in spectra.items():
                    if block == network.output:
                        continue
                    runs = found.setdefault(block, {}).setdefault(label, {})
                    runs.setdefault(seed, []).append(float(spectrum.condition))
    return {
        block: {label: list(runs.values()) for label, runs in by.items()}
        for block, by in found.items()
    }


def _write(record: Record) -> None:
    report, config, figures = record.report, record.config, record.figures
    report.heading("One unit")
    most = _write_unit(record)
    report.heading("Trained networks")
    for activation, blocks in figures["trained"].items():
        groups = {
            block: {label: (figures["epochs"], _finite(runs)) for label, runs in by.items()}
            for block, by in blocks.items()
        }
        # A unit that no sample wakes makes the next layer's matrix singular: nothing to draw.
        groups = {
            block: by
            for block, by in groups.items()
            if any(np.isfinite(runs).any() for _, runs in by.values())
        }
        plot = panels(groups, "epoch", "condition number", log="y")
        widths = "-".join(str(w) for w in (config["inputs"], *config["hidden"], 10))
        text = f"{activation} perceptron {widths} on {config['data']}, trained lifted"
        report.charts(plot, f"{text}: condition numbers of its blocks; bands span the seeds")
    report.heading("How to read it")
    report.text(
        "The Gauss-Newton matrix of one unit is E d(w·x) x xᵀ with d = σ'² for MAC-QP, d = σ' for "
        "Bregman and d = 1 for lifted penalties: the flatter σ where the data are, the fewer samples "
        "determine the direction of w, twice so for MAC-QP. A gradient method takes about as many "
        "steps as the condition number. The limit is that of infinitely many samples; with fewer, "
        "chance adds to it.",
        "Blocks named like a layer are its weights, those with .u its activations (for these the "
        f"worst of all samples counts). Inputs are the {config['inputs']} leading principal "
        "components, each of variance 1, so that what is seen is the layers' doing. A missing point "
        "is a singular matrix: a unit that is flat for all samples.",
        "For activations the order is reversed: φ of lifted and Bregman penalties bends by 1/σ' "
        "where σ saturates. That part is handled by the prox, and no step size depends on it; a "
        "method without the prox would feel it.",
    )
    one = np.mean(most["MAC-QP"], axis=0) / np.mean(most["Bregman"], axis=0)
    record.headline = [
        f"one tanh unit, |w| from {config['scales'][0]:g} to {config['scales'][-1]:g}: MAC-QP is conditioned "
        f"{one[0]:.1f} to {one[-1]:.1f} times as badly as Bregman"
    ]
    for activation, blocks in figures["trained"].items():
        block = next(iter(blocks))
        last = {k: np.median([run[-1] for run in runs]) for k, runs in blocks[block].items()}
        shown = ", ".join(f"{label} {value:.3g}" for label, value in last.items())
        record.headline.append(f"{activation}, {block} after training: {shown}")


def _write_unit(record: Record) -> dict[str, Any]:
    """Table and plot; the figures of the largest number of samples."""
    report, config, figures = record.report, record.config, record.figures
    scales, units = figures["scales"], figures["unit"]
    rows = [
        (name, f"{int(samples):,}", *(spread(column, 1) for column in np.transpose(runs)))
        for samples, by in units.items()
        for name, runs in by.items()
    ]
    rows += [(n, "∞", *(f"{v:.1f}" for v in values)) for n, values in figures["limit"].items()]
    columns = ("penalty", "samples", *(f"|w| = {scale:g}" for scale in scales))
    caption = f"Condition number of a tanh unit with {config['inputs']} standard normal inputs"
    report.table(columns, rows, f"{caption}, seeds {record.seeds}")
    most = max(units, key=int)
    series: dict[str, Any] = {name: (scales, runs) for name, runs in units[most].items()}
    series |= {name + EXACT: (scales, [v]) for name, v in figures["limit"].items()}
    dashed = [name for name in series if name.endswith(EXACT)]
    plot = curves(series, "|w|", "condition number", log="xy", baseline=dashed)
    report.charts(plot, f"{caption} against the size of its weights, {int(most):,} samples")
    return units[most]


def _finite(runs: Any) -> Any:
    values = np.array(runs, float)
    return np.where(np.isfinite(values), values, np.nan)


CONDITIONING = Experiment(
    name="conditioning",
    title="Conditioning: how hard the blocks of each penalty are",
    lead="Condition numbers of the Gauss-Newton matrices of quadratic, lifted and Bregman penalties: "
    "for one unit as its weights grow, and for whole networks as they are trained.",
    config={
        "inputs": 30,
        "scales": [0.5, 1.0, 2.0, 4.0],
        "unit_samples": [4_000, 100_000],
        "data": "fashion-mnist",
        "samples": 2_000,
        "hidden": [24, 24],
        "activations": ["tanh", "sigmoid", "relu"],
        "rate": 3e-3,
        "epochs": [0, 1, 5, 20, 50],
        "seeds": [0, 1, 2],
    },
    quick={
        "unit_samples": [4_000],
        "data": "digits",
        "samples": 1_000,
        "hidden": [12, 12],
        "activations": ["tanh"],
        "epochs": [0, 5, 20],
        "seeds": [0],
    },
    run=_run,
)
