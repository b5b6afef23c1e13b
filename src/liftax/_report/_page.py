"""A self-contained HTML page: text, tables, charts and pictures; nothing comes from outside."""

import base64
import functools
import hashlib
import html
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from liftax._files import write_text
from liftax._report._chart import COLOURS, Chart
from liftax._report._picture import data_address

_LARGE = 96  # pixels of a side from which a picture is shown large


def style() -> str:
    """The style sheet of every page."""
    return _part("page.css")


def script() -> str:
    """What makes charts zoom and pictures slide; without it they stand still."""
    return _part("page.js")


@functools.cache
def _part(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


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
            f'<div class="scroll" tabindex="0" role="group" aria-label="{html.escape(caption)}">'
            f"<table><caption>{html.escape(caption)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )

    def charts(self, charts: Sequence[Chart], caption: str) -> None:
        """Line charts side by side, that zoom and read out values."""
        labels = list(dict.fromkeys(line.label for chart in charts for line in chart.lines))
        common = len(charts) > 1 and len(labels) <= COLOURS
        shown, legend = list(charts), ""
        if common:
            shown = [
                chart._replace(
                    lines=[
                        line._replace(colour=labels.index(line.label))
                        if line.colour is None
                        else line
                        for line in chart.lines
                    ]
                )
                for chart in charts
            ]
            lines = {line.label: line for chart in shown for line in chart.lines}
            legend = Chart([*lines.values()], "", "").legend()
        text = html.escape(caption)
        body = "".join(
            chart.html(f"{chart.title}: {caption}" if chart.title else caption, not common)
            for chart in shown
        )
        self._parts.append(
            f'<figure class="panels"><div class="charts">{body}</div>{legend}'
            f"<figcaption>{text}</figcaption></figure>"
        )

    def gallery(
        self,
        rows: Mapping[str, np.ndarray],
        caption: str,
        steps: Collection[str] = (),
        name: str = "",
        start: int = 0,
        pair: tuple[int, int] = (0, 1),
    ) -> None:
        """Rows of pictures, under a slider.

        Args:
            rows: label → pictures in [0, 1], (n, height, width, 1 or 3).
            caption: below.
            steps: labels of rows of which one is shown at a time, by a slider; the others stand
                still. Without them two rows lie on each other, and the slider moves the edge.
            name: of the number that the steps belong to.
            start: the step that is shown first.
            pair: without steps, the rows that lie on each other first.
        """
        parts = []
        for label, pictures in rows.items():
            kind = _size(pictures)
            images = "".join(
                f'<img class="{kind}" alt="{html.escape(label)}, picture {i + 1}" '
                f'src="{data_address(picture)}">'
                for i, picture in enumerate(pictures)
            )
            step = " step" if label in steps else ""
            parts.append(
                f'<section class="row{step}"><h3>{html.escape(label)}</h3>'
                f'<div class="strip">{images}</div></section>'
            )
        self._parts.append(
            f'<figure class="gallery" data-name="{html.escape(name)}" data-start="{start}" '
            f'data-left="{pair[0]}" data-right="{pair[1]}">'
            f"{''.join(parts)}<figcaption>{html.escape(caption)}</figcaption></figure>"
        )

    def details(self, summary: str, text: str) -> None:
        """A block that opens on a click."""
        self._parts.append(
            f"<details><summary>{html.escape(summary)}</summary>"
            f"<pre>{html.escape(text)}</pre></details>"
        )

    def body(self) -> str:
        """The sections."""
        return "\n".join(self._parts)

    def save(self, path: Path) -> None:
        """Write the page."""
        code = script()
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        # Whatever stands in the data: the page fetches nothing, and runs no script but its own.
        policy = (
            "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
            f"script-src 'sha256-{digest}'"
        )
        write_text(
            path,
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{html.escape(self.title)}</title><style>{style()}</style></head>"
            f"<body>\n<main>{self.body()}</main>\n<script>{code}</script></body></html>\n",
        )


def _size(pictures: np.ndarray) -> str:
    side = max(pictures.shape[1:3])
    if len(pictures) > 12:
        return "small"
    return "large" if side > _LARGE else "plain"
