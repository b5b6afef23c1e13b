"""Whether a run computes with stacks of equal layers, and the way back from them."""

from typing import Any, NamedTuple

import jax
from jaxtyping import Array

from liftax.blocks import AbstractMetric, Euclidean, Jacobi, RedBlack, Solve
from liftax.methods import AbstractMethod
from liftax.networks import Params, Stacking
from liftax.objectives import LiftedEnergy
from liftax.parallel import Placement


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

    def apart(self, found: dict[str, Array]) -> dict[str, float]:
        """Numbers of nodes and of the copies in stacks, by the names of layers, in their order."""
        copies = {} if self.stacking is None else self.stacking.copies
        single: dict[str, Any] = dict(found)
        for name, names in copies.items():
            if name in single:
                single |= dict(zip(names, single[name], strict=True))
        nodes = self.energy.network.nodes
        return {node.name: float(single[node.name]) for node in nodes if node.name in single}


def layers(
    energy: LiftedEnergy, method: AbstractMethod, wish: bool | None, place: Placement | None
) -> tuple[LiftedEnergy, Layers]:
    """The energy that a run minimises: with stacks if wished, by default if the order allows it.

    A placement that divides layers needs stacks whose copies it divides.

    Raises:
        ValueError: if there are to be stacks and cannot be.
    """
    why, parts = _unsuited(method), 1 if place is None else place.layers
    found = None if wish is False or why else energy.stacked(parts)
    if (wish or parts > 1) and found is None:
        least = max(4, parts)
        why = why or f"the network has no run of {least} or more equal layers (or pairs of blocks)"
        if parts > 1:
            why = "stack is False" if wish is False else why
            raise ValueError(f"mesh divides layers into {parts} parts, but {why}")
        raise ValueError(f"stack=True, but {why}; leave stack away")
    return (energy, Layers(energy)) if found is None else (found[0], Layers(energy, found[1]))


def divisible(energy: LiftedEnergy, method: AbstractMethod, parts: int) -> bool:
    """Whether a run can divide its layers into so many parts."""
    return _unsuited(method) is None and energy.stacked(parts) is not None


def _unsuited(method: AbstractMethod) -> str | None:
    """Why a method computes layer by layer."""
    order = getattr(method, "order", None)
    if not isinstance(order, Jacobi | RedBlack):
        return "layers update together only in the orders Jacobi() and RedBlack() of a method"
    parts = jax.tree.leaves(method, is_leaf=lambda part: isinstance(part, Solve | AbstractMetric))
    if any(isinstance(p, Solve | AbstractMetric) and not isinstance(p, Euclidean) for p in parts):
        return "closed forms and implicit steps are taken layer by layer"
    return None
