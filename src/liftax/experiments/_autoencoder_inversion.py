"""A picture from its code: inversion of a convolutional encoder."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from liftax._iterate import repeat
from liftax.affine import Convolution, Dense, Reshape, TransposedConvolution
from liftax.data import load
from liftax.experiments._experiment import Experiment, Record
from liftax.experiments._photographs import scores
from liftax.experiments._pictures import comparison
from liftax.experiments._plots import curves
from liftax.inversion import BlockDescent, TotalVariation, invert
from liftax.methods import OneSweep
from liftax.networks import Network, Params, chain
from liftax.training import fit

DECODER, LIFTED, ADAM, LANDWEBER = "decoder", "lifted inversion", "Adam", "Landweber"
_ENCODER = 3
_SMOOTH = 1e-6


class _Codes(NamedTuple):
    """Codes with noise, the pictures that they belong to, and the noise's norm for each."""

    y: Array
    pictures: Float[np.ndarray, "n h w 1"]
    delta: Array


def _autoencoder(side: int, config: dict[str, Any]) -> Network:
    """Six layers with weights: two strided convolutions and a dense one, and their reverse."""
    first, second = config["channels"]
    small, two = side // 4, (2, 2)
    return chain(
        (side, side, 1),
        [
            (Convolution(first, stride=two), "relu"),
            (Convolution(second, stride=two), "relu"),
            (Dense(config["code"]), "identity"),
            (Dense(small * small * second), "relu"),
            (Reshape((small, small, second)), "identity"),
            (TransposedConvolution(first, stride=two), "relu"),
            (TransposedConvolution(1, stride=two), "identity"),
        ],
    )


def _lifted(encoder: Network, params: Params, codes: _Codes, alpha: float, config: Any) -> Any:
    solver = BlockDescent(config["sweeps"], config["inner"], tolerance=0.0)
    return invert(encoder, params, codes.y, TotalVariation(), alpha, solver=solver).x


def _adam(encoder: Network, params: Params, codes: _Codes, alpha: float, config: Any) -> Any:
    r"""Adam on $\frac12\|N(x) - y\|^2 + \alpha TV(x)$ by automatic differentiation, TV smoothed."""
    return _descended(encoder, params, codes.y, jnp.float32(alpha), config["rate"], config["steps"])


def _smooth_variation(x: Float[Array, "h w 1"]) -> Float[Array, ""]:
    down = jnp.pad(x[1:] - x[:-1], ((0, 1), (0, 0), (0, 0)))
    right = jnp.pad(x[:, 1:] - x[:, :-1], ((0, 0), (0, 1), (0, 0)))
    return jnp.sum(jnp.sqrt(down**2 + right**2 + _SMOOTH))


def _descended(
    encoder: Network, params: Params, y: Array, alpha: Array, rate: float, steps: int
) -> Array:
    optimiser = optax.adam(rate)

    @jax.jit
    def run(params: Params, y: Array, alpha: Array) -> Array:
        def objective(x: Array) -> Array:
            misfit = 0.5 * jnp.sum((encoder(params, x) - y) ** 2)
            return misfit + alpha * jnp.sum(jax.vmap(_smooth_variation)(x))

        def step(state: tuple[Array, Any]) -> tuple[Array, Any]:
            updates, own = optimiser.update(jax.grad(objective)(state[0]), state[1])
            return jnp.asarray(optax.apply_updates(state[0], updates)), own

        x = jnp.zeros((len(y), *encoder.input_shape), y.dtype)
        return repeat(step, (x, optimiser.init(x)), steps)[0]

    return run(params, y, alpha)


def _landweber(encoder: Network, params: Params, codes: _Codes, step: float, config: Any) -> Any:
    r"""$x^+ = x + tN'(x)^\top(y - N(x))$ until $\|N(x) - y\|\le1.1\delta$, for each picture."""

    @jax.jit
    def run(params: Params, y: Array, delta: Array) -> Array:
        def one(x: Array) -> Array:
            out, pull = jax.vjp(lambda u: encoder(params, u), x)
            miss = y - out
            going = jnp.linalg.norm(miss, axis=1) > 1.1 * delta
            return x + step * jnp.where(going[:, None, None, None], pull(miss)[0], 0)

        x = jnp.zeros((len(y), *encoder.input_shape), y.dtype)
        return repeat(one, x, config["steps"])

    return run(params, codes.y, codes.delta)


_METHODS: dict[str, tuple[Callable[..., Any], str]] = {
    LIFTED: (_lifted, "alphas"),
    ADAM: (_adam, "alphas"),
    LANDWEBER: (_landweber, "landweber_steps"),
}


def _psnr(images: Any, pictures: Any) -> float:
    mean = float(scores(np.asarray(images), pictures)[:, 0].mean())
    return mean if np.isfinite(mean) else -np.inf


def _run(record: Record) -> None:
    config, table = record.config, []
    for name in config["data"]:
        for seed in record.seeds:
            table += _study(record, name, seed)
    report = record.report
    report.heading("The result")
    columns = ("data", "noise", "method", "parameter", "PSNR, dB", "SSIM", "s")
    caption = (
        f"{config['tested']} pictures that no training has seen, codes of {config['code']} numbers"
    )
    report.table(columns, table, caption)
    report.text(
        "Noise is relative to the root mean square of the codes. The weight α (Landweber: the step) of every method "
        f"is the best of a grid on {config['tuned']} other pictures, for every noise level anew. Seconds are those of "
        "one batched call without compilation."
    )


class _Coder(NamedTuple):
    """A trained encoder and its decoder."""

    encoder: Network
    params: Params
    decoder: Network
    back: Params


def _trained(
    record: Record, name: str, seed: int, pictures: Float[np.ndarray, "n h w 1"]
) -> _Coder:
    config, side = record.config, pictures.shape[1]
    network = _autoencoder(side, config)
    done = fit(
        network,
        (pictures, pictures),
        OneSweep(optax.adam(config["training_rate"])),
        epochs=config["epochs"],
        batch_size=config["batch"],
        seed=seed,
        checkpoints=record.checkpoints(data=name, seed=seed),
        progress=False,
    )
    record.add(done, data=name, seed=seed, method="training")
    record.model = record.model or done
    layers = [(n.affine, n.potential) for n in network.nodes]
    encoder = chain((side, side, 1), layers[:_ENCODER])
    decoder = chain((config["code"],), layers[_ENCODER:])
    params = list(done.params.values())
    return _Coder(
        encoder, _renamed(encoder, params[:_ENCODER]), decoder, _renamed(decoder, params[_ENCODER:])
    )


def _study(record: Record, name: str, seed: int) -> list[tuple[str, ...]]:
    config, data = record.config, load(name)
    side = data.train.x.shape[1]
    x, unseen = (
        np.asarray(part.x, np.float32).reshape(-1, side, side, 1)
        for part in (data.train, data.test)
    )
    coder = _trained(record, name, seed, x[: config["samples"]])
    tuned, tested = np.split(unseen[: config["tuned"] + config["tested"]], [config["tuned"]])
    table, found = [], {m: [] for m in (DECODER, *_METHODS)}
    for noise in config["noise"]:
        search = _codes(coder.encoder, coder.params, tuned, noise, seed)
        codes = _codes(coder.encoder, coder.params, tested, noise, seed + 1)
        shown, rows = _inverted(coder, search, codes, config)
        for method, parameter, seconds in rows:
            psnr, ssim = scores(shown[method], tested).mean(axis=0)
            found[method].append({"psnr": psnr, "ssim": ssim, "s": seconds, "best": parameter})
            numbers = (f"{psnr:.2f}", f"{ssim:.4f}", f"{seconds:.1f}" if seconds else "")
            table.append((name, f"{noise:g}", method, parameter, *numbers))
            record.say(" ".join(table[-1]))
        if noise in config["shown_noise"]:
            few = {label: images[: config["shown"]] for label, images in shown.items()}
            plot = comparison(few, side=side // 3, zoom=1)
            record.report.figure(plot, f"{name}, noise {noise:g}")
    record.figures[f"{name}, seed {seed}"] = found
    lines = {m: (config["noise"], [[r["psnr"] for r in rows]]) for m, rows in found.items()}
    plot = curves(lines, "noise of the code", "PSNR, dB", baseline=(DECODER,))
    record.report.figure(plot, f"{name}, seed {seed}")
    clean = ", ".join(f"{m} {rows[0]['psnr']:.2f} dB" for m, rows in found.items())
    record.headline.append(f"{name}, clean: {clean}")
    return table


def _inverted(
    coder: _Coder, search: _Codes, codes: _Codes, config: dict[str, Any]
) -> tuple[dict[str, Any], list[tuple[str, str, float]]]:
    """Pictures by method, and (method, best parameter, seconds)."""
    shown = {"picture": codes.pictures, DECODER: np.asarray(coder.decoder(coder.back, codes.y))}
    rows = [(DECODER, "", 0.0)]
    model = (coder.encoder, coder.params)
    for method, (solve, grid) in _METHODS.items():
        quality = {
            g: _psnr(solve(*model, search, g, config), search.pictures) for g in config[grid]
        }
        best = max(quality, key=lambda g: quality[g])
        jax.block_until_ready(solve(*model, codes, best, config))
        begin = time.perf_counter()
        shown[method] = np.asarray(solve(*model, codes, best, config))
        rows.append((method, f"{best:g}", time.perf_counter() - begin))
    return shown, rows


def _renamed(network: Network, layers: list[Any]) -> Params:
    return {node.name: layer for node, layer in zip(network.nodes, layers, strict=True)}


def _codes(encoder: Network, params: Params, pictures: Any, noise: float, seed: int) -> _Codes:
    """Noise relative to the root mean square of the codes."""
    clean = encoder(params, jnp.asarray(pictures))
    level = noise * jnp.sqrt(jnp.mean(clean**2))
    rough = level * jax.random.normal(jax.random.key(seed), clean.shape, clean.dtype)
    return _Codes(clean + rough, pictures, jnp.linalg.norm(rough, axis=1))


AUTOENCODER_INVERSION = Experiment(
    name="autoencoder-inversion",
    title="Pictures from their codes",
    lead="The encoder of a convolutional autoencoder, inverted by its lifted energy and total variation, against the "
    "decoder that was trained with it and against automatic differentiation: which picture is nearest?",
    config={
        "data": ["fashion-mnist", "mnist"],
        "samples": 20000,
        "channels": [8, 16],
        "code": 300,
        "training_rate": 1e-3,
        "epochs": 6,
        "batch": 100,
        "noise": [0.0, 0.03, 0.1, 0.3],
        "alphas": [1e-3, 3e-3, 9e-3, 3e-2],
        "landweber_steps": [0.03, 0.1],
        "sweeps": 500,
        "inner": 3,
        "rate": 1e-2,
        "steps": 1000,
        "tuned": 20,
        "tested": 60,
        "shown": 4,
        "shown_noise": [0.0, 0.1],
        "seeds": [0],
    },
    quick={
        "data": ["digits"],
        "samples": 1000,
        "channels": [4, 8],
        "code": 40,
        "epochs": 5,
        "noise": [0.0, 0.1],
        "alphas": [1e-3, 1e-2],
        "landweber_steps": [0.1],
        "sweeps": 50,
        "steps": 50,
        "tuned": 5,
        "tested": 8,
    },
    run=_run,
)
