"""What a run writes down."""

from collections.abc import Iterator
from typing import Any

import numpy as np


class History:
    """One row per epoch.

    Columns: ``epoch, step, seconds, loss, metric, energy, energy/NODE, gap/NODE, validation_...``.
    ``history["loss"]`` is the column as an array; `rows` the list of dictionaries. Row 0 is the
    state before the first step, with no training columns.
    """

    def __init__(self, rows: list[dict[str, Any]] | None = None):
        self.rows = list(rows or [])

    def __getitem__(self, column: str) -> np.ndarray:
        known = sorted({key for row in self.rows for key in row})
        if column not in known:
            raise KeyError(f"the history has no column {column!r}; it has {', '.join(known)}")
        return np.array([row.get(column, np.nan) for row in self.rows])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def last(self) -> dict[str, Any]:
        """The newest row."""
        return self.rows[-1]
