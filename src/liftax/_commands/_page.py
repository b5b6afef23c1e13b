"""Pages of run folders, from what is in them."""

import contextlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from liftax._commands._live import read_pictures
from liftax._files import plain
from liftax._report import Chart, Line, Report, signed

Rows = list[dict[str, Any]]

_FIRST = ("loss", "accuracy", "mse", "energy")


def train_page(folder: Path, metrics: dict[str, Any]) -> Report:
    """The report of a training run, finished or not.

    Args:
        folder: with ``history.jsonl`` and perhaps ``pictures.npz``.
        metrics: the content of ``metrics.json``, or what is known so far.
    """
    network, data = (_table(metrics.get("config", {}), key) for key in ("network", "data"))
    report = Report(
        f"Training: {folder.resolve().name}",
        f"{network.get('kind', 'network')} on {data.get('name', data.get('train', 'data'))}. "
        f"{str(metrics.get('reason', 'The run goes on')).capitalize()}.",
    )
    sections(report, read_history(folder), folder)
    figures = metrics.get("figures", {})
    if figures:
        report.heading("The result")
        rows = [(key.replace("_", " "), _number(value)) for key, value in figures.items()]
        report.table(["figure", "value"], rows, "at the end, or at the best epoch if that is kept")
    report.details("Settings", json.dumps(plain(metrics), indent=1, ensure_ascii=False))
    return report


def sections(report: Report, rows: Rows, folder: Path) -> None:
    """Curves of a history, constraint gaps, and pictures."""
    charts = list(history_charts(rows))
    if charts:
        report.heading("Curves")
        report.charts(charts, "by epoch; epoch 0 is the state before the first step")
    nodes = [node_chart(rows, "energy"), node_chart(rows, "gap")]
    if nodes[1] is not None:
        report.heading("Nodes")
        report.charts(
            [chart for chart in nodes if chart is not None],
            "penalty of every node, weighted, and root mean square of u - σ(z) at hidden ones",
        )
    found = read_pictures(folder / "pictures.npz")
    if "weights of units" in found:
        report.heading("Pictures")
        shown = {"weights of units": signed(found["weights of units"])}
        report.gallery(shown, "first layer, the strongest units; red is positive, blue negative")
    elif found:
        report.heading("Pictures")
        report.gallery(found, "0 is black, 1 is white")


def history_charts(rows: Rows) -> Iterator[Chart]:
    """A chart for every column that a person looks at, with its validation column."""
    for name in _FIRST:
        lines = []
        for column, label in ((name, "training"), (f"validation_{name}", "validation")):
            for place, (labels, epochs, values) in enumerate(curves(rows, column)):
                text = f"{labels}, {label}" if labels else label
                few = len(epochs) <= 60
                lines.append(Line(text, epochs, values, dots=few, dashed=label == "validation"))
                if place == 8:
                    break
        known = [v for line in lines for v in line.y if v is not None and math.isfinite(v)]
        if known:
            log = (
                "y"
                if name in ("loss", "mse", "energy") and 0 < 20 * min(known) < max(known)
                else ""
            )
            yield Chart(lines, "epoch", name, log, name)


def node_chart(rows: Rows, kind: str) -> Chart | None:
    """The energies or constraint gaps of nodes, on a logarithmic axis."""
    head = f"{kind}/"
    names = dict.fromkeys(key for row in rows for key in row if key.startswith(head))
    lines = [
        Line(", ".join(filter(None, (labels, name.removeprefix(head)))), epochs, values)
        for name in names
        for labels, epochs, values in curves(rows, name)
    ]
    shown = [line for line in lines if any(v and v > 0 for v in line.y)][:16]
    return Chart(shown, "epoch", kind, "y", kind) if shown else None


def curves(rows: Rows, column: str) -> Iterator[tuple[str, list[float], list[float]]]:
    """Labels, epochs and values of each training run: one begins where epochs do not grow."""
    several = len({str(row.get("seed")) for row in rows}) > 1
    label, epochs, values = "", [], []
    last: float | None = None
    for row in rows:
        epoch = row.get("epoch")
        if not isinstance(epoch, int | float):
            continue
        if last is not None and epoch <= last and epochs:
            yield label, epochs, values
            epochs, values = [], []
        last = epoch
        others = {k: v for k, v in row.items() if isinstance(v, str)}
        seed = {"seed": row["seed"]} if several and "seed" in row else {}
        label = ", ".join(f"{k} {v}" for k, v in (others | seed).items())
        if number(row.get(column)):
            epochs.append(epoch)
            values.append(row[column])
    if epochs:
        yield label, epochs, values


def read_history(folder: Path) -> Rows:
    """Rows of all runs of a folder, also of an experiment that goes on; none without a file.

    Raises:
        ValueError: if the file is damaged.
    """
    path = folder / "history.jsonl"
    if not path.is_file():
        return _journal(folder / "history.part.jsonl")
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{str(path)!r} is damaged: {error}; run it again") from None
    return [row for row in rows if isinstance(row, dict)]


def read_metrics(folder: Path) -> dict[str, Any]:
    """What ``metrics.json`` says of a run.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is damaged.
    """
    path = folder / "metrics.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{str(path)!r} is damaged: {error}") from None
    if not isinstance(found, dict) or not all(
        isinstance(found.get(part, {}), dict) for part in ("figures", "config", "versions")
    ):
        raise ValueError(f"{str(path)!r} is no record of a run; its parts are no tables")
    return found


def _journal(path: Path) -> Rows:
    """Rows of the runs that an experiment has finished so far."""
    rows: Rows = []
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # it may be half written
        for line in path.read_text(encoding="utf-8").splitlines()[1:]:
            entry = json.loads(line)
            rows += [{**entry["labels"], **row} for row in entry["rows"]]
    return rows


def _table(tree: dict[str, Any], key: str) -> dict[str, Any]:
    found = tree.get(key)
    return found if isinstance(found, dict) else {}


def number(value: Any) -> bool:
    """Whether that is a number (and no truth value)."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)
