"""The report of an inversion."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from liftax._files import plain
from liftax._report import Report, new_figure

_PICTURES = 8
_ROWS = 100
_COLUMNS = {
    "alpha": "α",
    "noise": "noise, norm",
    "residual": "residual",
    "energy": "energy",
    "gap": "gap",
    "change": "change",
    "relative_error": "relative error",
    "psnr": "PSNR, dB",
    "ssim": "SSIM",
    "iterations": "iterations",
}


def page(metrics: Mapping[str, Any], arrays: Mapping[str, np.ndarray | None]) -> Report:
    """Pictures, the search for α, and a table.

    Args:
        metrics: as in ``metrics.json``.
        arrays: outputs, inputs found, true inputs, by label; those that are pictures are shown.
    """
    rows = metrics["samples"]
    report = Report(
        "Inversion",
        f"Inputs that {metrics['model']} maps to the outputs of {metrics['data']}, "
        f"with the regulariser {metrics['regulariser']}.",
    )
    shown = {
        label: np.asarray(images[:_PICTURES])
        for label, images in arrays.items()
        if images is not None and images.ndim == 4 and images.shape[3] in (1, 3)
    }
    if shown:
        report.heading("Pictures")
        report.figure(_pictures(shown, [row["name"] for row in rows]), "0 is black, 1 is white")
    if any("tried" in row for row in rows):
        report.heading("The search for α")
        report.figure(
            _search(rows[:_PICTURES]), "residuals of all tries (dots), and the noise (dashed)"
        )
        missed = [row["name"] for row in rows if not row["met"]]
        if missed:
            report.text(
                f"No α that was tried brings the residual to the noise: {', '.join(missed[:20])}."
            )
    if any("alphas" in row for row in rows):
        report.heading("The L-curves")
        report.figure(_curves(rows[:_PICTURES]), "residual and J of all α, from small to large")
        report.text(
            "No noise level is known: each α is the corner of its L-curve. That is a heuristic, so "
            "look at the curves; with a noise level the discrepancy principle decides."
        )
    report.heading("The result")
    report.table(*_table(rows))
    for reason, count in Counter(row["reason"] for row in rows).items():
        report.text(f"{count} of {len(rows)}: {reason}.")
    report.text(
        f"{metrics['seconds']:.1f} s in all, {metrics['seconds_per_sample']:.3g} s for an output, "
        "compilation included."
    )
    settings = {key: value for key, value in metrics.items() if key != "samples"}
    report.details("Settings", json.dumps(plain(settings), indent=1, ensure_ascii=False))
    return report


def _table(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[str]], str]:
    def text(value: Any) -> str:
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    used = [
        name
        for name in _COLUMNS
        if any(
            name in row and not (isinstance(row[name], float) and np.isnan(row[name]))
            for row in rows
        )
    ]
    body = [[row["name"], *(text(row.get(name, "")) for name in used)] for row in rows[:_ROWS]]
    rest = f"; all {len(rows)} are in metrics.json" if len(rows) > _ROWS else ""
    return ["output", *(_COLUMNS[name] for name in used)], body, f"residual: ‖N(x) - y‖{rest}"


def _pictures(columns: Mapping[str, np.ndarray], names: list[str]) -> Any:
    """A row for every output, a column for every kind."""
    count = max(len(images) for images in columns.values())
    figure, grid = new_figure(len(columns), count, size=(2.2, 2.2))
    for place, (label, images) in enumerate(columns.items()):
        for line, image in enumerate(images):
            axes, clipped = grid[line, place], np.clip(np.nan_to_num(image), 0, 1)
            axes.imshow(
                clipped[..., 0] if image.shape[2] == 1 else clipped, cmap="gray", vmin=0, vmax=1
            )
            axes.set_xticks([])
            axes.set_yticks([])
            if place == 0:
                axes.set_ylabel(names[line], fontsize=8)
            if line == 0:
                axes.set_title(label, fontsize=10)
    return figure


def _search(rows: list[dict[str, Any]]) -> Any:
    figure, ((axes,),) = new_figure()
    for index, row in enumerate(rows):
        alphas, residuals = (np.asarray(values) for values in row["tried"])
        order, colour = np.argsort(alphas), f"C{index}"
        axes.plot(alphas[order], residuals[order], "o-", ms=3, color=colour, label=row["name"])
        axes.axhline(row["noise"], ls="--", lw=0.8, color=colour)
        axes.plot(row["alpha"], row["residual"], "*", ms=10, color=colour)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("α")
    axes.set_ylabel("residual")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=8)
    return figure


def _curves(rows: list[dict[str, Any]]) -> Any:
    figure, ((axes,),) = new_figure()
    for index, row in enumerate(rows):
        alphas, residuals, values = (np.asarray(row[k]) for k in ("alphas", "residuals", "values"))
        axes.plot(residuals, values, "o-", ms=3, color=f"C{index}", label=row["name"])
        place = int(np.argmin(np.abs(alphas - row["alpha"])))
        axes.plot(residuals[place], values[place], "*", ms=12, color=f"C{index}")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("residual")
    axes.set_ylabel("J")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=8)
    return figure
