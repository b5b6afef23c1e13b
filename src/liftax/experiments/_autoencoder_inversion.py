"""A picture from its code: inversion of a convolutional encoder."""

import functools
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from liftax._iterate import repeat
from liftax.affine import AbstractAffine, Convolution, Dense, Reshape, TransposedConvolution
from liftax.blocks import Lipschitz, ProximalGradient
from liftax.data import load
from liftax.experiments._adam_inversion import adam_inversion
from liftax.experiments._experiment import Experiment, Record
from liftax.experiments._photographs import scores
from liftax.experiments._pictures import comparison
from liftax.experiments._plots import curves
from liftax.inversion import BlockDescent, Box, Point, Sum, TotalVariation, invert
from liftax.methods import OneSweep
from liftax.networks import INPUT, Network, Node, Params, chain
from liftax.training import fit

DECODER, LIFTED, ADAM, LANDWEBER = "decoder", "lifted inversion", "Adam", "Landweber"
WARM = ", from the decoder's output"
_ENCODER = 3
_PRIOR = Sum(TotalVariation(), Box())


class _Beside(AbstractAffine):
    r"""$z = (f(u), \kappa x)$: the square of its misfit is that of f and $\kappa^2\|x - a\|^2$."""

    inner: AbstractAffine

    def out_shape(self, *shapes: tuple[int, ...]) -> tuple[int, ...]:
        return (self.inner.out_shape(shapes[0])[0] + math.prod(shapes[1]),)

    def init(self, key: PRNGKeyArray, *shapes: tuple[int, ...], dtype: Any) -> Any:
        return {"inner": self.inner.init(key, shapes[0], dtype=dtype), "kappa": jnp.ones((), dtype)}

    def apply(self, params: Any, *inputs: Array) -> Array:
        known = self.inner.apply(params["inner"], inputs[0])
        own = inputs[1].reshape(len(inputs[1]), -1)
        return jnp.concatenate([known, params["kappa"] * own], axis=1)

    def thin(self) -> "_Beside":
        return self


class _Codes(NamedTuple):
    """Codes with noise, what the decoder makes of them, where methods start, the noise's norm for
    each, and its relative level.
    """

    encoder: Network
    params: Params
    y: Array
    decoded: Array
    start: Array
    delta: Array
    noise: float

    def anchored(self, kappa: float) -> tuple[Network, Params, Array]:
        r"""An encoder with $\kappa x$ beside the code, and what it is to give: all methods that
        fit it have $\frac{\kappa^2}2\|x - a\|^2$ in their objective, a by the decoder.
        """
        *hidden, last = self.encoder.nodes
        node = Node(last.name, _Beside(last.affine), last.potential, (*last.parents, INPUT))
        network = Network((*hidden, node), self.encoder.input_shape)
        own = {"inner": self.params[last.name], "kappa": jnp.float32(kappa)}
        anchor = kappa * self.decoded.reshape(len(self.y), -1)
        return network, {**self.params, last.name: own}, jnp.concatenate([self.y, anchor], axis=1)


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


def _lifted(codes: _Codes, choice: list[float], sweeps: Any, config: dict[str, Any]) -> Any:
    """The choice: the weight of the output's penalty, alpha, and kappa."""
    solver = _solver(codes.encoder, choice[0], sweeps, config)
    return invert(*codes.anchored(choice[2]), _PRIOR, choice[1], solver=solver, start=codes.start).x


def _solver(encoder: Network, weight: float, sweeps: int, config: dict[str, Any]) -> BlockDescent:
    weights = {encoder.output: weight}
    step = ProximalGradient(Lipschitz(config["scale"]))
    return BlockDescent(
        jnp.asarray(sweeps), 1, tolerance=0.0, step=step, weights=weights, guard=False
    )


def _adam(codes: _Codes, choice: list[float], steps: Any, config: dict[str, Any]) -> Any:
    r"""Adam on $\frac12\|N(x) - y\|^2 + \alpha TV(x)$, TV smoothed, projected on the box after every step.

    The choice: the rate, alpha, and kappa.
    """
    network, params, y = codes.anchored(choice[2])
    numbers = (choice[0], choice[1])
    return adam_inversion((network, params), y, codes.start, numbers, steps, box=True)


def _landweber(codes: _Codes, choice: list[float], steps: Any, config: dict[str, Any]) -> Any:
    r"""$x^+ = P(x + tN'(x)^\top(y - N(x)))$ until $\|N(x) - y\|\le1.1\delta$, for each picture.

    The choice: t.
    """
    return _iterated(codes, jnp.float32(choice[0]), jnp.int32(steps))


@eqx.filter_jit
def _iterated(codes: _Codes, length: Array, steps: Array) -> Array:
    def step(x: Array) -> Array:
        out, pull = jax.vjp(lambda u: codes.encoder(codes.params, u), x)
        miss = codes.y - out
        going = jnp.linalg.norm(miss, axis=1) > 1.1 * codes.delta
        return jnp.clip(x + length * jnp.where(going[:, None, None, None], pull(miss)[0], 0), 0, 1)

    return repeat(step, codes.start, steps)


_METHODS: dict[str, tuple[Callable[..., Any], Callable[..., list[list[float]]]]] = {
    LIFTED: (
        _lifted,
        lambda config, noise, kappas: [
            [float(weight), factor * noise, kappa]
            for weight, factors in config["lifted"].items()
            for factor in factors
            for kappa in kappas
        ],
    ),
    ADAM: (
        _adam,
        lambda config, noise, kappas: [
            [rate, factor * noise, kappa]
            for rate in config["rates"]
            for factor in config["adam"]
            for kappa in kappas
        ],
    ),
    LANDWEBER: (
        _landweber,
        lambda config, noise, kappas: [[length] for length in config["landweber"]],
    ),
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
    columns = ("data", "noise", "method", "parameters", "PSNR, dB", "SSIM", "steps", "s")
    caption = (
        f"{config['tested']} pictures that no training has seen, codes of {config['code']} numbers"
    )
    report.table(columns, table, caption)
    report.text(
        "Noise is relative to the root mean square of the codes. Parameters are the best of a grid on "
        f"{config['tuned']} other pictures, for every noise level anew: the weight of the output's penalty, α and κ for "
        "lifted inversion, the rate, α and κ for Adam, as many each, α and κ in proportion to the noise; the step for "
        "Landweber. With κ > 0 the objective of both has κ²/2 times the squared distance to the decoder's output. Adam "
        "and Landweber have as many steps as take the seconds of the lifted sweeps (one batched call, without "
        "compilation, measured before the runs). All keep pictures in [0, 1]."
    )
    for label, found in record.figures["one batched call"].items():
        report.text(
            f"{label}: {found['codes']} codes inverted in one batched call of {found['sweeps']} sweeps from the decoder's "
            f"output: {found['s']:.1f} s, {found['psnr']:.2f} dB, {found['bytes'] / 2**20:.0f} MiB of memory as the "
            "compiler states it."
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


class _Data(NamedTuple):
    """Pictures to tune with and to test with, and the trained network."""

    coder: _Coder
    tuned: Float[np.ndarray, "n h w 1"]
    tested: Float[np.ndarray, "n h w 1"]
    seed: int

    def codes(self, pictures: Any, noise: float, warm: bool, seed: int) -> _Codes:
        """Noise relative to the root mean square of the codes."""
        coder = self.coder
        clean = coder.encoder(coder.params, jnp.asarray(pictures))
        level = noise * jnp.sqrt(jnp.mean(clean**2))
        rough = level * jax.random.normal(jax.random.key(seed), clean.shape, clean.dtype)
        y = clean + rough
        decoded = jnp.clip(coder.decoder(coder.back, y), 0, 1)
        start = decoded if warm else jnp.zeros_like(pictures)
        norms = jnp.linalg.norm(rough, axis=1)
        return _Codes(coder.encoder, coder.params, y, decoded, start, norms, noise)

    def kappas(self, noise: float, factors: list[float]) -> list[float]:
        """The noise of a number of the code over the decoder's error of a pixel without noise:
        what the two squares weigh if both errors are white; times factors.
        """
        codes = self.codes(self.tuned, 0.0, True, self.seed)
        error = jnp.sqrt(jnp.mean((codes.decoded - self.tuned) ** 2))
        level = noise * jnp.sqrt(jnp.mean(codes.y**2))
        return [factor * float(level / error) for factor in factors]


def _study(record: Record, name: str, seed: int) -> list[tuple[str, ...]]:
    config, data = record.config, load(name)
    side = data.train.x.shape[1]
    x, unseen = (
        np.asarray(part.x, np.float32).reshape(-1, side, side, 1)
        for part in (data.train, data.test)
    )
    coder = _trained(record, name, seed, x[: config["samples"]])
    tuned, tested = np.split(unseen[: config["tuned"] + config["tested"]], [config["tuned"]])
    given = _Data(coder, tuned, tested, seed)
    steps = _steps(given, config)
    label = f"{name}, seed {seed}"
    record.say(f"{label}, steps: {steps}")
    table, found = [], {m: [] for m in (DECODER, *_METHODS, *(m + WARM for m in _METHODS))}
    for noise in config["noise"]:
        shown, rows = _inverted(given, noise, steps, config)
        for method, choice, count, seconds in rows:
            psnr, ssim = scores(shown[method], tested).mean(axis=0)
            best = ", ".join(f"{number:.3g}" for number in choice)
            figures = {"psnr": psnr, "ssim": ssim, "s": seconds, "best": best, "steps": count}
            found[method].append(figures)
            numbers = (
                f"{psnr:.2f}",
                f"{ssim:.4f}",
                str(count or ""),
                f"{seconds:.1f}" if count else "",
            )
            table.append((name, f"{noise:g}", method, best, *numbers))
            record.say(" ".join(table[-1]))
        if noise in config["shown_noise"]:
            few = {m: images[: config["shown"]] for m, images in shown.items() if WARM not in m}
            comparison(record.report, few, f"{name}, noise {noise:g}")
    record.figures[label] = found
    lines = {m: (config["noise"], [[r["psnr"] for r in rows]]) for m, rows in found.items()}
    dashed = (DECODER, *(m + WARM for m in _METHODS))
    plot = curves(lines, "noise of the code", "PSNR, dB", baseline=dashed)
    record.report.charts(plot, label)
    clean = ", ".join(f"{m} {rows[0]['psnr']:.2f} dB" for m, rows in found.items() if WARM not in m)
    record.headline.append(f"{name}, clean: {clean}")
    many = record.figures.setdefault("one batched call", {})
    many[label] = _many(given, unseen[: config["many"]], found[LIFTED + WARM], config)
    return table


def _steps(given: _Data, config: dict[str, Any]) -> dict[str, int]:
    """Sweeps, and as many steps of the other methods as take the same time."""
    noise = config["noise"][-1]
    codes = given.codes(given.tested, noise, False, 0)
    trial = {LIFTED: config["sweeps"], ADAM: config["trial"], LANDWEBER: config["trial"]}
    times: dict[str, list[float]] = {m: [] for m in trial}
    for _ in range(4):  # in turns, as the machine's load changes
        for method, count in trial.items():
            solve, grid = _METHODS[method]
            choice = grid(config, noise, [1.0])[0]
            call = functools.partial(solve, codes, choice, count, config)
            times[method].append(_timed(call)[1])
    each = {m: min(times[m][1:]) / count for m, count in trial.items()}  # the first call compiles
    return {m: max(1, round(config["sweeps"] * each[LIFTED] / each[m])) for m in trial}


def _timed(call: Callable[[], Any]) -> tuple[np.ndarray, float]:
    begin = time.perf_counter()
    found = np.asarray(call())
    return found, time.perf_counter() - begin


def _inverted(
    given: _Data, noise: float, steps: Mapping[str, int], config: dict[str, Any]
) -> tuple[dict[str, Any], list[tuple[str, list[float], int, float]]]:
    """Pictures by method, and (method, best parameters, steps, seconds)."""
    shown: dict[str, Any] = {"picture": given.tested}
    rows: list[tuple[str, list[float], int, float]] = [(DECODER, [], 0, 0.0)]
    level = max(noise, config["least_noise"])
    kappas = given.kappas(level, config["anchor"])
    for warm in (False, True):
        search = given.codes(given.tuned, noise, warm, given.seed)
        codes = given.codes(given.tested, noise, warm, given.seed + 1)
        shown[DECODER] = np.asarray(codes.decoded)
        for method, (solve, grid) in _METHODS.items():
            count = steps[method]
            quality = [
                (_psnr(solve(search, choice, count, config), given.tuned), choice)
                for choice in grid(config, level, kappas)
            ]
            best = max(quality)[1]
            if method == LIFTED:  # the others have one program, which is compiled
                solve(codes, best, count, config)
            label = method + WARM * warm
            call = functools.partial(solve, codes, best, count, config)
            shown[label], seconds = _timed(call)
            rows.append((label, best, count, seconds))
    return shown, rows


def _many(given: _Data, pictures: Any, found: list[Any], config: dict[str, Any]) -> dict[str, Any]:
    """Seconds and memory of one batched call, at the second noise level."""
    place = min(1, len(found) - 1)
    weight, alpha, kappa = (float(number) for number in found[place]["best"].split(", "))
    codes = given.codes(pictures, config["noise"][place], True, given.seed)
    sweeps = config["sweeps"]
    encoder, given_params, outputs = codes.anchored(kappa)
    once = _solver(encoder, weight, 1, config)
    given_codes = (encoder, given_params, outputs)
    begin = invert(*given_codes, _PRIOR, alpha, solver=once, start=codes.start).point
    solver = _solver(encoder, weight, sweeps, config)

    @jax.jit
    def run(params: Params, y: Array, point: Point) -> Array:
        alphas = jnp.full(len(y), alpha, y.dtype)
        return solver.solve(encoder, params, _PRIOR, alphas, y, point).point.x

    program = run.lower(given_params, outputs, begin).compile()
    memory: Any = program.memory_analysis()
    x, seconds = _timed(lambda: program(given_params, outputs, begin))
    sizes = [getattr(memory, f"{kind}_size_in_bytes") for kind in ("temp", "argument", "output")]
    figures = {"psnr": _psnr(x, pictures), "codes": len(x), "sweeps": sweeps}
    return {**figures, "s": seconds, "bytes": sum(sizes), "noise": codes.noise}


def _renamed(network: Network, layers: list[Any]) -> Params:
    return {node.name: layer for node, layer in zip(network.nodes, layers, strict=True)}


AUTOENCODER_INVERSION = Experiment(
    name="autoencoder-inversion",
    title="Pictures from their codes",
    lead="The encoder of a convolutional autoencoder, inverted by its lifted energy and total variation, against the "
    "decoder that was trained with it, and, at equal seconds, against automatic differentiation: which picture is nearest?",
    config={
        "data": ["fashion-mnist", "mnist"],
        "samples": 20000,
        "channels": [8, 16],
        "code": 300,
        "training_rate": 1e-3,
        "epochs": 6,
        "batch": 100,
        "noise": [0.0, 0.03, 0.1, 0.3],
        "least_noise": 0.003,
        "lifted": {"3.0": [0.1, 0.2], "1.0": [0.03, 0.1], "0.3": [0.01, 0.03]},
        "rates": [1e-2, 3e-2],
        "adam": [0.02, 0.05, 0.1],
        "anchor": [0.0, 1.0],
        "landweber": [0.1, 0.3, 1.0],
        "sweeps": 400,
        "scale": 1.5,
        "trial": 100,
        "tuned": 20,
        "tested": 60,
        "many": 1000,
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
        "lifted": {"1.0": [0.03]},
        "rates": [1e-2],
        "adam": [0.1],
        "anchor": [1.0],
        "landweber": [0.1],
        "sweeps": 30,
        "trial": 20,
        "tuned": 5,
        "tested": 8,
        "many": 20,
    },
    run=_run,
)
