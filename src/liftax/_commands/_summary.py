"""What an inversion assumed and how near it came, in lines."""

from collections.abc import Mapping, Sequence
from typing import Any


def summary(metrics: Mapping[str, Any]) -> list[str]:
    """Noise, α and residuals of the content of an inversion's ``metrics.json``."""
    rows = metrics["samples"]
    lines = []
    if all("sigma" in row for row in rows):
        how = "estimated" if metrics["noise"] is None else "given"
        lines.append(f"noise: sigma {_span([row['sigma'] for row in rows])} ({how})")
    lines.append(f"alpha: {_span([row['alpha'] for row in rows])}")
    sizes = [row["relative_residual"] for row in rows]
    return [*lines, f"residual: {_span(sizes)} of the norm of the outputs"]


def _span(values: Sequence[float]) -> str:
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return low if low == high else f"{low} to {high}"
