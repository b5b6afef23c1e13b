"""Inverses of monotone functions from residual networks."""

import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from liftax.blocks import RedBlack
from liftax.experiments._experiment import Experiment, Record
from liftax.experiments._plots import panels
from liftax.experiments._scalar_inverses import FUNCTIONS, bisected, errors
from liftax.experiments._tuning import adam
from liftax.inversion import BlockDescent, Certificate, Inverse, Tikhonov, certificate, invert
from liftax.methods import OneSweep
from liftax.networks import Network, Params, gradient_resnet
from liftax.training import fit

MONOTONE, FOLDED = "V = Wᵀ, u³ + u", "V = -Wᵀ, sin(πu)/π"
CONSTRAINT = "constraint"


class _Trained(NamedTuple):
    network: Network
    params: Params
    fit_error: float


def _function(name: str, u: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return FUNCTIONS["u³ + u"](u) if name == MONOTONE else np.sin(np.pi * u) / np.pi


def _run(record: Record) -> None:
    config, rows = record.config, []
    for name in config["networks"]:
        for seed in record.seeds:
            trained = _train(record, name, seed)
            known = certificate(trained.network, trained.params, 1.0, config["weight"])
            found = record.figures.setdefault(name, {})
            found.setdefault("fit", []).append(trained.fit_error)
            found["smallest ρ"], found["sharp ρ"] = known.smallest, known.sharp
            groups = {}
            for label, rho in _settings(known, config).items():
                measured, groups[label] = _inverted(trained, name, label, rho, config)
                found.setdefault(label, []).append(measured)
                rows.append((name, label, *_shown(measured)))
                record.say(" ".join(rows[-1]))
            plot = panels(groups, "value of the function", "u", baseline=("true",))
            record.report.charts(plot, f"{name}, seed {seed}; bands span the starts")
    _write(record, rows)


def _write(record: Record, rows: list[tuple[str, ...]]) -> None:
    config, report = record.config, record.report
    report.heading("The result")
    columns = ("network, function", "penalty", "curvature", "spread", "own error", "rms", "largest")
    columns = (*columns, "settled", "sweeps", "seconds")
    report.table(
        columns,
        rows,
        f"{config['blocks']} blocks, {config['values']} values, {config['starts']} starts each in one call, λ = "
        f"{config['weight']:g}, α = {config['alpha']:g}",
    )
    report.text(
        "The curvature is that of the quadratic part of the energy for the trained weights: at least 0 means convex. "
        "With V = Wᵀ and ρ from the certificate on, the energy is convex whatever the weights are. The spread is the "
        "largest distance between what two starts led to for one value; the own error is the root mean square distance to "
        "the inverse of the trained network, the others are against the inverse of the function "
        "itself, by bisection, the first branch of it for sin(πu)/π, which takes every value twice."
    )
    first = next(iter(record.figures))
    f = record.figures[first][CONSTRAINT][0]
    record.headline = [
        f"{first}, constraint: spread {f['spread']:.1e} over starts, error {f['rms']:.1e} rms"
    ]


def _shown(measured: dict[str, Any]) -> tuple[str, ...]:
    keys = ("curvature", "spread", "own", "rms", "largest")
    return (
        *("" if measured[key] is None else f"{measured[key]:.2g}" for key in keys),
        f"{measured['settled']:.0%}",
        f"{measured['sweeps']:.0f}",
        f"{measured['seconds']:.1f}",
    )


def _settings(known: Certificate, config: dict[str, Any]) -> dict[str, float]:
    """Penalties below and above the certificate, and the constraint with its own step."""
    rhos = list(config["rhos"])
    if np.isfinite(known.smallest):
        # Rounded upwards.
        rhos = sorted({*rhos, *(float(f"{1.01 * r:.2g}") for r in (known.sharp, known.smallest))})
    return {**{f"ρ = {rho:g}": rho for rho in rhos}, CONSTRAINT: config["step"]}


def _train(record: Record, name: str, seed: int) -> _Trained:
    config = record.config
    network = gradient_resnet(
        1, config["hidden"], config["blocks"], sign=1.0 if name == MONOTONE else -1.0
    )
    params = network.init(jax.random.key(seed))
    rng = np.random.default_rng(seed)
    # Kinks all over the interval.
    for j in range(1, config["blocks"] + 1):
        bias = rng.normal(0, config["bias"], config["hidden"])
        params[f"a{j}"]["bias"] = jnp.asarray(bias, jnp.float32)
    x = np.linspace(-1, 1, config["samples"], dtype=np.float32)[:, None]
    y = _function(name, x)
    done = fit(
        network,
        (x, y),
        OneSweep(adam(config["rate"])),
        epochs=config["epochs"],
        batch_size=config["batch"],
        seed=seed,
        params=params,
        progress=False,
    )
    record.add(done, function=name, seed=seed)
    record.model = record.model or done
    miss = np.abs(np.asarray(jax.jit(network)(done.params, jnp.asarray(x))) - y).max()
    return _Trained(network, done.params, float(miss))


def _inverted(
    trained: _Trained, name: str, label: str, rho: float, config: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, tuple[Any, Any]]]:
    network, exact = trained.network, label == CONSTRAINT
    # sin(πu)/π increases on the middle half.
    end = 0.98 if name == MONOTONE else 0.45
    true = np.linspace(-end, end, config["values"])
    values, starts = _function(name, true), config["starts"]
    rng = np.random.default_rng(0)
    start = config["far"] * rng.normal(size=(starts * len(true), 1))
    y = jnp.asarray(np.tile(values, starts), jnp.float32)[:, None]
    weights = {"out": config["weight"]}
    weights |= {f"u{j}": rho for j in range(1, config["blocks"] + 1)}
    solver = BlockDescent(
        config["sweeps"], 1, config["tolerance"], order=RedBlack(), weights=weights, exact=exact
    )

    def solve() -> Inverse:
        found = invert(
            network, trained.params, y, Tikhonov(), config["alpha"], solver=solver, start=start
        )
        return jax.block_until_ready(found)

    solve()
    begin = time.perf_counter()
    found = solve()
    seconds = time.perf_counter() - begin
    ends = np.asarray(found.x, float).reshape(starts, len(true))
    known = certificate(network, trained.params, rho, config["weight"])
    measured = {
        "rho": rho,
        "curvature": None if exact else known.curvature,
        "spread": float(np.ptp(ends, axis=0).max()),
        **errors(ends, np.broadcast_to(true, ends.shape)),
        "own": _own_error(trained, values, ends) if name == MONOTONE else None,
        "settled": float(np.mean(np.asarray(found.change) <= config["tolerance"])),
        "sweeps": float(np.max(np.asarray(found.iterations))),
        "seconds": seconds,
    }
    inverse = bisected(lambda u: _function(name, u), values, -end - 0.02, end + 0.02)
    shown = {"inverse": (values, list(ends)), "true": (values, [inverse])}
    return measured, shown


def _own_error(
    trained: _Trained, values: Float[np.ndarray, " n"], ends: Float[np.ndarray, "m n"]
) -> float:
    """Root mean square deviation from the inverse of the network, which increases."""

    @jax.jit
    def output(x: Array) -> Array:
        return trained.network(trained.params, x[:, None])[:, 0]

    def network(x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        return np.asarray(output(jnp.asarray(x, jnp.float32)))

    inverse = bisected(network, values, -2.0, 2.0)
    return errors(ends, np.broadcast_to(inverse, ends.shape))["rms"]


RESNET_INVERSION = Experiment(
    name="resnet-inversion",
    title="Inverses of residual networks",
    lead="Residual networks whose blocks are gradients, inverted with a penalty on the residual equation below and "
    "above the certificate of convexity, and with the equation as a constraint: do all starts end in one point, and is "
    "it the right one?",
    config={
        "networks": [MONOTONE, FOLDED],
        "blocks": 20,
        "hidden": 4,
        "bias": 0.3,
        "samples": 512,
        "batch": 64,
        "epochs": 2000,
        "rate": 3e-3,
        "weight": 10.0,
        "alpha": 1e-4,
        "rhos": [1.0, 5.0],
        "step": 1.0,
        "values": 41,
        "starts": 10,
        "far": 2.0,
        "sweeps": 20000,
        "tolerance": 1e-7,
        "seeds": [0],
    },
    quick={
        "networks": [MONOTONE],
        "blocks": 3,
        "epochs": 60,
        "rhos": [1.0],
        "values": 11,
        "starts": 4,
        "sweeps": 2000,
    },
    run=_run,
)
