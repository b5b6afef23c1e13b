"""Inverses of monotone functions from shallow networks."""

import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from liftax.affine import Dense
from liftax.blocks import Plain, ProximalGradient
from liftax.experiments._experiment import Experiment, Record
from liftax.experiments._plots import curves
from liftax.experiments._scalar_inverses import FUNCTIONS, bisected, errors
from liftax.inversion import BlockDescent, Inverse, Tikhonov, invert
from liftax.methods import OneSweep
from liftax.networks import Network, Params, chain, units
from liftax.training import fit

LIFTED, DIRECT = "lifted inversion", "bisection of the network"
_PARTS = ("layer1", "layer2")


class _Trained(NamedTuple):
    network: Network
    params: Params
    fit_error: float


def _run(record: Record) -> None:
    config, rows, plots = record.config, [], {}
    for name in config["functions"]:
        for seed in record.seeds:
            trained = _train(record, name, seed)
            found = record.figures.setdefault(name, {})
            found.setdefault("fit", []).append(trained.fit_error)
            for noise in config["noise"]:
                by_method, shown = _inverted(trained, name, noise, seed, config)
                for method, f in by_method.items():
                    key = f"noise {noise:g}, {method}"
                    found.setdefault(key, []).append(f)
                    numbers = (f"{f['rms']:.4f}", f"{f['largest']:.4f}")
                    rows.append((name, f"{noise:g}", method, *numbers, f"{f['seconds']:.2f}"))
                    record.say(" ".join(rows[-1]))
                plots[f"{name}, noise {noise:g}, seed {seed}"] = shown
        if config["unit_by_unit"]:
            found["unit by unit"] = _unit_by_unit(trained, name, config)
            record.say(f"{name}: unit by unit {found['unit by unit']}")
    report = record.report
    report.heading("The result")
    columns = ("function", "noise", "method", "error, rms", "largest", "seconds")
    report.table(columns, rows, f"{config['values']} values in one call, α = {config['alpha']:g}")
    for title, shown in plots.items():
        report.charts(curves(shown, "value of the function", "u", baseline=("true",)), title)
    report.text(
        "The networks have the biases $b_j = -(j-1)\\cdot 3/50$, which no training changes. Errors are against the "
        "inverse of the function itself, by bisection, at the values without noise. Bisection of the network is what "
        "any solver of the scalar equation N(u) = f would give; it needs that N increases, the lifted inversion does "
        "not. Seconds are those of one batched call without compilation."
    )
    first = rows[0]
    record.headline = [f"{first[0]}, {first[2]}, noise {first[1]}: rms {first[3]}"]


def _train(record: Record, name: str, seed: int) -> _Trained:
    """C and w by lifted training."""
    config, count = record.config, record.config["units"]
    network = chain((1,), [(Dense(count), "relu"), (Dense(1, use_bias=False), "identity")])
    rng = np.random.default_rng(seed)
    start = (
        {
            "weight": rng.uniform(0.5, 1.5, (1, count)),
            "bias": -np.arange(count) * config["spacing"],
        },
        {"weight": rng.uniform(0, 2 / count, (count, 1))},
    )
    x = np.linspace(0, config["end"], config["samples"], dtype=np.float32)[:, None]
    y = FUNCTIONS[name](x)
    steps = config["epochs"] * (config["samples"] // config["batch"])
    moving = optax.adam(optax.cosine_decay_schedule(config["rate"], steps))
    labels = {"layer1": {"weight": "moves", "bias": "stays"}, "layer2": {"weight": "moves"}}
    optimiser = optax.multi_transform({"moves": moving, "stays": optax.set_to_zero()}, labels)
    done = fit(
        network,
        (x, y),
        OneSweep(optimiser),
        epochs=config["epochs"],
        batch_size=config["batch"],
        seed=seed,
        params=dict(zip(_PARTS, start, strict=True)),
        progress=False,
    )
    record.add(done, function=name, seed=seed)
    record.model = record.model or done
    miss = np.abs(np.asarray(network(done.params, jnp.asarray(x))) - y).max()
    return _Trained(network, done.params, float(miss))


def _data(
    name: str, noise: float, seed: int, config: dict[str, Any]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """True inputs, and values of the function with noise."""
    true = np.linspace(0.02 * config["end"], 0.98 * config["end"], config["values"])
    rough = noise * np.random.default_rng(seed).normal(size=true.shape)
    return true, FUNCTIONS[name](true) + rough


def _solve(network: Network, params: Params, y: Array, config: dict[str, Any]) -> Inverse:
    solver = BlockDescent(
        config["sweeps"], 1, tolerance=1e-7, step=ProximalGradient(), inertia=Plain()
    )
    return invert(network, params, y, Tikhonov(), config["alpha"], solver=solver)


def _timed(network: Network, params: Params, y: Array, config: Any) -> tuple[Inverse, float]:
    jax.block_until_ready(_solve(network, params, y, config).x)
    begin = time.perf_counter()
    found = jax.block_until_ready(_solve(network, params, y, config))
    return found, time.perf_counter() - begin


def _inverted(
    trained: _Trained, name: str, noise: float, seed: int, config: dict[str, Any]
) -> tuple[dict[str, dict[str, float]], dict[str, tuple[Any, Any]]]:
    true, values = _data(name, noise, seed, config)
    y = jnp.asarray(values, jnp.float32)[:, None]
    found, seconds = _timed(trained.network, trained.params, y, config)

    @jax.jit
    def output(x: Array) -> Array:
        return trained.network(trained.params, x[:, None])[:, 0]

    def network(x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        return np.asarray(output(jnp.asarray(x, jnp.float32)))

    begin = time.perf_counter()
    direct = bisected(network, values, 0.0, config["end"])
    inverses = {LIFTED: np.asarray(found.x)[:, 0], DIRECT: direct}
    times = {LIFTED: seconds, DIRECT: time.perf_counter() - begin}
    figures = {m: {**errors(x, true), "seconds": times[m]} for m, x in inverses.items()}
    figures[LIFTED]["sweeps"] = float(np.max(np.asarray(found.iterations)))
    order = np.argsort(values)
    shown = {m: (values[order], [x[order]]) for m, x in inverses.items()}
    exact = FUNCTIONS[name](true)
    return figures, {"true": (exact, [true]), **shown}


def _unit_by_unit(trained: _Trained, name: str, config: dict[str, Any]) -> dict[str, float]:
    """Coordinate descent in closed form beside steps on the whole layer."""
    true, values = _data(name, 0.0, 0, config)
    y = jnp.asarray(values, jnp.float32)[:, None]
    whole, seconds = _timed(trained.network, trained.params, y, config)
    single, other = _timed(*units(trained.network, trained.params), y, config)
    return {
        "rms": errors(np.asarray(single.x)[:, 0], true)["rms"],
        "seconds": other,
        "sweeps": float(np.max(np.asarray(single.iterations))),
        "layer's rms": errors(np.asarray(whole.x)[:, 0], true)["rms"],
        "layer's seconds": seconds,
        "layer's sweeps": float(np.max(np.asarray(whole.iterations))),
    }


SHALLOW_INVERSION = Experiment(
    name="shallow-inversion",
    title="Inverses of monotone functions from shallow networks",
    lead="A network of one hidden layer learns a monotone function; inverting it by its lifted energy, how near is the "
    "inverse of the function, with clean and with noisy values?",
    config={
        "functions": list(FUNCTIONS),
        "units": 25,
        "spacing": 3 / 50,
        "end": 1.5,
        "samples": 600,
        "batch": 50,
        "epochs": 1000,
        "rate": 3e-3,
        "values": 200,
        "noise": [0.0, 0.03, 0.1],
        "alpha": 1e-4,
        "sweeps": 20000,
        "unit_by_unit": True,
        "seeds": [0, 1, 2],
    },
    quick={
        "functions": ["u³ + u"],
        "epochs": 150,
        "samples": 300,
        "values": 40,
        "noise": [0.0, 0.1],
        "sweeps": 2000,
        "unit_by_unit": False,
        "seeds": [0],
    },
    run=_run,
)
