"""Pictures from the outputs of a perceptron with random weights, and the rate of the error."""

import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from liftax.affine import Dense
from liftax.experiments._experiment import Experiment, Record
from liftax.experiments._photographs import scores, test_photographs
from liftax.experiments._pictures import comparison
from liftax.experiments._plots import panels
from liftax.imaging import crop
from liftax.inversion import (
    AbstractPrior,
    PrimalDual,
    Source,
    Tikhonov,
    TotalVariation,
    a_priori,
    discrepancy,
    error_bound,
    invert,
    landweber,
    source_input,
)
from liftax.networks import Network, Params, chain
from liftax.potentials import ReLU

TV, TIKHONOV, LANDWEBER, LEAST = "total variation", "Tikhonov", "Landweber", "least squares"
_DOUBLE = "jax_enable_x64"
_GREY = 0.5  # where the methods without total variation start, or are drawn to


class _Outputs(NamedTuple):
    """Noisy outputs, the norms of their noise, and the pictures that they belong to."""

    y: np.ndarray
    delta: np.ndarray
    pictures: Float[np.ndarray, "n h w 1"]


def _perceptron(side: int, outputs: int, seed: int) -> tuple[Network, Params]:
    network = chain((side, side, 1), [(Dense(outputs, use_bias=False), "relu")])
    weight = np.random.default_rng(seed).normal(size=(side * side, outputs))
    (name,) = (node.name for node in network.nodes)
    return network, {name: {"weight": jnp.asarray(weight)}}


def _weight(params: Params) -> np.ndarray:
    return np.asarray(next(iter(params.values()))["weight"])


def _run(record: Record) -> None:
    before = jax.config.read(_DOUBLE)
    # A gap of a millionth of the energy is below what single precision resolves.
    jax.config.update(_DOUBLE, True)
    try:
        for seed in record.seeds:
            _pictures(record, seed)
            _rates(record, seed)
    finally:
        jax.config.update(_DOUBLE, before)


def _pictures(record: Record, seed: int) -> None:
    config = record.config
    network, params = _perceptron(config["side"], config["outputs"], seed)
    names, photographs = test_photographs(config["source"])
    count = config["pictures"]
    pictures = np.stack([crop(p, config["side"]) for p in photographs[:count]]).astype(float)
    rows, found = [], {}
    for noise in config["noise"]:
        outputs = _noisy(network, params, pictures, noise, seed)
        results = _inverted(network, params, outputs, config)
        found[f"{noise:g}"] = {m: figures for m, (_, figures) in results.items()}
        for method, (images, figures) in results.items():
            quality = scores(images, pictures)
            figures |= {"psnr": quality[:, 0].tolist(), "ssim": quality[:, 1].tolist()}
            mean = quality.mean(axis=0)
            rows.append((f"{noise:g}", method, f"{mean[0]:.2f}", f"{mean[1]:.4f}"))
            record.say(" ".join((*rows[-1], f"{figures['s']:.1f} s")))
        shown = {"picture": pictures, **{m: images for m, (images, _) in results.items()}}
        few = {label: images[: config["shown"]] for label, images in shown.items()}
        title = f"noise {noise:g}: {', '.join(names[: config['shown']])}"
        comparison(record.report, few, title)
    record.figures[f"pictures, seed {seed}"] = found
    caption = f"{count} pictures, {config['side']}x{config['side']} to {config['outputs']}"
    record.report.table(("noise", "method", "PSNR, dB", "SSIM"), rows, caption)
    record.report.text(
        "Weights are standard normal, the activation is ReLU. Noise is relative to the root mean "
        f"square of the outputs. Clean outputs have α = {config['alpha']}; with noise the "
        "discrepancy principle chooses it, and Landweber's iterations end by it, from the true "
        "norm of the noise. Least squares is the input nearest to grey that has the outputs of all "
        "active units."
    )
    clean = found[f"{config['noise'][0]:g}"][TV]
    record.headline.append(
        f"clean: total variation {np.mean(clean['psnr']):.2f} dB, largest gap "
        f"{max(clean['gap']):.1e} of the energy in {max(clean['iterations'])} iterations"
    )


def _noisy(network: Network, params: Params, pictures: Any, noise: float, seed: int) -> _Outputs:
    clean = np.asarray(network(params, jnp.asarray(pictures)))
    level = noise * np.sqrt(np.mean(clean**2))
    noisy = np.maximum(clean + level * np.random.default_rng(seed + 1).normal(size=clean.shape), 0)
    return _Outputs(noisy, np.linalg.norm(noisy - clean, axis=1), pictures)


def _inverted(
    network: Network, params: Params, outputs: _Outputs, config: dict[str, Any]
) -> dict[str, tuple[np.ndarray, dict[str, Any]]]:
    """By method: the pictures, and what is known of them."""
    given, found = (network, params, outputs.y), {}
    norm = float(np.linalg.norm(_weight(params), 2))
    for method, prior in ((TV, TotalVariation()), (TIKHONOV, Tikhonov(_GREY))):
        begin, alpha, start = time.perf_counter(), config["alpha"], None
        if outputs.delta.max() > 0:
            rough = PrimalDual(config["search_iterations"], 1e-4)
            chosen = discrepancy(*given, prior, outputs.delta, solver=rough)
            alpha, start = chosen.alpha, chosen.inverse.point
        solver = PrimalDual(config["iterations"], 1e-6)
        out = invert(*given, prior, alpha, solver=solver, start=start)
        figures = {
            "alpha": np.broadcast_to(alpha, len(out.x)).tolist(),
            "gap": np.asarray(out.gap / out.energy).tolist(),
            "iterations": np.asarray(out.iterations).tolist(),
            "s": time.perf_counter() - begin,
        }
        found[method] = np.asarray(out.x), figures
    begin = time.perf_counter()
    steps = config["landweber_iterations"]
    grey = np.full(outputs.pictures.shape, _GREY)
    out = landweber(*given, outputs.delta, 1 / norm**2, iterations=steps, start=grey)
    figures = {"iterations": np.asarray(out.stopped).tolist(), "s": time.perf_counter() - begin}
    found[LANDWEBER] = np.asarray(out.x), figures
    begin = time.perf_counter()
    images = np.stack([_least(_weight(params), y) for y in outputs.y])
    figures = {"s": time.perf_counter() - begin}
    found[LEAST] = images.reshape(outputs.pictures.shape), figures
    return found


def _least(weight: np.ndarray, y: np.ndarray) -> np.ndarray:
    seen = weight[:, y > 0].T
    return _GREY + np.linalg.lstsq(seen, y[y > 0] - _GREY * seen.sum(axis=1), rcond=None)[0]


def _rates(record: Record, seed: int) -> None:
    """Errors of inputs that meet the source condition, over decades of noise."""
    config = record.config
    side = config["rate_side"]
    network, params = _perceptron(side, config["rate_outputs"], seed)
    picture = crop(test_photographs(config["source"])[1][0], side).astype(float)
    y = np.asarray(network(params, jnp.asarray(picture[None])))[0]
    groups, rows, found = {}, [], {}
    for label, prior, alpha in (
        (TV, TotalVariation(), config["rate_alpha"]),
        (TIKHONOV, Tikhonov(_GREY), config["rate_alpha"]),
    ):
        # The error of the input itself must lie below those that are measured.
        solver = PrimalDual(2 * config["rate_iterations"], config["rate_tolerance"])
        made = source_input(network, params, y, prior, alpha, solver=solver)
        deltas, errors, bounds, limits = _errors(network, params, (prior, made), config, seed)
        known = errors > 3 * limits
        # Where the input itself is too inexact, as in the quick run, there is nothing to fit.
        points = np.log(deltas[known]), np.log(errors[known])
        rate = float(np.polyfit(*points, 1)[0]) if known.sum() > 1 else np.nan
        found[label] = {
            "delta": deltas.tolist(),
            "error": errors.tolist(),
            "bound": bounds.tolist(),
            "limit": limits.tolist(),
            "rate": rate,
            "fitted": int(known.sum()),
            "residual": float(made.residual),
            "slack": float(made.slack),
        }
        groups[label] = {
            "error": (deltas[known], [errors[known]]),
            "bound": (deltas, [bounds]),
        }
        below = f"{int((errors <= bounds).sum())} of {len(errors)}"
        fitted = f"{known.sum()} of {len(errors)}"
        rows.append(
            (label, f"{rate:.3f}", fitted, below, f"{made.residual:.1e}", f"{made.slack:.1e}")
        )
        record.say(f"{label}: rate {rate:.3f}, below the bound {below}")
    record.figures[f"rates, seed {seed}"] = found
    report = record.report
    report.heading("The rate of the error")
    report.charts(
        panels(groups, "δ", "Bregman distance", log="xy", baseline=("bound",)),
        "the distance D(x†, x) and its bound 2√2‖v‖δ",
    )
    columns = ("regulariser", "rate", "fitted to", "below the bound", "source residual", "slack")
    report.table(columns, rows, f"an input of {side}x{side} that meets the source condition")
    rates = ", ".join(f"{label} {by['rate']:.3f}" for label, by in found.items())
    record.headline.append(f"rates of the error in δ: {rates}")


def _errors(
    network: Network,
    params: Params,
    condition: tuple[AbstractPrior, Source],
    config: dict[str, Any],
    seed: int,
) -> tuple[np.ndarray, ...]:
    """The δ, the distances $D_J$ of the true input to what is found at the a-priori α, their
    bounds, and below what the distances are those of a solver that stops.
    """
    prior, made = condition
    v, weight = np.asarray(made.v), _weight(params)
    clean, norm = np.asarray(network(params, made.x[None]))[0], float(np.linalg.norm(v))
    used = v != 0
    # |v| ≤ y/α, with room for the noise.
    largest = float(np.min(clean[used] / np.abs(v)[used])) * norm / np.sqrt(2) / 20
    deltas = largest * np.logspace(0, -config["decades"], 2 * config["decades"] + 1)
    rough = np.where(clean > 0, np.random.default_rng(seed + 2).normal(size=clean.shape), 0)
    # B = ½|noise|² there: |noise| = √2 δ.
    noisy = np.maximum(clean + np.sqrt(2) * deltas[:, None] * rough / np.linalg.norm(rough), 0)
    alphas = np.array([a_priori(d, norm) for d in deltas])
    solver = PrimalDual(config["rate_iterations"], config["rate_tolerance"])
    start = jnp.repeat(made.x[None], len(deltas), axis=0)
    out = invert(network, params, noisy, prior, alphas, solver=solver, start=start)
    assert out.point.p is not None
    errors = []
    for x, p, alpha in zip(out.x, np.asarray(out.point.p), alphas, strict=True):
        subgradient = (-weight @ p / alpha).reshape(x.shape)
        linear = float(np.sum(subgradient * np.asarray(made.x - x)))
        errors.append(float(prior.value(made.x) - prior.value(x)) - linear)
    pairs = zip(noisy, deltas, alphas, strict=True)
    bounds = [float(error_bound(ReLU(), u, v, d, a)) for u, d, a in pairs]
    limits = np.asarray(out.gap) / alphas + float(made.slack * prior.value(made.x))
    return deltas, np.array(errors), np.array(bounds), limits


PERCEPTRON_INVERSION = Experiment(
    name="perceptron-inversion",
    title="Pictures from a perceptron with random weights",
    lead="One layer with an eighth as many outputs as pixels, inverted with a certificate: how good are the pictures, "
    "and does the error fall with the noise as the theory says?",
    config={
        "source": "photographs",
        "pictures": 4,
        "side": 64,
        "outputs": 512,
        "alpha": 0.015,
        "noise": [0.0, 0.05],
        "iterations": 12000,
        "search_iterations": 1000,
        "landweber_iterations": 1000,
        "shown": 4,
        "rate_side": 16,
        "rate_outputs": 64,
        "rate_alpha": 10.0,
        "rate_iterations": 100000,
        "rate_tolerance": 1e-13,
        "decades": 4,
        "seeds": [0],
    },
    quick={
        "source": "samples",
        "pictures": 2,
        "side": 16,
        "outputs": 32,
        "noise": [0.0, 0.05],
        "iterations": 300,
        "search_iterations": 100,
        "landweber_iterations": 100,
        "shown": 2,
        "rate_side": 8,
        "rate_outputs": 16,
        "rate_iterations": 2000,
        "decades": 2,
    },
    run=_run,
)
