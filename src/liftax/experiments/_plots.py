"""The plots and pictures of the reports."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from liftax._report import new_figure

COLOURS = (
    "#0b6e99",
    "#d1495b",
    "#2e8b57",
    "#8d6a9f",
    "#e07a1f",
    "#5c6670",
    "#c2a300",
    "#9c3f8f",
    "#4a8f8c",
)


def curves(
    series: Mapping[str, tuple[Any, Any]],
    x: str,
    y: str,
    log: str = "",
    baseline: Sequence[str] = (),
) -> Any:
    """Mean over seeds with a band from the smallest to the largest.

    Args:
        series: label → (abscissae, one row of ordinates per seed).
        x: label of the abscissa.
        y: label of the ordinate.
        log: axes on a logarithmic scale, any of ``"x"``, ``"y"``.
        baseline: labels drawn dashed.
    """
    figure, ((axes,),) = new_figure()
    _draw(axes, series, dict(zip(series, itertools.cycle(COLOURS), strict=False)), baseline)
    _label(axes, x, y, log)
    axes.legend(frameon=False, fontsize=9)
    return figure


def panels(
    groups: Mapping[str, Mapping[str, tuple[Any, Any]]],
    x: str,
    y: str,
    log: str = "",
    baseline: Sequence[str] = (),
    columns: int = 3,
) -> Any:
    """`curves` side by side, one panel a group; a label has the same colour in all.

    With more labels than colours every panel has its own colours and legend.

    Args:
        groups: title → label → (abscissae, one row of ordinates per seed).
        x: label of the abscissa.
        y: label of the ordinate.
        log: axes on a logarithmic scale, any of ``"x"``, ``"y"``.
        baseline: labels drawn dashed.
        columns: panels in a row.
    """
    labels = dict.fromkeys(label for series in groups.values() for label in series)
    colours = dict(zip(labels, itertools.cycle(COLOURS), strict=False))
    columns = min(columns, len(groups))
    figure, grid = new_figure(columns, -(-len(groups) // columns), size=(4.2, 3.3))
    own, handles = len(labels) > len(COLOURS), {}
    for axes, (title, series) in zip(grid.ravel(), groups.items(), strict=False):
        if own:
            colours = dict(zip(series, itertools.cycle(COLOURS), strict=False))
        _draw(axes, series, colours, baseline)
        _label(axes, x, y, log)
        axes.set_title(title, fontsize=10)
        handles |= {line.get_label(): line for line in axes.get_lines()}
        if own:
            axes.legend(frameon=False, fontsize=7)
    for axes in grid.ravel()[len(groups) :]:
        axes.set_axis_off()
    if own:
        return figure
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside lower center",
        ncols=min(3, len(handles)),
        frameon=False,
        fontsize=9,
    )
    return figure


def _draw(axes: Any, series: Mapping[str, tuple[Any, Any]], colours: Any, baseline: Any) -> None:
    for label, (abscissae, ordinates) in series.items():
        rows = np.atleast_2d(np.asarray(ordinates, float))
        colour, style = colours[label], "--" if label in baseline else "-"
        dots = {"marker": "o", "markersize": 3} if len(abscissae) <= 60 else {}
        axes.plot(abscissae, rows.mean(0), style, color=colour, label=label, **dots)
        axes.fill_between(abscissae, rows.min(0), rows.max(0), color=colour, alpha=0.15, lw=0)


def _label(axes: Any, x: str, y: str, log: str) -> None:
    if "x" in log:
        axes.set_xscale("log")
        axes.xaxis.get_major_locator().set_params(subs=_ticks(axes.get_xlim()))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
    elif x == "epoch":
        axes.xaxis.get_major_locator().set_params(integer=True)
    if "y" in log:
        axes.set_yscale("log")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.25)


def _ticks(limits: tuple[float, float]) -> tuple[float, ...]:
    """Where a logarithmic axis has ticks: more within a decade the fewer decades there are."""
    return (1.0,) if limits[1] > 300 * limits[0] else (1.0, 2.0, 5.0)


def pictures(rows: Mapping[str, Any], shape: tuple[int, int]) -> Any:
    """Rows of grey pictures in [0, 1], one label a row."""
    count = max(len(images) for images in rows.values())
    figure, axes = new_figure(count, len(rows), size=(0.85, 0.9))
    for line, (label, images) in zip(axes, rows.items(), strict=True):
        for index, place in enumerate(line):
            place.set_xticks([])
            place.set_yticks([])
            place.set_frame_on(False)
            if index < len(images):
                image = np.asarray(images[index]).reshape(shape)
                place.imshow(np.clip(image, 0, 1), cmap="gray", vmin=0, vmax=1)
        line[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9)
    return figure


def filters(weights: Any, shape: tuple[int, int], count: int = 32) -> Any:
    """What units of the first layer look for: columns of its weight matrix, strongest first."""
    weights = np.asarray(weights)
    order = np.argsort(-np.linalg.norm(weights, axis=0))[:count]
    figure, axes = new_figure(16, -(-len(order) // 16), size=(0.55, 0.6))
    for place, unit in zip(axes.ravel(), order, strict=False):
        limit = np.abs(weights[:, unit]).max() or 1.0
        place.imshow(weights[:, unit].reshape(shape), cmap="RdBu_r", vmin=-limit, vmax=limit)
    for place in axes.ravel():
        place.set_axis_off()
    return figure
