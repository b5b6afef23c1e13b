"""Plug-and-play: the denoiser of the package in problems that it was not trained for."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from liftax.experiments._experiment import Experiment, Record
from liftax.experiments._photographs import scores, test_photographs
from liftax.experiments._pictures import comparison
from liftax.experiments._restoration_study import (
    Images,
    measured,
    total_variation_references,
)
from liftax.imaging import (
    AbstractOperator,
    Blur,
    Downsample,
    Mask,
    adjoint,
    gaussian_kernel,
    lipschitz_estimate,
    motion_kernel,
    plug_and_play,
    random_mask,
)
from liftax.restoration import BLURRED, MISSING, Denoiser, load_denoiser, plugged_in


class _Problem(NamedTuple):
    """An operator of square images, the noise, and the schedule of the denoiser's levels.

    `weights` are those of total variation, in units of σ².
    """

    operator: Callable[[int], AbstractOperator]
    noise: float
    schedule: tuple[float, int]
    weights: tuple[float, ...] = (4, 7, 12)


def _blurred(kernel: Any) -> Callable[[int], AbstractOperator]:
    return lambda side: Blur((side, side, 1), np.asarray(kernel), "periodic")


def _seen(share: float) -> Callable[[int], AbstractOperator]:
    return lambda side: Mask(random_mask(jax.random.key(0), (side, side), share))


_PROBLEMS: dict[str, _Problem] = {
    "motion blur of 9 pixels, σ = 0.02": _Problem(_blurred(motion_kernel(9, 30.0)), 0.02, BLURRED),
    "Gaussian blur of 1.6 pixels, σ = 0.02": _Problem(
        _blurred(gaussian_kernel(1.6, 5)), 0.02, BLURRED
    ),
    "half of the pixels, σ = 0.05": _Problem(_seen(0.5), 0.05, MISSING),
    "a fifth of the pixels, σ = 0.01": _Problem(_seen(0.2), 0.01, MISSING, (30, 100, 300)),
    "half of the resolution, σ = 0.02": _Problem(
        lambda side: Downsample((side, side, 1), 2), 0.02, BLURRED
    ),
}


def _start(operator: AbstractOperator, y: Any) -> np.ndarray:
    """The measurements put back, the mean of what is seen elsewhere."""
    back = np.asarray(adjoint(operator, jnp.asarray(y)))
    if not isinstance(operator, Mask):
        gain = np.asarray(adjoint(operator, jnp.ones(operator.out_shape, jnp.float32)))
        return back / np.maximum(gain, 1e-6)
    seen = np.asarray(operator.mask)
    return back + (1 - seen) * (back.sum() / seen.sum())


def _restored(problem: _Problem, pictures: Images, config: dict[str, Any]) -> Mapping[str, Images]:
    operator = problem.operator(pictures.shape[1])
    y = measured(operator, pictures, problem.noise)
    start = np.stack([_start(operator, v) for v in y])
    denoiser, numbers = load_denoiser(), (problem.noise, problem.schedule)
    weights = problem.noise**2 * np.array(problem.weights)
    variation = total_variation_references(operator, y, pictures, weights, config["tv_iterations"])
    return {
        "degraded": start,
        "total variation": variation,
        "plug-and-play": np.stack(
            [plugged_in(denoiser, operator, v, s, *numbers) for v, s in zip(y, start, strict=True)]
        ),
    }


def _run(record: Record) -> None:
    config, report, denoiser = record.config, record.report, load_denoiser()
    names, pictures = test_photographs(config["data"])
    chosen = [i for i in config["shown"] if i < len(names)]
    table = []
    for title in list(_PROBLEMS)[: config["problems"]]:
        shown = _restored(_PROBLEMS[title], pictures, config)
        figures = {label: scores(images, pictures) for label, images in shown.items()}
        record.figures[title] = {k: {"psnr": f[:, 0], "ssim": f[:, 1]} for k, f in figures.items()}
        gain = figures["plug-and-play"][:, 0] - figures["total variation"][:, 0]
        for label, f in figures.items():
            better = f"{gain.mean():+.2f}, {(gain > 0).sum()} of {len(gain)}"
            row = (title, label, f"{f[:, 0].mean():.2f}", f"{f[:, 1].mean():.4f}")
            table.append((*row, better if label == "plug-and-play" else ""))
        record.headline.append(f"{title}: plug-and-play {gain.mean():+.2f} dB over total variation")
        record.say(record.headline[-1])
        report.heading(title.capitalize() if title[0].islower() else title)
        few = {"photograph": pictures[chosen], **{k: v[chosen] for k, v in shown.items()}}
        comparison(report, few, title)
    columns = ("problem", "method", "PSNR, dB", "SSIM", "over total variation, how often")
    report.heading("The result")
    caption = f"means over {len(names)} photographs that no training has seen"
    report.table(columns, table, caption)
    report.text(
        "One network, trained to denoise, solves them all by half-quadratic splitting. Total variation has the "
        "best of three weights for each photograph, chosen by looking at it."
    )
    _fixed_points(record, denoiser, pictures[chosen])


def _fixed_points(record: Record, denoiser: Denoiser, pictures: Images) -> None:
    """Does the forward-backward iteration come to rest, and where? With Lipschitz estimates."""
    config, report = record.config, record.report
    problem = _PROBLEMS["half of the pixels, σ = 0.05"]
    operator = problem.operator(pictures.shape[1])
    rows, found = [], {}
    y = measured(operator, pictures, problem.noise)
    side = min(64, pictures.shape[1])
    for sigma in config["fixed_levels"]:
        own = denoiser.at(sigma)
        ends = [
            plug_and_play(
                operator,
                v,
                own,
                start=_start(operator, v),
                iterations=config["fixed_iterations"],
                tolerance=config["tolerance"],
            )
            for v in y
        ]
        quality = scores(np.stack([np.asarray(e.x) for e in ends]), pictures)[:, 0]
        gains = np.asarray(lipschitz_estimate(own, pictures[:, :side, :side]))
        changes, counts = ([float(getattr(e, k)) for e in ends] for k in ("change", "iterations"))
        found[f"{sigma:g}"] = {
            "psnr": quality,
            "change": changes,
            "iterations": counts,
            "lipschitz": gains,
        }
        rows.append(
            (
                f"{sigma:g}",
                f"{quality.mean():.2f}",
                f"{max(changes):.1e}",
                f"{np.mean(counts):.0f}",
                f"{gains.max():.2f}",
            )
        )
    record.figures["fixed points"] = found
    report.heading("Plug-and-play forward-backward")
    columns = ("denoiser's σ", "PSNR, dB", "largest change", "iterations", "Lipschitz estimate")
    report.table(columns, rows, "half of the pixels, the photographs shown")
    report.text(
        f"Iterations end at a relative change below {config['tolerance']:g}, or after "
        f"{config['fixed_iterations']}. A Lipschitz constant of at most 1 would promise that they come to rest; the "
        "estimate is a lower bound of it."
    )


PNP = Experiment(
    name="pnp",
    title="Plug-and-play",
    lead="The denoiser that comes with the package, plugged into problems that it was not trained for: blur, missing "
    "pixels, low resolution. How far is it above total variation, and do its iterations come to rest?",
    config={
        "data": "photographs",
        "problems": 5,
        "tv_iterations": 300,
        "shown": [0, 2, 12, 14],
        "fixed_levels": [0.02, 0.05, 0.1],
        "fixed_iterations": 100,
        "tolerance": 1e-4,
        "seeds": [0],
    },
    quick={
        "data": "samples",
        "problems": 1,
        "tv_iterations": 50,
        "shown": [0, 1],
        "fixed_levels": [0.05],
        "fixed_iterations": 5,
    },
    run=_run,
)
