"""Line charts as SVG, with their numbers beside them for the script that zooms."""

import html
import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

WIDTH, HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 12, 12, 46
_MOST = 2000  # points of a line
_HUGE = 1e300  # beyond it, and below its inverse, differences and quotients of axes overflow
COLOURS = 9


class Line(NamedTuple):
    """One line of a chart.

    Attributes:
        label: in the legend; none if it is empty.
        x: abscissae.
        y: ordinates; those that are not finite are gaps.
        low: lower edge of a band, or None.
        high: its upper edge.
        dashed: for baselines.
        dots: a dot at every point.
        colour: number of the colour; None: the next one.
    """

    label: str
    x: Sequence[float] | np.ndarray
    y: Sequence[float] | np.ndarray
    low: Sequence[float] | np.ndarray | None = None
    high: Sequence[float] | np.ndarray | None = None
    dashed: bool = False
    dots: bool = False
    colour: int | None = None


class Chart(NamedTuple):
    """Lines on common axes.

    Attributes:
        lines: the lines.
        x: label of the abscissa.
        y: label of the ordinate.
        log: axes on a logarithmic scale, any of ``"x"``, ``"y"``.
        title: above the chart.
    """

    lines: Sequence[Line]
    x: str
    y: str
    log: str = ""
    title: str = ""

    def html(self, name: str, legend: bool = True) -> str:
        """The chart as a static picture, and its numbers as JSON."""
        numbers = self.numbers()
        title = f"<h3>{html.escape(self.title)}</h3>" if self.title else ""
        text = json.dumps(numbers, separators=(",", ":")).replace("<", "\\u003c")
        return (
            f'<div class="chart">{title}{_svg(numbers, name)}'
            f"{_legend(numbers) if legend else ''}"
            f'<script type="application/json">{text}</script></div>'
        )

    def legend(self) -> str:
        """A list of the labels with their colours."""
        return _legend(self.numbers())

    def numbers(self) -> dict[str, Any]:
        """What the chart shows, as JSON can hold it."""
        lines = [
            {
                "label": line.label,
                "colour": (place if line.colour is None else line.colour) % COLOURS,
                "dashed": line.dashed,
                "dots": line.dots,
                **_columns(line, self.log),
            }
            for place, line in enumerate(self.lines)
        ]
        return {"x": self.x, "y": self.y, "log": self.log, "title": self.title, "lines": lines}


def _columns(line: Line, log: str) -> dict[str, Any]:
    """Coordinates; what a logarithmic axis cannot show is a gap."""
    every = -(-max(len(line.x), 1) // _MOST)
    found = {}
    for name in ("x", "y", "low", "high"):
        values = getattr(line, name)
        if values is None:
            continue
        array = np.asarray(values, float)[::every]
        array = np.where(np.abs(array) < 1 / _HUGE, 0.0, array)
        shown = (np.abs(array) < _HUGE) & (
            (array > 0) if ("x" if name == "x" else "y") in log else np.full(array.shape, True)
        )
        pairs = zip(array.tolist(), shown.tolist(), strict=True)
        found[name] = [float(f"{v:.6g}") if good else None for v, good in pairs]
    return found


def limits(values: Sequence[float | None], log: bool) -> tuple[float, float]:
    """Ends of an axis that shows all values, with some room."""
    known = [v for v in values if v is not None]
    if not known:
        return (1.0, 10.0) if log else (0.0, 1.0)
    low, high = min(known), max(known)
    if log:
        room = max(1.05, (high / low) ** 0.04)
        return low / room, high * room
    room = 0.04 * (high - low) or 0.1 * abs(high) or 0.5
    return low - room, high + room


def ticks(low: float, high: float, log: bool, least: float = 0.0) -> list[float]:
    """Round numbers between two ends, about five, at least `least` apart; or powers of ten."""
    if log and high / low >= 9:
        first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
        every = max(1, -(-(last - first) // 5))
        whole = [10.0**k for k in range(first, last + 1, every)]
        if last - first > 1:
            return whole
        parts = [m * 10.0**k for k in range(first - 1, last + 1) for m in (1, 2, 5)]
        return [t for t in parts if low <= t <= high]
    rough = (high - low) / 5
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(m * size for m in (1, 2, 5, 10) if m * size >= rough * 0.999)
    step = max(step, least)
    return [
        step * k for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    ]


def _least(numbers: dict[str, Any]) -> float:
    """Between ticks: epochs are whole."""
    return 1.0 if numbers["x"] == "epoch" else 0.0


def _svg(numbers: dict[str, Any], name: str) -> str:
    lines, log = numbers["lines"], numbers["log"]
    x = limits([v for line in lines for v in line["x"]], "x" in log)
    drawn = [v for line in lines for k in ("y", "low", "high") for v in line.get(k, ())]
    y = limits(drawn, "y" in log)
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM

    def across(value: float) -> float:
        return _LEFT + (right - _LEFT) * _share(value, x, "x" in log)

    def down(value: float) -> float:
        return bottom - (bottom - _TOP) * _share(value, y, "y" in log)

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(name)}">',
        f'<rect class="frame" x="{_LEFT}" y="{_TOP}" width="{right - _LEFT}" '
        f'height="{bottom - _TOP}"/>',
    ]
    for tick in ticks(*x, "x" in log, _least(numbers)):
        at = f"{across(tick):.1f}"
        parts.append(f'<path class="grid" d="M{at} {_TOP}V{bottom}"/>')
        parts.append(f'<text x="{at}" y="{bottom + 18}" text-anchor="middle">{tick:.4g}</text>')
    for tick in ticks(*y, "y" in log):
        at = f"{down(tick):.1f}"
        parts.append(f'<path class="grid" d="M{_LEFT} {at}H{right}"/>')
        parts.append(
            f'<text x="{_LEFT - 6}" y="{at}" dy=".32em" text-anchor="end">{tick:.4g}</text>'
        )
    middle = (_LEFT + right) / 2, (_TOP + bottom) / 2
    parts.append(
        f'<text x="{middle[0]}" y="{HEIGHT - 8}" text-anchor="middle">{html.escape(numbers["x"])}'
        f'</text><text transform="translate(13 {middle[1]}) rotate(-90)" text-anchor="middle">'
        f"{html.escape(numbers['y'])}</text>"
    )
    parts += [part for line in lines for part in _drawn(line, across, down)]
    return "".join(parts) + "</svg>"


def _drawn(line: dict[str, Any], across: Any, down: Any) -> list[str]:
    """Band, curve and dots of a line."""
    parts, kind = [], f"c{line['colour']}"
    if "low" in line:
        edge = [(u, v) for u, v in zip(line["x"], line["high"], strict=True) if None not in (u, v)]
        back = [(u, v) for u, v in zip(line["x"], line["low"], strict=True) if None not in (u, v)]
        points = " ".join(f"{across(u):.1f},{down(v):.1f}" for u, v in [*edge, *back[::-1]])
        parts.append(f'<polygon class="band {kind}" points="{points}"/>')
    path, pen = [], "M"
    for u, v in zip(line["x"], line["y"], strict=True):
        if u is None or v is None:
            pen = "M"
            continue
        path.append(f"{pen}{across(u):.1f} {down(v):.1f}")
        pen = "L"
        if line["dots"]:
            parts.append(
                f'<circle class="dot {kind}" cx="{across(u):.1f}" cy="{down(v):.1f}" r="3"/>'
            )
    dashed = " dashed" if line["dashed"] else ""
    parts.append(f'<path class="line {kind}{dashed}" d="{"".join(path)}"/>')
    return parts


def _legend(numbers: dict[str, Any]) -> str:
    entries = [
        f'<li><span class="key c{line["colour"]}{" dashed" if line["dashed"] else ""}"></span>'
        f"{html.escape(line['label'])}</li>"
        for line in {line["label"]: line for line in reversed(numbers["lines"])}.values()
        if line["label"]
    ][::-1]
    return f'<ul class="legend">{"".join(entries)}</ul>' if entries else ""


def _share(value: float, ends: tuple[float, float], log: bool) -> float:
    low, high, at = (*ends, value) if not log else (math.log(v) for v in (*ends, value))
    return (at - low) / (high - low)
