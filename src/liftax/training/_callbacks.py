"""What can be done after every epoch: stop in time, keep the best."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np

from liftax.networks import Params
from liftax.training._history import History
from liftax.training._model_file import save_model


@dataclasses.dataclass(frozen=True)
class EarlyStopping:
    """Stops a run when a column of the history has not become better for some epochs.

    It looks at the history only, so that a resumed run stops where the whole one would.

    Attributes:
        column: of the history, such as ``"loss"`` or ``"validation_accuracy"``.
        patience: epochs without an improvement after which the run ends.
        least: what counts as an improvement: better than the best value before by more than that.
        largest: whether large values are good; None: those of columns that end in "accuracy".

    Raises:
        ValueError: for numbers out of range; when called, for a column that the history has not.
    """

    column: str = "validation_loss"
    patience: int = 10
    least: float = 0.0
    largest: bool | None = None

    def __post_init__(self) -> None:
        if self.patience < 1 or not self.least >= 0:
            raise ValueError(
                "patience must be at least 1 epoch and least at least 0, got "
                f"{self.patience} and {self.least}"
            )

    def __call__(self, history: History, params: Params) -> bool:
        """Whether to stop."""
        best, waited = np.inf, 0
        for value in _smaller(history, self.column, self.largest)[1:]:
            improved = value < best - self.least
            waited = 0 if improved else waited + 1
            best = value if improved else best
        return waited >= self.patience


class Best:
    """Keeps the parameters of the epoch at which a column of the history was best.

    ``Best("validation_loss", "best.safetensors")`` writes them by `save_model` as well; that file
    survives a run that is killed and resumed.

    Attributes:
        params: a copy of the parameters; None before the first epoch.
        row: of the history.
    """

    def __init__(
        self,
        column: str = "validation_loss",
        path: str | Path | None = None,
        largest: bool | None = None,
    ):
        self.column, self.path, self.largest = column, path, largest
        self.params: Params | None = None
        self.row: dict[str, Any] = {}

    def __call__(self, history: History, params: Params) -> None:
        """Copy the parameters if this epoch is the best one so far."""
        values = _smaller(history, self.column, self.largest)[1:]
        if np.all(values[-1] < values[:-1]):
            self.params, self.row = jax.tree.map(np.array, params), dict(history.last)
            if self.path is not None:
                save_model(self.path, self.params, self.row)


def _smaller(history: History, column: str, largest: bool | None) -> np.ndarray:
    """A column of which small values are good, NaN as the worst."""
    try:
        values = history[column]
    except KeyError as error:
        raise ValueError(f"column: {error.args[0]}; give one of these") from None
    largest = column.endswith("accuracy") if largest is None else largest
    return np.where(np.isnan(values), np.inf, -values if largest else values)
