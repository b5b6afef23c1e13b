"""Visits to all nodes from the output to the input, to those in stacks copy by copy."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from liftax._iterate import scan
from liftax.affine import Stacked
from liftax.blocks._order import AbstractOrder, GaussSeidel
from liftax.networks import Copy, Node, Params, States, potential_key
from liftax.objectives import LiftedEnergy


class Place(NamedTuple):
    """Where visits have come to: arrays of all nodes.

    Attributes:
        own: of which a visit may change its node's: states, or signals.
        below: of which a visit may change those of its node's children: pre-activations, or none.
        fixed: what visits only read.
    """

    own: States
    below: States
    fixed: tuple[States, ...] = ()


Visit = Callable[[LiftedEnergy, Params, Place, str, Any], tuple[Place, Any]]
# The number of a stack's copy, by the stack's name and the copy's number in the unfolded network.
Numbers = dict[tuple[str, Copy], Any]
NEAR = Copy.FIRST, Copy.INNER, Copy.NEXT


class OfRun(NamedTuple):
    """Something for each node in a run of stacks, the last stack first.

    Attributes:
        last: of the last copy.
        inner: of the copies between, with one more axis in front.
        first: of the first copy.
    """

    last: tuple[Any, ...]
    inner: tuple[Any, ...]
    first: tuple[Any, ...]


class Copies:
    """A network's hidden nodes and copies of stacks in the order of `GaussSeidel`.

    What is done at a node is done in the unfolded network (`networks.unfold`), with the arrays of
    the copies that it meets, so that a program has a length free of the number of copies. Only a
    node that all copies read is met in the network with stacks.

    Args:
        energy: of a network with stacks.
        in_front: whether walks have copies in front of samples. There the forward pass has them in
            memory, so that its arrays need no exchange, and what belongs to a copy is together;
            arrays from elsewhere would be copied.

    Raises:
        ValueError: where a node reads another copy than the last.
    """

    def __init__(self, energy: LiftedEnergy, in_front: bool = False):
        unfolded = energy.unfolded()
        if unfolded is None:
            raise ValueError(
                "a node reads a copy of a stack that is not the last, or a stack has fewer than "
                f"{len(Copy)} copies, so that no sweep can go from copy to copy; use the order "
                "RedBlack() or Jacobi(), or the network without stacks"
            )
        self.energy, self.unfolded, self.axis = energy, unfolded, 0 if in_front else 1
        network = energy.network
        self.pieces = [
            piece
            for run in network.runs[::-1]
            for piece in ([run[::-1]] if run[0].copies else [(node,) for node in run[::-1]])
            if piece[0].name != network.output
        ]
        self.shared = {
            node.parents[slot[0]]
            for node in network.nodes
            if node.copies and isinstance(node.affine, Stacked)
            for link, slot in zip(node.affine.links, node.affine.slots, strict=True)
            if link.source(1)[1] is None
        }
        self.ends: Numbers = {
            (node.name, copy): number
            for node in network.nodes
            if node.copies
            for copy, number in zip(Copy, (0, 1, node.copies - 2, node.copies - 1), strict=True)
        }

    @classmethod
    def of(
        cls, energy: LiftedEnergy, order: AbstractOrder, in_front: bool = False
    ) -> "Copies | None":
        """None where there are no stacks, or the order does not go from copy to copy."""
        stacks = any(node.copies for node in energy.network.nodes)
        return cls(energy, in_front) if stacks and isinstance(order, GaussSeidel) else None

    def keys(self, key: PRNGKeyArray) -> tuple[Any, ...]:
        """Keys to be given to the first walk."""
        found = []
        for piece, own in zip(self.pieces, jax.random.split(key, len(self.pieces)), strict=True):
            count = piece[0].copies
            keys = jax.random.split(own, (len(piece), max(count, 1)))
            parts = [tuple(k[where] for k in keys) for where in (-1, slice(1, -1), 0)]
            found.append(OfRun(*parts) if count else keys[0, 0])
        return tuple(found)

    def walk(
        self, visit: Visit, params: Params, place: Place, given: tuple[Any, ...] | None = None
    ) -> tuple[Place, tuple[Any, ...]]:
        """Visit all, each with its own part of what is given; where that leads, what visits leave.

        What a visit may change is said by `Place`.
        """
        place, found = self._turned(place), []
        for piece, own in zip(self.pieces, given or self._nothing(), strict=True):
            if piece[0].copies:
                place, new = self._run(visit, piece, params, place, own)
            elif piece[0].name in self.shared:
                there = self._turned(place)
                there, new = visit(self.energy, params, there, piece[0].name, own)
                place = self._turned(there)
            else:
                place, (new,) = self._at(visit, (piece[0].name,), params, place, (own,))
            found.append(new)
        return self._turned(place), tuple(found)

    def by_node(self, found: tuple[Any, ...]) -> dict[str, Any]:
        """Arrays that visits left, by node; of stacks with the copies behind the samples."""

        def joined(first: Array, inner: Array, last: Array) -> Array:
            return jnp.swapaxes(jnp.concatenate([first[None], inner, last[None]]), 0, 1)

        named = {}
        for piece, own in zip(self.pieces, found, strict=True):
            if not piece[0].copies:
                named[piece[0].name] = own
                continue
            for node, *parts in zip(piece, own.first, own.inner, own.last, strict=True):
                named[node.name] = jax.tree.map(joined, *parts)
        return named

    def _turned(self, place: Place) -> Place:
        """From the order of axes outside a walk to that inside, or back."""
        if self.axis == 1:
            return place

        def turned(part: States) -> States:
            stacks = {n.name for n in self.energy.network.nodes if n.copies}
            return {k: jnp.swapaxes(a, 0, 1) if k in stacks else a for k, a in part.items()}

        return Place(turned(place.own), turned(place.below), tuple(map(turned, place.fixed)))

    def _nothing(self) -> tuple[Any, ...]:
        """What is given to visits that need nothing."""
        return tuple(OfRun(*[(None,) * len(p)] * 3) if p[0].copies else None for p in self.pieces)

    def _run(
        self, visit: Visit, run: tuple[Node, ...], params: Params, place: Place, given: OfRun
    ) -> tuple[Place, OfRun]:
        stacks = [node.name for node in run]
        place, last = self._at(visit, _names(stacks, Copy.LAST), params, place, given.last)
        place, inner = self._between(visit, stacks, params, place, given.inner)
        place, first = self._at(visit, _names(stacks, Copy.FIRST), params, place, given.first)
        return place, OfRun(last, inner, first)

    def _between(
        self, visit: Visit, stacks: list[str], params: Params, place: Place, given: Any
    ) -> tuple[Place, tuple[Any, ...]]:
        """Visit the copies between the first and the last.

        Only what has changed at the next copy is carried: whole arrays would be copied each time.
        """
        names, after = _names(stacks, Copy.INNER), _names(stacks, Copy.NEXT)
        last = self.ends[stacks[0], Copy.LAST]

        def step(carry: Any, given: tuple[Array, Any]) -> tuple[Any, tuple[Any, ...]]:
            (near, reached), (number, memory) = carry, given
            numbers = {(k, c): number + c - Copy.INNER for k in stacks for c in NEAR}
            here = self._at_copies(place, numbers)
            here = Place({**here.own, **near[0]}, {**here.below, **near[1]}, here.fixed)
            here, found = self._visited(visit, names, numbers, params, here, memory)
            near = _renamed(here.own, names, after), _renamed(here.below, names, after)
            own = _put(reached[0], _renamed(here.own, names, stacks), number, self.axis)
            below = _put(reached[1], _renamed(here.below, after, stacks), number + 1, self.axis)
            return (near, (own, below)), found

        end = self._at_copies(place, {(name, Copy.NEXT): last for name in stacks})
        near = _renamed(end.own, after, after), _renamed(end.below, after, after)
        begin = _renamed(place.own, stacks, stacks), _renamed(place.below, stacks, stacks)
        given = jnp.arange(1, last), given
        (near, (own, below)), found = scan(step, (near, begin), given, reverse=True)
        below = _put(below, _renamed(near[1], after, stacks), 1, self.axis)
        return Place({**place.own, **own}, {**place.below, **below}, place.fixed), found

    def _at(
        self,
        visit: Visit,
        names: tuple[str, ...],
        params: Params,
        place: Place,
        given: tuple[Any, ...],
    ) -> tuple[Place, tuple[Any, ...]]:
        """Visit nodes of the unfolded network, or the first and last copies."""
        here = self._at_copies(place, self.ends)
        there, found = self._visited(visit, names, self.ends, params, here, given)
        own = self._changed(place.own, here.own, there.own)
        below = self._changed(place.below, here.below, there.below)
        return Place(own, below, place.fixed), found

    def _at_copies(self, place: Place, numbers: Numbers) -> Place:
        """The place in the unfolded network, whose copies have these numbers."""

        def taken(part: States) -> States:
            return _taken(part, numbers, self.axis)

        return Place(taken(place.own), taken(place.below), tuple(map(taken, place.fixed)))

    def _changed(self, whole: States, before: States, after: States) -> States:
        """The arrays of the network with stacks, with those put in that are others than before."""
        new = {name: array for name, array in after.items() if array is not before[name]}
        whole = {**whole, **{name: array for name, array in new.items() if name in whole}}
        for (name, copy), number in self.ends.items():
            if copy.of(name) in new:
                whole = _put(whole, {name: new[copy.of(name)]}, number, self.axis)
        return whole

    def _visited(
        self,
        visit: Visit,
        names: tuple[str, ...],
        numbers: Numbers,
        params: Params,
        place: Place,
        given: tuple[Any, ...],
    ) -> tuple[Place, tuple[Any, ...]]:
        """The same, with the place in the unfolded network, for the copies of these numbers."""
        theta, offsets = _taken(params, numbers, 0), _taken(self.energy.offsets, numbers, 1)
        # What potentials learn is put into all copies, also into those that are far.
        learnt = {potential_key(node.name) for node in self.energy.network.nodes if node.learn}
        theta = {**_taken({key: params[key] for key in learnt}, self.ends, 0), **theta}
        energy, found = self.unfolded.offset(offsets).at(theta), []
        for name, own in zip(names, given, strict=True):
            place, new = visit(energy, theta, place, name, own)
            found.append(new)
        return place, tuple(found)


def _names(stacks: list[str], copy: Copy) -> tuple[str, ...]:
    return tuple(copy.of(name) for name in stacks)


def _taken(trees: dict[str, Any], numbers: Numbers, axis: int) -> dict[str, Any]:
    """What belongs to the unfolded network's nodes."""
    stacks = {name for name, _ in numbers}
    found = {name: tree for name, tree in trees.items() if name not in stacks}
    for (name, copy), number in numbers.items():
        own = copy.of(name)
        for key, new in ((name, own), (potential_key(name), potential_key(own))):
            if key in trees:
                found[new] = jax.tree.map(lambda leaf, k=number: _index(leaf, k, axis), trees[key])
    return found


def _renamed(part: States, names: Sequence[str], new: Sequence[str]) -> States:
    """The arrays of these names, where there are any, under new ones."""
    return {k: part[name] for name, k in zip(names, new, strict=True) if name in part}


def _put(whole: States, new: States, number: Any, axis: int) -> States:
    """The stacks with new arrays in the place of the copy of that number."""
    update = jax.lax.dynamic_update_index_in_dim
    return {**whole, **{name: update(whole[name], new[name], number, axis) for name in new}}


def _index(array: Array, number: Any, axis: int) -> Array:
    return jax.lax.dynamic_index_in_dim(array, number, axis, keepdims=False)
