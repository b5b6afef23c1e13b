"""The report of an inversion."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from liftax._files import plain
from liftax._report import Chart, Line, Report

_PICTURES = 8
_ROWS = 100
_COLUMNS = {
    "alpha": "α",
    "noise": "noise, norm",
    "sigma": "noise, σ",
    "residual": "residual",
    "relative_residual": "residual / |y|",
    "energy": "energy",
    "gap": "gap",
    "change": "change",
    "relative_error": "relative error",
    "psnr": "PSNR, dB",
    "ssim": "SSIM",
    "iterations": "iterations",
}


def page(
    metrics: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray | None],
    tries: np.ndarray | None = None,
) -> Report:
    """Pictures, the search for α, and a table.

    Args:
        metrics: as in ``metrics.json``.
        arrays: outputs, inputs found, true inputs, by label; those that are pictures are shown.
        tries: inputs of the first outputs at every α that was tried, (tries, samples, ...).
    """
    rows = metrics["samples"]
    report = Report(
        "Inversion",
        f"Inputs that {metrics['model']} maps to the outputs of {metrics['data']}, "
        f"with the regulariser {metrics['regulariser']}.",
    )
    _gallery(report, rows, dict(arrays) | ({} if tries is None else _tries(rows, tries)))
    if any("tried" in row for row in rows):
        report.heading("The search for α")
        report.charts([_search(rows[:_PICTURES])], "residuals of all tries, and the noise (dashed)")
        missed = [row["name"] for row in rows if not row["met"]]
        if missed:
            report.text(
                f"No α that was tried brings the residual to the noise: {', '.join(missed[:20])}."
            )
    if any("alphas" in row for row in rows):
        report.heading("The L-curves")
        report.charts(
            [_curves(rows[:_PICTURES])], "residual and J of all α, from small to large; chosen ones"
        )
        report.text(
            "No noise level is known: each α is the corner of its L-curve. That is a heuristic, so "
            "look at the curves; with a noise level the discrepancy principle decides."
        )
    if "," in str(metrics["alpha"]):
        report.heading("The path of α")
        report.charts([_path(rows)], "residual of every output against α")
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


def _gallery(
    report: Report, rows: list[dict[str, Any]], arrays: Mapping[str, np.ndarray | None]
) -> None:
    """Pictures, under a slider if there are several α; it begins where the first output's is."""
    shown = {
        label: np.asarray(images[:_PICTURES])
        for label, images in arrays.items()
        if images is not None and images.ndim == 4 and images.shape[3] in (1, 3)
    }
    if not shown:
        return
    report.heading("Pictures")
    steps = [label for label in shown if label.startswith("α")]
    several = len({row["alpha"] for row in rows if row["name"] == rows[0]["name"]}) > 1
    chosen = f"{_label([rows[0]['alpha']])} "
    starts = [not several and f"{step.replace(',', ' ')} ".startswith(chosen) for step in steps]
    start = starts.index(True) if True in starts else len(steps) // 2
    caption = f"0 is black, 1 is white: {', '.join(_names(rows))}"
    report.gallery(shown, caption, steps, "α", start)


def _tries(rows: list[dict[str, Any]], inputs: np.ndarray) -> dict[str, np.ndarray]:
    """The inputs at every α that was tried, from small to large, by label."""
    own = rows[: inputs.shape[1]]
    pairs = [row["tried"] if "tried" in row else (row["alphas"], row["residuals"]) for row in own]
    alphas, residuals = (np.asarray(values).T for values in zip(*pairs, strict=True))
    order = np.argsort(alphas, axis=0, kind="stable")
    places = order.reshape(*order.shape, *(1,) * (inputs.ndim - 2))
    sorted_inputs = np.take_along_axis(inputs, places, axis=0)
    alphas, residuals = (np.take_along_axis(a, order, axis=0) for a in (alphas, residuals))
    return {
        f"{_label(at)}, residual {' / '.join(f'{r:.3g}' for r in found)}": pictures
        for at, found, pictures in zip(alphas, residuals, sorted_inputs, strict=True)
    }


def _label(alphas: Iterable[float]) -> str:
    """One α if all outputs have the same, else that of each."""
    texts = [f"{alpha:.3g}" for alpha in alphas]
    return "α = " + " / ".join(texts[:1] if len(set(texts)) == 1 else texts)


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


def _names(rows: list[dict[str, Any]]) -> list[str]:
    return [*dict.fromkeys(row["name"] for row in rows)][:_PICTURES]


def _path(rows: list[dict[str, Any]]) -> Chart:
    lines = []
    for name in _names(rows):
        own = [row for row in rows if row["name"] == name]
        own.sort(key=lambda row: row["alpha"])
        alphas, residuals = ([row[key] for row in own] for key in ("alpha", "residual"))
        lines.append(Line(name, alphas, residuals, dots=True))
    return Chart(lines, "α", "residual", "xy")


def _search(rows: list[dict[str, Any]]) -> Chart:
    lines = []
    for colour, row in enumerate(rows):
        alphas, residuals = (np.asarray(values) for values in row["tried"])
        order = np.argsort(alphas)
        ends, level = [alphas.min(), alphas.max()], [row["noise"], row["noise"]]
        lines += [
            Line(row["name"], alphas[order], residuals[order], dots=True, colour=colour),
            Line("", ends, level, dashed=True, colour=colour),
        ]
    return Chart(lines, "α", "residual", "xy")


def _curves(rows: list[dict[str, Any]]) -> Chart:
    lines = []
    for colour, row in enumerate(rows):
        alphas, residuals, values = (np.asarray(row[k]) for k in ("alphas", "residuals", "values"))
        place = int(np.argmin(np.abs(alphas - row["alpha"])))
        name, chosen = row["name"], f"{row['name']}, α = {row['alpha']:.3g}"
        lines += [
            Line(name, residuals, values, colour=colour),
            Line(chosen, [residuals[place]], [values[place]], dots=True, colour=colour),
        ]
    return Chart(lines, "residual", "J", "xy")
