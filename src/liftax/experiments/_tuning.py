"""The same tuning effort for every method: a grid of steps, judged on data held out from training."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from liftax.data import Dataset
from liftax.experiments._experiment import Record
from liftax.methods import AbstractMethod
from liftax.objectives import LiftedEnergy
from liftax.training import fit

Family = Callable[[float], AbstractMethod]


def hold_out(data: Dataset, samples: int) -> tuple[Dataset, Dataset]:
    """The data without its last `samples`, and those."""

    def part(rows: slice) -> Dataset:
        y = None if data.y is None else data.y[rows]
        return Dataset(data.x[rows], y, data.name, data.classes)

    return part(slice(None, -samples)), part(slice(-samples, None))


def tune(
    record: Record,
    energy: LiftedEnergy,
    family: Family,
    grid: Any,
    data: tuple[Any, Any],
    label: str,
    **settings: Any,
) -> float:
    """The grid's step with the lowest held-out loss or highest accuracy (a NaN never wins).

    A grid of one is taken as it is.

    Args:
        record: collects the histories.
        energy: what is minimised.
        family: step → method.
        grid: the steps to try.
        data: training and held-out data.
        label: of the method.
        settings: epochs and batch size for `fit`.
    """
    if len(grid) == 1:
        return float(grid[0])
    scores = []
    for step in grid:
        result = fit(energy, data[0], family(step), validation=data[1], progress=False, **settings)
        record.add(result, method=label, phase="tuning", step_size=step, seed=0)
        last = result.history.last
        score = last.get("validation_accuracy", -last.get("validation_mse", np.inf))
        scores.append(score if np.isfinite(score) else -np.inf)
    return float(grid[int(np.argmax(scores))])


def column(rows: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """One column of history rows, with NaN where a row lacks it."""
    return [float(row.get(name, np.nan)) for row in rows]
