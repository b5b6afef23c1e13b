"""``liftax report``: the page of a run folder, made anew from what is in it."""

import contextlib
import json
import tomllib
from pathlib import Path
from typing import Any

from liftax._commands._page import read_history, read_metrics, sections, train_page
from liftax._files import plain
from liftax._report import Report
from liftax.inversion import inversion_report

_CURE = "give a folder of liftax train, reproduce or invert"


def report(folder: Path, out: Path | None = None) -> dict[str, Any]:
    """Write a folder's page.

    A run that is not finished is shown as far as it is. The page of an experiment that ``liftax
    reproduce`` wrote has more than its folder keeps: what can be made anew, the curves and figures,
    becomes ``summary.html`` beside it.

    Raises:
        ValueError: for a folder without a run.
    """
    if not folder.is_dir():
        raise ValueError(f"there is no folder {str(folder)!r}; {_CURE}")
    metrics = _known(folder)
    if (folder / "config.toml").is_file():
        path, page = folder / "report.html", train_page(folder, metrics)
    elif (folder / "x.npy").is_file() and "samples" in metrics:
        path, page = folder / "report.html", inversion_report(folder)
    else:
        path, page = folder / "summary.html", _summary(folder, metrics)
    path = path if out is None else out
    page.save(path)
    return {"written": str(path.resolve())}


def _known(folder: Path) -> dict[str, Any]:
    """What ``metrics.json`` says, or the settings of a run that has none yet."""
    with contextlib.suppress(FileNotFoundError):
        return read_metrics(folder)
    settings = folder / "config.toml"
    if settings.is_file():
        try:
            return {"config": tomllib.loads(settings.read_text(encoding="utf-8"))}
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{str(settings)!r} is damaged: {error}") from None
    return {}


def _summary(folder: Path, metrics: dict[str, Any]) -> Report:
    rows = read_history(folder)
    if not rows and not metrics:
        raise ValueError(f"{str(folder)!r} holds no run; {_CURE}")
    name = metrics.get("experiment", folder.resolve().name)
    page = Report(f"{name}: summary", "Curves and figures.")
    sections(page, rows, folder)
    if metrics:
        page.details("Figures", json.dumps(plain(metrics), indent=1, ensure_ascii=False))
    return page
