"""Whether a run computes with stacks of equal layers, and the way back from them."""

import math
from typing import Any, NamedTuple

import jax
from jaxtyping import Array

from liftax.affine import Stacked
from liftax.blocks import (
    AbstractMetric,
    AbstractOrder,
    Euclidean,
    GaussSeidel,
    Jacobi,
    RedBlack,
    Solve,
    woken,
)
from liftax.methods import AbstractMethod, BackPropagation, Contrastive, DualAscent, OneSweep
from liftax.networks import Params, Stacking
from liftax.objectives import LiftedEnergy
from liftax.parallel import Placement, busiest, node_products
from liftax.training._optimisers import layerwise

# Stages are worth it where the busiest has at most so many times the mean to do, and each at least
# so many operations in a step: its programs, about five, take as long to start.
_UNEVEN, _LEAST = 1.25, 2**30
# One after the other, as convolutions are in a loop, few layers are as well parts of the program:
# their steps take less time.
_DEEP = 64
# Convolutions in a loop are worth it with so many products for each number of an activation, as
# many as four channels have: else what the loop moves in memory takes longer than what it saves.
_DENSE = 32
# Methods that go once from the output to the input, for which a loop on a CPU takes less time: for
# so many layers, with so many weights for each number of an activation. More are written to memory
# for the optimiser, which else meets them in the cache. Convolutions are faster outside of loops.
_BACKWARD = OneSweep | BackPropagation
_MANY, _WIDE = 32, 100


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
    """The energy that a run minimises: with stacks if wished, by default if they pay.

    A placement that divides layers divides the copies of stacks; without these, nodes are on
    stages.

    Raises:
        ValueError: if there are to be stacks and cannot be.
    """
    parts = 1 if place is None else place.layers
    why = _unsuited(method, parts)
    found = None if wish is False or why else energy.stacked(parts)
    if found and isinstance(_order(method), GaussSeidel) and found[0].unfolded() is None:
        why, found = "a node reads a layer in the middle of a run of equal layers", None
    if found and wish is None and parts == 1 and not _pays(energy, found[1], method, place):
        found = None
    if found and layerwise(method, found[1]):
        why, found = "the optimiser would take other steps on stacks than on their layers", None
    if wish and found is None:
        least = max(4, parts)
        why = why or f"the network has no run of {least} or more equal layers (or pairs of blocks)"
        raise ValueError(f"stack=True, but {why}; leave stack away")
    return (energy, Layers(energy)) if found is None else (found[0], Layers(energy, found[1]))


def divisible(energy: LiftedEnergy, method: AbstractMethod, samples: int, parts: int) -> bool:
    """Whether a run had better divide its layers into so many parts: stacks, or worthy stages."""
    if _unsuited(method, parts) is not None:
        return False
    if energy.stacked(parts) is not None:
        return True
    network = energy.network
    if len(network.nodes) < parts:
        return False
    # Four products of a layer in a step, two operations each.
    operations = 8 * samples * sum(node_products(network).values())
    return operations >= parts * _LEAST and busiest(network, parts) <= _UNEVEN


def _pays(
    energy: LiftedEnergy, stacking: Stacking, method: AbstractMethod, place: Placement | None
) -> bool:
    """Whether steps with stacks take as little time, or so many layers too long to compile."""
    stacks = [node for node in stacking.network.nodes if node.copies]
    looped = [n.name for n in stacks if isinstance(n.affine, Stacked) and not n.affine.batched]
    # The first sweeps of a phase move the last layers only; those over stacks move all.
    wakes = (
        jax.default_backend() == "cpu"
        and isinstance(method, Contrastive)
        and bool(woken(energy, method.order))
    )
    if looped:
        products, shapes = node_products(energy.network), energy.network.shapes
        names = [name for stack in looped for name in stacking.copies[stack]]
        entries = sum(math.prod(shapes[name]) for name in names)
        if wakes or sum(products[name] for name in names) < _DENSE * entries:
            return False
    count = sum(node.copies for node in stacks)
    if isinstance(method, _BACKWARD):
        # An accelerator would wait for the small products of a loop.
        alone = place is None and jax.default_backend() == "cpu"
        return alone and not looped and count >= _MANY and not _wide(stacking)
    return count >= _DEEP or not (looped or wakes or isinstance(_order(method), GaussSeidel))


def _wide(stacking: Stacking) -> bool:
    network = stacking.network
    params, names = jax.eval_shape(network.init, jax.random.key(0)), stacking.copies
    weights = sum(math.prod(leaf.shape) for k in names for leaf in jax.tree.leaves(params.get(k)))
    return weights > _WIDE * sum(math.prod(network.shapes[name]) for name in names)


def _order(method: AbstractMethod) -> AbstractOrder | None:
    """The order in which a method meets the nodes, if it has one."""
    return GaussSeidel() if isinstance(method, _BACKWARD) else getattr(method, "order", None)


def _unsuited(method: AbstractMethod, parts: int) -> str | None:
    """Why a method cannot have stacks, divided into so many parts."""
    order = _order(method)
    if parts > 1 and not isinstance(order, Jacobi | RedBlack):
        return "layers update together only in the orders Jacobi() and RedBlack() of a method"
    if not isinstance(order, GaussSeidel | Jacobi | RedBlack):
        return (
            "stacks are for OneSweep, BackPropagation and the orders GaussSeidel(), Jacobi() and "
            "RedBlack() of other methods"
        )
    if getattr(method, "segments", None):
        return "segments are cut between layers"
    if getattr(method, "interleaved", False):
        return "interleaved steps are taken layer by layer"
    if isinstance(getattr(method, "multipliers", None), DualAscent):
        return "DualAscent() gives every layer a weight of its own"
    steps = jax.tree.leaves(method, is_leaf=lambda part: isinstance(part, Solve | AbstractMetric))
    if any(isinstance(p, Solve | AbstractMetric) and not isinstance(p, Euclidean) for p in steps):
        return "closed forms and implicit steps are taken layer by layer"
    return None
