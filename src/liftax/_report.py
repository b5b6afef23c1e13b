"""A self-contained HTML page: text, tables, plots and pictures; nothing comes from outside."""

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from liftax._files import write_text

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --accent: #0b6e99; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { line-height: 1.2; } h2 { margin-top: 2.2rem; border-bottom: 1px solid var(--line); }
figure { margin: 1.2rem 0; } figcaption { font-size: .9rem; }
img { max-width: 100%; height: auto; background: #fff; border-radius: 4px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { white-space: nowrap; padding: .3rem .8rem; border-bottom: 1px solid var(--line);
  text-align: right; }
th:first-child, td:first-child { text-align: left; }
tr.best td { font-weight: 600; } .lead { font-size: 1.1rem; }
details pre { overflow-x: auto; font-size: .85rem; }
"""


def new_figure(columns: int = 1, rows: int = 1, size: tuple[float, float] = (6.4, 3.9)) -> tuple:
    """A matplotlib figure and its grid of axes, rows first."""
    # The object interface needs no display and leaves the user's matplotlib settings alone.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


class Report:
    """Collects sections in order; `save` writes the page atomically."""

    def __init__(self, title: str, lead: str):
        self.title = title
        self._parts = [f"<h1>{html.escape(title)}</h1>", f'<p class="lead">{html.escape(lead)}</p>']

    def heading(self, text: str) -> None:
        """Begin a section."""
        self._parts.append(f"<h2>{html.escape(text)}</h2>")

    def text(self, *paragraphs: str) -> None:
        """Plain paragraphs."""
        self._parts += [f"<p>{html.escape(p)}</p>" for p in paragraphs]

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Any]], caption: str) -> None:
        """A table whose first column names the rows."""
        head = "".join(f'<th scope="col">{html.escape(str(c))}</th>' for c in columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
            for row in rows
        )
        self._parts.append(
            f'<div class="scroll"><table><caption>{html.escape(caption)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )

    def figure(self, figure: Any, caption: str) -> None:
        """A matplotlib figure, embedded as PNG with the caption as its alternative text."""
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
        data = base64.b64encode(buffer.getvalue()).decode()
        text = html.escape(caption)
        self._parts.append(
            f'<figure><img alt="{text}" src="data:image/png;base64,{data}">'
            f"<figcaption>{text}</figcaption></figure>"
        )

    def details(self, summary: str, text: str) -> None:
        """A block that opens on a click."""
        self._parts.append(
            f"<details><summary>{html.escape(summary)}</summary>"
            f"<pre>{html.escape(text)}</pre></details>"
        )

    def save(self, path: Path) -> None:
        """Write the page."""
        body = "\n".join(self._parts)
        write_text(
            path,
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{html.escape(self.title)}</title><style>{_STYLE}</style></head>"
            f"<body>\n{body}\n</body></html>\n",
        )
