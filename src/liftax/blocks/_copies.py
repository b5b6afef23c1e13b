"""Visits to all nodes from the output to the input, to those in stacks copy by copy."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from liftax._iterate import scan
from liftax.blocks._order import AbstractOrder, GaussSeidel
from liftax.networks import (
    FIRST,
    INNER,
    LAST,
    NEXT,
    Node,
    Params,
    States,
    copy_name,
    potential_key,
)
from liftax.objectives import LiftedEnergy

Visit = Callable[[LiftedEnergy, Params, States, States, str, Any], tuple[States, States, Any]]
# Where a copy of a stack lies, by the stack's name and the copy's number in the unfolded network.
Places = dict[tuple[str, int], Any]
Run = tuple[Node, ...]


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

    Raises:
        ValueError: where a node reads another copy than the last.
    """

    def __init__(self, energy: LiftedEnergy):
        unfolded = energy.unfolded()
        if unfolded is None:
            raise ValueError(
                "order GaussSeidel(): a node reads a copy of a stack that is not the last; use "
                "RedBlack() or Jacobi(), or the network without stacks"
            )
        self.energy, self.unfolded = energy, unfolded
        network = energy.network
        self.count = {node.name: node.copies for node in network.nodes if node.copies}
        runs = [
            part
            for run in network.runs
            for part in ([run] if run[0].copies else [(node,) for node in run])
        ]
        self.pieces = [run[::-1] for run in runs[::-1] if run[0].name != network.output]
        self.shared = {
            node.parents[slot[-1]]
            for node in network.nodes
            if node.copies
            for link, slot in zip(node.affine.links, node.affine.slots, strict=True)
            if link == "shared"
        }
        self.ends: Places = {
            (name, k): place
            for name, count in self.count.items()
            for k, place in ((FIRST, 0), (INNER, 1), (NEXT, count - 2), (LAST, count - 1))
        }

    @classmethod
    def of(cls, energy: LiftedEnergy, order: AbstractOrder) -> "Copies | None":
        """None where there are no stacks, or the order does not go from copy to copy."""
        stacks = any(node.copies for node in energy.network.nodes)
        return cls(energy) if stacks and isinstance(order, GaussSeidel) else None

    def keys(self, key: PRNGKeyArray) -> tuple[Any, ...]:
        """Keys to be given to the first walk."""
        found = []
        for piece, own in zip(self.pieces, jax.random.split(key, len(self.pieces)), strict=True):
            count = piece[0].copies
            keys = jax.random.split(own, (max(count, 1), len(piece)))
            each = [keys[:, place] for place in range(len(piece))]
            parts = [tuple(k[where] for k in each) for where in (-1, slice(1, -1), 0)]
            found.append(OfRun(*parts) if count else keys[0, 0])
        return tuple(found)

    def walk(
        self, visit: Visit, params: Params, states: States, z: States, given: tuple[Any, ...]
    ) -> tuple[States, States, tuple[Any, ...]]:
        """Visit all, each with its own part of what is given; states, z, and what visits leave.

        A visit may change the state of its node and the pre-activations of that node's children.
        """
        found = []
        for piece, own in zip(self.pieces, given, strict=True):
            if piece[0].copies:
                states, z, new = self._run(visit, piece, params, states, z, own)
            elif piece[0].name in self.shared:
                states, z, new = visit(self.energy, params, states, z, piece[0].name, own)
            else:
                names = (piece[0].name,)
                states, z, (new,) = self._at(visit, names, self.ends, params, states, z, (own,))
            found.append(new)
        return states, z, tuple(found)

    def _run(
        self, visit: Visit, run: Run, params: Params, states: States, z: States, given: OfRun
    ) -> tuple[States, States, OfRun]:
        stacks = [node.name for node in run]
        ends = {copy: _names(stacks, copy) for copy in (FIRST, LAST)}
        states, z, last = self._at(visit, ends[LAST], self.ends, params, states, z, given.last)
        states, z, inner = self._between(visit, stacks, params, states, z, given.inner)
        states, z, first = self._at(visit, ends[FIRST], self.ends, params, states, z, given.first)
        return states, z, OfRun(last, inner, first)

    def _between(
        self, visit: Visit, stacks: list[str], params: Params, states: States, z: States, given: Any
    ) -> tuple[States, States, tuple[Any, ...]]:
        """Visit the copies between the first and the last.

        Only what has changed at the next copy is carried: whole arrays would be copied each time.
        """
        count, names, after = self.count[stacks[0]], _names(stacks, INNER), _names(stacks, NEXT)

        def step(carry: tuple[States, States], own: tuple[Array, Any]) -> Any:
            place, memory = own
            here = {(k, c): place + c - INNER for k in stacks for c in (FIRST, INNER, NEXT)}
            known = [{**_taken(part, here, 1), **new} for part, new in zip((states, z), carry)]
            around, ahead, found = self._visited(visit, names, here, params, *known, memory)
            carry = tuple(
                {new: part[old] for new, old in zip(after, names, strict=True)}
                for part in (around, ahead)
            )
            return carry, (_only(around, names), _only(ahead, after), found)

        last = {(name, NEXT): count - 1 for name in stacks}
        carry = tuple(_only(_taken(part, last, 1), after) for part in (states, z))
        places = jnp.arange(1, count - 1)
        carry, (u, ahead, found) = scan(step, carry, (places, given), reverse=True)
        states, z = dict(states), dict(z)
        for name, own, new in zip(stacks, names, after, strict=True):
            middle, end = jnp.swapaxes(u[own], 0, 1), jnp.swapaxes(ahead[new], 0, 1)
            states[name] = jnp.concatenate(
                [states[name][:, :1], middle, states[name][:, -1:]], axis=1
            )
            z[name] = jnp.concatenate([z[name][:, :1], carry[1][new][:, None], end], axis=1)
        return states, z, found

    def _at(
        self,
        visit: Visit,
        names: tuple[str, ...],
        places: Places,
        params: Params,
        states: States,
        z: States,
        given: tuple[Any, ...],
    ) -> tuple[States, States, tuple[Any, ...]]:
        """Visit nodes of the unfolded network, whose stacks lie at these places."""
        before = _taken(states, places, 1), _taken(z, places, 1)
        *after, found = self._visited(visit, names, places, params, *before, given)
        states, z = (
            _changed(whole, old, new, places)
            for whole, old, new in zip((states, z), before, after, strict=True)
        )
        return states, z, found

    def _visited(
        self,
        visit: Visit,
        names: tuple[str, ...],
        places: Places,
        params: Params,
        states: States,
        z: States,
        given: tuple[Any, ...],
    ) -> tuple[States, States, tuple[Any, ...]]:
        """The same with states and pre-activations of the unfolded network."""
        theta, offsets = _taken(params, places, 0), _taken(self.energy.offsets, places, 1)
        energy, found = self.unfolded.offset(offsets).at(theta), []
        for name, own in zip(names, given, strict=True):
            states, z, new = visit(energy, theta, states, z, name, own)
            found.append(new)
        return states, z, tuple(found)


def _names(stacks: list[str], copy: int) -> tuple[str, ...]:
    return tuple(copy_name(name, copy) for name in stacks)


def _only(trees: States, names: tuple[str, ...]) -> States:
    return {name: trees[name] for name in names}


def _taken(trees: dict[str, Any], places: Places, axis: int) -> dict[str, Any]:
    """What belongs to the unfolded network's nodes."""
    stacks = {name for name, _ in places}
    found = {name: tree for name, tree in trees.items() if name not in stacks}
    for (name, copy), place in places.items():
        for key, own in ((name, copy_name(name, copy)), _potentials(name, copy)):
            if key in trees:
                found[own] = jax.tree.map(lambda leaf, k=place: _index(leaf, k, axis), trees[key])
    return found


def _changed(whole: States, before: States, after: States, places: Places) -> States:
    """The arrays of the network with stacks, with those put in that are others than before."""
    new = {name: array for name, array in after.items() if array is not before[name]}
    whole = {**whole, **{name: array for name, array in new.items() if name in whole}}
    for (name, copy), place in places.items():
        own = copy_name(name, copy)
        if own in new:
            whole[name] = jax.lax.dynamic_update_index_in_dim(whole[name], new[own], place, 1)
    return whole


def _index(array: Array, place: Any, axis: int) -> Array:
    return jax.lax.dynamic_index_in_dim(array, place, axis, keepdims=False)


def _potentials(name: str, copy: int) -> tuple[str, str]:
    return potential_key(name), potential_key(copy_name(name, copy))
