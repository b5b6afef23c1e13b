"""Methods, optimisers and penalties by the names that estimators take."""

import difflib
import functools
from collections.abc import Callable, Mapping
from typing import Any

import optax

from liftax.methods import (
    AbstractMethod,
    BackPropagation,
    BlockCoordinateDescent,
    ImplicitSGD,
    OneSweep,
)
from liftax.penalties import AbstractPenalty, Bregman, Lifted, Quadratic

_PENALTIES: Mapping[str, Callable[[], AbstractPenalty]] = {
    "bregman": Bregman,
    "lifted": Lifted,
    "quadratic": Quadratic,
}
_SOLVERS: Mapping[str, Callable[[Any], optax.GradientTransformation]] = {
    "adam": optax.adam,
    "adamw": optax.adamw,
    "sgd": functools.partial(optax.sgd, momentum=0.9, nesterov=True),
}
_METHODS: Mapping[str, Callable[..., AbstractMethod]] = {
    "one-sweep": OneSweep,
    "back-propagation": BackPropagation,
    "implicit-sgd": lambda optimiser, proximal_step: ImplicitSGD(),
    "block-coordinate-descent": lambda optimiser, proximal_step: BlockCoordinateDescent(),
}


def named_method(algorithm: Any, solver: Any, rate: Any, alpha: float) -> AbstractMethod:
    """The method of a name with this optimiser; a method itself unchanged.

    Equal arguments give the same object, so that what was compiled for one fit serves the next.

    Raises:
        ValueError: for an unknown name, and a rate that is not positive.
    """
    if isinstance(algorithm, AbstractMethod):
        return algorithm
    if not callable(rate) and not rate > 0:
        raise ValueError(f"learning_rate_init must be positive, got {rate!r}; 0.001 is usual")
    if alpha > 0 and callable(rate):
        raise ValueError(
            "alpha: weight decay with a schedule needs a method of your own; give algorithm one "
            "with its proximal_step, or a number for learning_rate_init"
        )
    known(algorithm, _METHODS, "algorithm")
    if not isinstance(solver, optax.GradientTransformation):
        known(solver, _SOLVERS, "solver")
    return _method(algorithm, solver, rate, rate if alpha > 0 else None)


def named_penalty(penalty: Any) -> AbstractPenalty:
    """The penalty of a name; a penalty itself unchanged.

    Raises:
        ValueError: for an unknown name.
    """
    if isinstance(penalty, AbstractPenalty):
        return penalty
    return known(penalty, _PENALTIES, "penalty")()


def known(name: Any, table: Mapping[str, Any], argument: str) -> Any:
    """What a table has under a name.

    Raises:
        ValueError: if it has nothing there.
    """
    if isinstance(name, str) and name in table:
        return table[name]
    near = difflib.get_close_matches(str(name), table, 1)
    hint = f", did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{argument} {name!r} is not known{hint} (known: {', '.join(table)})")


@functools.lru_cache(maxsize=128)
def _method(algorithm: str, solver: Any, rate: Any, proximal_step: float | None) -> AbstractMethod:
    optimiser = _SOLVERS[solver](rate) if isinstance(solver, str) else solver
    return _METHODS[algorithm](optimiser, proximal_step=proximal_step)
