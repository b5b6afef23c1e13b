"""The same tuning effort for every method: a grid of steps, judged on data held out from training."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from liftax.data import Dataset
from liftax.experiments._experiment import Record
from liftax.methods import AbstractMethod
from liftax.objectives import LiftedEnergy
from liftax.training import fit

if TYPE_CHECKING:
    import optax

Family = Callable[[float], AbstractMethod]


def hold_out(data: Dataset, samples: int) -> tuple[Dataset, Dataset]:
    """The data without its last `samples`, and those."""
    return part(data, slice(None, -samples)), part(data, slice(-samples, None))


def part(data: Dataset, rows: slice) -> Dataset:
    """Some of the samples."""
    y = None if data.y is None else data.y[rows]
    return Dataset(data.x[rows], y, data.name, data.classes)


def adam(rate: float) -> "optax.GradientTransformation":
    """Adam with the rate as an input of the compiled program: all of a grid share one."""
    import optax

    return optax.GradientTransformation(
        _moments().init, jax.tree_util.Partial(_adam_update, jnp.float32(rate))
    )


@functools.cache
def _moments() -> "optax.GradientTransformation":
    import optax

    return optax.scale_by_adam()


def _adam_update(rate: Any, gradient: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
    updates, state = _moments().update(gradient, state, params)
    return jax.tree.map(lambda u: jnp.asarray(-rate * u, u.dtype), updates), state


def cosine_adam(rate: float, steps: int) -> "optax.GradientTransformation":
    """Likewise, the rate falling to 0 in so many steps, as half of a cosine."""
    import optax

    numbers = jnp.float32(rate), jnp.float32(steps)
    return optax.GradientTransformation(
        _moments().init, jax.tree_util.Partial(_cosine_update, *numbers)
    )


def _cosine_update(
    rate: Any, steps: Any, gradient: Any, state: Any, params: Any = None
) -> tuple[Any, Any]:
    done = jnp.minimum(state.count.astype(steps.dtype) / steps, 1)
    return _adam_update(0.5 * rate * (1 + jnp.cos(jnp.pi * done)), gradient, state, params)


def sgd(rate: float) -> "optax.GradientTransformation":
    """Gradient descent, likewise."""
    import optax

    return optax.GradientTransformation(
        optax.identity().init, jax.tree_util.Partial(_sgd_update, jnp.float32(rate))
    )


def _sgd_update(rate: Any, gradient: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
    return jax.tree.map(lambda g: jnp.asarray(-rate * g, g.dtype), gradient), state


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
        rows = record.run(
            lambda step=step: fit(
                energy, data[0], family(step), validation=data[1], progress=False, **settings
            ),
            method=label,
            phase="tuning",
            step_size=step,
            seed=0,
        )
        last = rows[-1]
        score = last.get("validation_accuracy", -last.get("validation_mse", np.inf))
        scores.append(score if np.isfinite(score) else -np.inf)
    return float(grid[int(np.argmax(scores))])


def column(rows: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """One column of history rows, with NaN where a row lacks it."""
    return [float(row.get(name, np.nan)) for row in rows]


def lines(runs: Sequence[Sequence[Mapping[str, Any]]], x: str, y: str) -> tuple[Any, Any]:
    """One column against another for a plot, without row 0: (abscissae, one row a run).

    Abscissae are means over the runs; a run that ended early has NaN where it lacks rows.
    """
    length = max(len(run) for run in runs)

    def padded(name: str) -> Any:
        short = [column(run[1:], name) for run in runs]
        return np.array([values + [np.nan] * (length - 1 - len(values)) for values in short])

    return np.nanmean(padded(x), axis=0), padded(y)
