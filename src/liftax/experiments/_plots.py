"""The charts and pictures of the reports."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from liftax._report import Chart, Line, signed


def curves(
    series: Mapping[str, tuple[Any, Any]],
    x: str,
    y: str,
    log: str = "",
    baseline: Sequence[str] = (),
) -> list[Chart]:
    """Mean over seeds with a band from the smallest to the largest.

    Args:
        series: label → (abscissae, one row of ordinates per seed).
        x: label of the abscissa.
        y: label of the ordinate.
        log: axes on a logarithmic scale, any of ``"x"``, ``"y"``.
        baseline: labels drawn dashed.
    """
    return panels({"": series}, x, y, log, baseline)


def panels(
    groups: Mapping[str, Mapping[str, tuple[Any, Any]]],
    x: str,
    y: str,
    log: str = "",
    baseline: Sequence[str] = (),
) -> list[Chart]:
    """`curves` side by side, one chart a group; a label has the same colour in all.

    Args:
        groups: title → label → (abscissae, one row of ordinates per seed).
        x: label of the abscissa.
        y: label of the ordinate.
        log: axes on a logarithmic scale, any of ``"x"``, ``"y"``.
        baseline: labels drawn dashed.
    """
    return [
        Chart([_line(label, *both, baseline) for label, both in series.items()], x, y, log, title)
        for title, series in groups.items()
    ]


def _line(label: str, abscissae: Any, ordinates: Any, baseline: Sequence[str]) -> Line:
    rows = np.atleast_2d(np.asarray(ordinates, float))
    several, few = len(rows) > 1, len(abscissae) <= 60
    low, high = (rows.min(0), rows.max(0)) if several else (None, None)
    return Line(label, abscissae, rows.mean(0), low, high, label in baseline, few)


def pictures(rows: Mapping[str, Any], shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """Rows of grey pictures in [0, 1], one label a row, for `Report.gallery`."""
    return {label: np.asarray(images).reshape(-1, *shape, 1) for label, images in rows.items()}


def filters(weights: Any, shape: tuple[int, int], count: int = 32) -> dict[str, np.ndarray]:
    """What units of the first layer look for: columns of its weight matrix, strongest first."""
    weights = np.asarray(weights)
    order = np.argsort(-np.linalg.norm(weights, axis=0))[:count]
    return {"weights": signed(weights[:, order].T.reshape(-1, *shape, 1))}
