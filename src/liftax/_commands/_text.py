"""Nested dictionaries as lines for a terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

_WIDEST = 44


def lines(tree: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """A name and a value a line; lists of dictionaries as tables, dictionaries indented."""
    flat = [key for key, value in tree.items() if not isinstance(value, dict | list)]
    width = max((len(key) for key in flat), default=0)
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield f"{indent}{key}:"
            yield from lines(value, f"{indent}  ")
        elif isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
            yield f"{indent}{key}:"
            yield from _table(value, f"{indent}  ")
        else:
            yield f"{indent}{key:{width}}  {_cell(value)}"


def _table(rows: list[dict[str, Any]], indent: str) -> Iterator[str]:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [columns, *([_cell(row.get(c, "")) for c in columns] for row in rows)]
    short = [[c if len(c) <= _WIDEST else f"{c[: _WIDEST - 1]}…" for c in row] for row in cells]
    widths = [max(map(len, column)) for column in zip(*short, strict=True)]
    for row in short:
        padded = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        yield f"{indent}{'  '.join(padded)}".rstrip()


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value)) or "none"
    return "none" if value is None or value == {} else str(value)
