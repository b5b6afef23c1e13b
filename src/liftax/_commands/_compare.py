"""``liftax compare``: several runs side by side."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from liftax._commands._page import curves, number, read_history, read_metrics
from liftax._report import Chart, Line, Report

_CURVES = ("validation_accuracy", "validation_mse", "accuracy", "mse", "loss", "energy")


def compare(folders: Sequence[Path], page: Path | None = None) -> dict[str, Any]:
    """Figures that the runs share, and where their settings differ.

    Args:
        folders: of runs of ``liftax reproduce`` or ``liftax train``.
        page: HTML file to write, with the table and the curves of the runs.

    Raises:
        ValueError: for fewer than two folders, and one that holds no run.
    """
    if len(folders) < 2:
        raise ValueError("compare needs two folders of runs or more, such as runs/a runs/b")
    runs = {_label(folder, folders): _metrics(folder) for folder in folders}
    names = list(runs)
    figures = {name: dict(_leaves(runs[name].get("figures") or {})) for name in names}
    settings = {name: dict(_settings(runs[name])) for name in names}
    found = {
        "runs": names,
        "settings that differ": _rows(settings, differing=True),
        "figures": _rows(figures),
    }
    if page is not None:
        _write(page, found, {name: read_history(f) for name, f in zip(names, folders, strict=True)})
    return found


def _label(folder: Path, folders: Sequence[Path]) -> str:
    """The folder's name, or all of its path if another one has that name."""
    same = [other for other in folders if other.resolve().name == folder.resolve().name]
    return folder.resolve().name if len(same) == 1 else str(folder)


def _metrics(folder: Path) -> dict[str, Any]:
    try:
        return read_metrics(folder)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{str(folder)!r} holds no finished run ({error}); give folders that liftax reproduce "
            "or train wrote"
        ) from None


def _settings(run: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key in ("experiment", "quick", "seeds", "seconds"):
        yield key, run.get(key)
    for part in ("config", "versions"):
        yield from _flat(run.get(part) or {}, part)


def _flat(tree: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Values of nested tables by their paths."""
    if not isinstance(tree, dict):
        yield path, tree
        return
    for key, value in tree.items():
        yield from _flat(value, f"{path}.{key}")


def _leaves(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Numbers of a nested dictionary, the mean ± standard deviation of a list of them."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _leaves(value, (*path, str(key)))
    elif isinstance(tree, list) and tree and all(number(value) for value in tree):
        values = np.asarray(tree, float)
        spread = f" ± {values.std(ddof=1):.2g}" if len(values) > 1 else ""
        yield " / ".join(path), f"{values.mean():.5g}{spread}"
    elif number(tree) or isinstance(tree, str):
        yield " / ".join(path), tree


def _rows(columns: dict[str, dict[str, Any]], differing: bool = False) -> list[dict[str, Any]]:
    keys = dict.fromkeys(key for column in columns.values() for key in column)
    rows = []
    for key in keys:
        values = {name: column.get(key, "") for name, column in columns.items()}
        texts = {json.dumps(value, sort_keys=True) for value in values.values()}
        if not differing or len(texts) > 1:
            rows.append({"": key, **values})
    return rows


def _write(page: Path, found: dict[str, Any], histories: dict[str, list[dict[str, Any]]]) -> None:
    report = Report("Runs side by side", ", ".join(found["runs"]))
    for title in ("settings that differ", "figures"):
        rows = found[title]
        if rows:
            report.heading(title.capitalize())
            report.table(list(rows[0]), [list(row.values()) for row in rows], title)
    charts = [chart for column in _CURVES if (chart := _chart(histories, column)) is not None]
    if charts:
        report.heading("Curves")
        report.charts(charts, "by epoch, a colour a folder, a line a training run")
    report.save(page)


def _chart(histories: dict[str, list[dict[str, Any]]], column: str) -> Chart | None:
    """A line for every training run of a folder, a colour a folder."""
    lines = [
        Line(name, epochs, values, colour=place)
        for place, (name, rows) in enumerate(histories.items())
        for _, epochs, values in curves(rows, column)
    ]
    return Chart(lines, "epoch", column.replace("_", " "), title=column) if lines else None
