"""From a file with a network's outputs to a folder with the inputs that gave them."""

import io
import json
import math
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from liftax._files import (
    atomic_folder,
    read_array,
    replaceable,
    writable_folder,
    write_bytes,
    write_json,
)
from liftax._report import Report
from liftax.imaging import noise_level, psnr, ssim, write_image
from liftax.importing import load_network
from liftax.inversion._block_descent import BlockDescent
from liftax.inversion._choice import discrepancy
from liftax.inversion._examples import Examples, read_examples
from liftax.inversion._invert import Inverse, checked, default_solver, invert
from liftax.inversion._l_curve import l_curve
from liftax.inversion._names import named_regulariser, only_constraints
from liftax.inversion._page import page
from liftax.inversion._primal_dual import PrimalDual
from liftax.inversion._regulariser import AbstractPrior, check_values
from liftax.networks import Network, Params

_FILES = ("x.npy", "tries.npy", "metrics.json", "report.html", "pictures")
_SINGLE = 2e-5  # what rounding leaves of a relative gap in single precision
_ALPHAS = np.logspace(-6, 2, 17)  # of the L-curve
_MOST_AT_ONCE = 2**23  # entries of all activations in one program


class Inverted(NamedTuple):
    """What `invert_file` wrote.

    Attributes:
        x: the inputs, (samples, ...); with several α, (α, samples, ...).
        metrics: the content of ``metrics.json``.
    """

    x: Float[np.ndarray, "samples ..."]
    metrics: dict[str, Any]


def invert_file(
    model: str | Path,
    data: str | Path,
    out: str | Path,
    regulariser: str = "tv",
    alpha: float | str = "auto",
    *,
    noise: float | None = None,
    original: str | Path | None = None,
    budget: tuple[int | None, float | None] = (None, None),
) -> Inverted:
    r"""`invert` from file to folder: ``x.npy``, ``metrics.json``, ``report.html``, ``pictures``.

    ``tries.npy`` too where α was chosen: the first outputs' inputs at every try, (tries, ...).
    Pictures are PNG files of inputs (height, width, 1 or 3), clipped to [0, 1]; ``x.npy`` keeps the
    values. The folder is complete or not there. Many outputs are computed in parts, with a progress
    bar on a terminal. Nothing in a file is executed.

    Args:
        model: a file for `load_network`: safetensors with the network's description, or ONNX.
        data: the outputs: ``.npy`` or ``.npz`` of one or of many along the first axis, an image, or
            a folder of images, (height, width, channels).
        out: the folder; one that an earlier call wrote is replaced.
        regulariser: names of `REGULARISERS`, joined by ``+``.
        alpha: a positive number, or several, joined by commas, for the inputs of each; "auto" takes
            `discrepancy`, with $\delta = \sigma\sqrt m$ for outputs of m numbers, or without a
            noise level the corner of the `l_curve`: a heuristic, and the report says so.
        noise: σ, the standard deviation of an output's noise; None estimates it by
            `imaging.noise_level` where outputs are pictures, of one channel or three, with noise.
        original: the true inputs, a file like `data`, for errors, PSNR and SSIM.
        budget: the most iterations (of deeper networks: sweeps), and the tolerance that ends them;
            None for those of the solver, 2e-5 for the gap in single precision.

    Raises:
        FileNotFoundError: for files that are not there.
        ValueError: for a model that cannot be loaded, data of another shape, with values that are
            not finite or that the network never takes, a number out of range, an unknown
            regulariser, "auto" without a noise level for a denoiser, and a folder that holds other
            things.
    """
    target = Path(out).expanduser()
    weights = _weights(alpha, regulariser)
    network, params = load_network(model)
    params = jax.tree.map(_at_least_single, params)
    prior = named_regulariser(regulariser, tuple(network.input_shape))
    solver = default_solver(network, budget[0], _tolerance(network, params, budget[1]))
    outputs = _outputs(network, params, data)
    truth = None if original is None else _originals(original, network, len(outputs.values))
    levels = _levels(outputs, noise) if weights is None else None
    if weights is None and levels is None:
        check_values(prior, tuple(network.input_shape))
    replaceable(target, _FILES)
    writable_folder(target.parent, "out")
    begin, problem = time.perf_counter(), _Problem(network, params, prior, solver)
    batches = _batches(network, len(outputs.values))
    parts = [
        (weight, problem.solved(outputs.values, indices, weight, levels))
        for weight, indices in _shown([(w, i) for w in weights or (None,) for i in batches])
    ]
    seconds = time.perf_counter() - begin
    found = {
        weight: _gathered([part for w, part in parts if w == weight], outputs, truth)
        for weight in weights or (None,)
    }
    every = [x for x, _ in found.values()]
    x = np.stack(every) if len(every) > 1 else every[0]
    rows = [row for _, rows in found.values() for row in rows]
    metrics = {
        **{"model": str(model), "data": str(data), "regulariser": regulariser, "alpha": alpha},
        **{"noise": noise, "iterations": budget[0], "tolerance": budget[1], "seconds": seconds},
        **{"seconds_per_sample": seconds / len(outputs.values), "samples": rows},
    }
    tries, shown = parts[0][1].tries, {"output": outputs.values, **_labelled(found)}
    with atomic_folder(target, _FILES) as folder:
        _write_arrays(folder, {"x": x, "tries": tries})
        write_json(folder / "metrics.json", metrics)
        page(metrics, {**shown, "true input": truth}, tries).save(folder / "report.html")
        _write_pictures(folder / "pictures", x, tuple(network.input_shape))
    return Inverted(x, metrics)


def inversion_report(folder: str | Path) -> Report:
    """The page of a folder that `invert_file` wrote, made anew.

    It shows the inputs that were found; outputs and true inputs are not in the folder.

    Raises:
        ValueError: if ``metrics.json`` or ``x.npy`` is missing or damaged.
    """
    folder = Path(folder)
    try:
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        x = read_array(folder / "x.npy")
        rows = metrics["samples"]
        alphas = list(dict.fromkeys(row["alpha"] for row in rows))
        several = "," in str(metrics["alpha"])
        parts = dict(zip(alphas, x, strict=True)) if several else {None: x}
        found = {
            weight: (part, [row for row in rows if weight in (None, row["alpha"])])
            for weight, part in parts.items()
        }
        tries = folder / "tries.npy"
        return page(metrics, _labelled(found), read_array(tries) if tries.is_file() else None)
    except Exception as error:  # of whatever stands in the files
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"folder: {str(folder)!r} holds no whole inversion ({reason}); invert again"
        ) from None


class _Part(NamedTuple):
    """What was found for some of the outputs; the last of all may stand in it several times."""

    indices: np.ndarray
    x: np.ndarray
    rows: list[dict[str, Any]]
    tries: np.ndarray | None = None  # inputs of the first few at every α that was tried


class _Problem(NamedTuple):
    """What all outputs share."""

    network: Network
    params: Params
    prior: AbstractPrior
    solver: PrimalDual | BlockDescent

    def solved(
        self,
        outputs: np.ndarray,
        indices: np.ndarray,
        weight: float | None,
        levels: np.ndarray | None,
    ) -> _Part:
        """The inputs for some outputs, with the weight or for their noise levels."""
        given = (self.network, self.params, jnp.asarray(outputs[indices]), self.prior)
        if weight is not None:
            found = invert(*given, weight, solver=self.solver)
            rows = [{"alpha": weight, **row} for row in _numbers(found)]
            return _Part(indices, np.asarray(found.x), rows)
        if levels is None:
            curve = l_curve(*given, _ALPHAS, solver=self.solver)
            rows = [
                {
                    **{"alpha": curve.alpha[i], **row, "alphas": curve.alphas.tolist()},
                    "residuals": curve.residuals[:, i].tolist(),
                    "values": curve.values[:, i].tolist(),
                }
                for i, row in enumerate(_numbers(curve.inverse))
            ]
            return _Part(indices, np.asarray(curve.inverse.x), rows, curve.inputs)
        chosen = discrepancy(*given, levels[indices], solver=self.solver)
        rows = [
            {
                **{"alpha": chosen.alpha[i], **row, "noise": levels[indices[i]]},
                "sigma": levels[indices[i]] / math.sqrt(outputs[indices[i]].size),
                **{"met": bool(chosen.met[i]), "tried": [a[:, i].tolist() for a in chosen.tried]},
            }
            for i, row in enumerate(_numbers(chosen.inverse))
        ]
        return _Part(indices, np.asarray(chosen.inverse.x), rows, chosen.inputs)


def _numbers(found: Inverse) -> list[dict[str, Any]]:
    """What `metrics.json` says of every input."""
    fields = {"energy": found.energy, "gap": found.gap, "change": found.change}
    columns = {**fields, "residual": found.residual, "iterations": found.iterations}
    columns = {name: np.asarray(values).tolist() for name, values in columns.items()}
    return [
        {name: values[i] for name, values in columns.items()} | {"reason": str(reason)}
        for i, reason in enumerate(found.reasons)
    ]


def _gathered(
    parts: list[_Part], outputs: Examples, truth: np.ndarray | None
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    x = np.empty((len(outputs.values), *parts[0].x.shape[1:]), outputs.values.dtype)
    rows: list[dict[str, Any]] = [{} for _ in outputs.names]
    for part in parts:
        x[part.indices] = part.x
        for index, row in zip(part.indices, part.rows, strict=True):
            errors = {} if truth is None else _errors(x[index], truth[index])
            size = float(np.linalg.norm(outputs.values[index]))
            relative = row["residual"] / size if size else math.nan
            rows[index] = {
                **{"name": outputs.names[index], **row, "relative_residual": relative},
                **errors,
            }
    return x, rows


def _errors(x: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    size = float(np.linalg.norm(truth))
    errors = {"relative_error": float(np.linalg.norm(x - truth)) / size if size else math.nan}
    if x.ndim == 3:
        errors["psnr"] = float(psnr(x, truth))
        if min(x.shape[:2]) >= 7:
            errors["ssim"] = float(ssim(x, truth))
    return errors


def _weights(alpha: float | str, regulariser: str) -> tuple[float, ...] | None:
    """α as numbers, None if it is to be chosen."""
    if alpha == "auto":
        if only_constraints(regulariser):
            raise ValueError(
                f"alpha: {regulariser} acts alike for every one; give 1, or add a regulariser"
            )
        return None
    texts = str(alpha).split(",")
    try:
        weights = tuple(float(text) for text in texts)
    except ValueError:
        weights = (math.nan,)
    if not all(weight > 0 and math.isfinite(weight) for weight in weights):
        raise ValueError(f"alpha must be a positive number or auto, got {alpha}")
    if len(set(weights)) < len(weights):
        raise ValueError(f"alpha: {alpha!r} names a number twice; leave one out")
    return weights


def _at_least_single(array: Array) -> Array:
    """Half precision is too coarse to iterate in."""
    return array.astype(np.float32) if array.dtype.itemsize < 4 else array


def _tolerance(network: Network, params: Params, given: float | None) -> float | None:
    """None for that of the solver."""
    double = all(leaf.dtype.itemsize > 4 for leaf in jax.tree.leaves(params))
    return given if given is not None or double or len(network.nodes) > 1 else _SINGLE


def _outputs(network: Network, params: Params, data: str | Path) -> Examples:
    """Read and checked, in the precision of the network."""
    found = read_examples(data, network.shapes[network.output], "data")
    leaves = jax.tree.leaves(params)
    values = found.values.astype(leaves[0].dtype if leaves else np.float32)
    checked(network, network.at(params).nodes[-1].potential, values)
    return Examples(values, found.names)


def _originals(path: str | Path, network: Network, count: int) -> np.ndarray:
    values = read_examples(path, tuple(network.input_shape), "original").values
    if len(values) != count:
        raise ValueError(f"original: {str(path)!r} has {len(values)} inputs for {count} outputs")
    return values


def _levels(outputs: Examples, noise: float | None) -> np.ndarray | None:
    """The norm of every output's noise; None if it is not given and cannot be estimated."""
    count, *shape = outputs.values.shape
    if noise is None:
        # Channels of features are no pictures: their texture would count as noise.
        if len(shape) != 3 or min(shape[:2]) < 4 or shape[2] not in (1, 3):
            return None
        found = np.array([noise_level(output) for output in outputs.values])
        if not found.all():
            return None
    elif noise > 0 and math.isfinite(noise):
        found = np.full(count, noise)
    else:
        raise ValueError(
            f"noise must be positive, got {noise}; give its standard deviation, or a number as "
            "alpha"
        )
    return found * math.sqrt(math.prod(shape))


def _batches(network: Network, count: int) -> list[np.ndarray]:
    """Indices in parts of one size, so that one program serves all."""
    entries = sum(math.prod(shape) for shape in network.shapes.values())
    size = -(-count // -(-count * entries // _MOST_AT_ONCE))
    return [np.minimum(np.arange(i, i + size), count - 1) for i in range(0, count, size)]


def _shown(batches: Sequence[Any]) -> Iterable[Any]:
    """With a progress bar, on a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    hidden = not console.is_terminal
    return track(batches, "inverting", console=console, transient=True, disable=hidden)


def _write_arrays(folder: Path, arrays: dict[str, np.ndarray | None]) -> None:
    for name, array in arrays.items():
        if array is not None:
            stream = io.BytesIO()
            np.save(stream, array, allow_pickle=False)
            write_bytes(folder / f"{name}.npy", stream.getvalue())


def _write_pictures(folder: Path, x: np.ndarray, shape: tuple[int, ...]) -> None:
    """``2.png`` of the third input, ``0-2.png`` with the first of several α."""
    if len(shape) != 3 or shape[2] not in (1, 3):
        return
    folder.mkdir()
    places = list(np.ndindex(x.shape[: x.ndim - 3]))
    digits = [len(str(most)) for most in places[-1]]
    for place in places:
        name = "-".join(f"{at:0{n}}" for at, n in zip(place, digits, strict=True))
        write_image(folder / f"{name}.png", np.nan_to_num(x[place]))


def _labelled(found: dict[float | None, tuple[np.ndarray, list]]) -> dict[str, np.ndarray]:
    """What was found, with α and the mean residual if there are several."""
    if len(found) == 1:
        return {"input found": next(iter(found.values()))[0]}
    return {
        f"α = {weight:g}, residual {np.mean([row['residual'] for row in rows]):.3g}": x
        for weight, (x, rows) in found.items()
    }
