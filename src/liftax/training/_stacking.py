"""Whether a run computes with stacks of equal layers, and the way back from them."""

from typing import Any, NamedTuple

import jax
from jaxtyping import Array

from liftax.blocks import AbstractMetric, Euclidean, Jacobi, RedBlack, Solve
from liftax.methods import AbstractMethod
from liftax.networks import Params, Stacking
from liftax.objectives import LiftedEnergy


class Layers(NamedTuple):
    """The energy as the user gave it, and the stacks that the run computes with, if there are.

    Attributes:
        energy: of the plain network.
        stacking: None without stacks.
    """

    energy: LiftedEnergy
    stacking: Stacking | None = None

    def stacked(self, params: Params) -> Params:
        """Parameters for the run."""
        return params if self.stacking is None else self.stacking.stacked(params)

    def plain(self, params: Params) -> Params:
        """Parameters for the user."""
        return params if self.stacking is None else self.stacking.unstacked(params)

    def gaps(self, gaps: dict[str, Array]) -> dict[str, float]:
        """By the names of the layers, in their order."""
        copies = {} if self.stacking is None else self.stacking.copies
        found: dict[str, Any] = dict(gaps)
        for name, names in copies.items():
            found |= dict(zip(names, found[name], strict=True))
        return {name: float(found[name]) for name in self.energy.network.hidden}


def layers(
    energy: LiftedEnergy, method: AbstractMethod, wish: bool | None
) -> tuple[LiftedEnergy, Layers]:
    """The energy that a run minimises: with stacks if wished, by default if the order allows it.

    Raises:
        ValueError: if stacks are wished and cannot be.
    """
    why = _unsuited(method)
    found = None if wish is False or why else energy.stacked()
    if wish and found is None:
        why = why or "the network has no run of four or more equal layers (or blocks)"
        raise ValueError(f"stack=True, but {why}; leave stack away")
    return (energy, Layers(energy)) if found is None else (found[0], Layers(energy, found[1]))


def _unsuited(method: AbstractMethod) -> str | None:
    """Why a method computes layer by layer."""
    order = getattr(method, "order", None)
    if not isinstance(order, Jacobi | RedBlack):
        return "layers update together only in the orders Jacobi() and RedBlack() of a method"
    parts = jax.tree.leaves(method, is_leaf=lambda part: isinstance(part, Solve | AbstractMetric))
    if any(isinstance(p, Solve | AbstractMetric) and not isinstance(p, Euclidean) for p in parts):
        return "closed forms and implicit steps are taken layer by layer"
    return None
