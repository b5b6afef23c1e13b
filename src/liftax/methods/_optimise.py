"""A step of an optax optimiser."""

from typing import TYPE_CHECKING, Any

from liftax.networks import Params

if TYPE_CHECKING:
    # Imported where it is called: it takes longer to import than the rest of the package.
    import optax


def descend(
    optimiser: "optax.GradientTransformation", gradient: Params, state: Any, params: Params
) -> tuple[Params, Any]:
    """The parameters and the optimiser's state after one update."""
    import optax

    updates, state = optimiser.update(gradient, state, params)
    new: Any = optax.apply_updates(params, updates)
    return new, state
