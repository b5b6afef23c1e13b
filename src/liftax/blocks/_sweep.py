"""Sweeps over the activations."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from liftax import _tree
from liftax._fusion import once
from liftax._iterate import repeat
from liftax.blocks._copies import Copies, Place
from liftax.blocks._order import AbstractChoice, AbstractOrder
from liftax.blocks._state_block import StateBlock
from liftax.blocks._step import AbstractBlockStep
from liftax.networks import Params, States
from liftax.objectives import LiftedEnergy

# Sweeps that know what still has no slope: each is a part of the program.
_MOST = 6


class SweepMemory(NamedTuple):
    """The memory of every group's step, and random bits for the order.

    In the order `GaussSeidel` through stacks, of every node's or run's.
    """

    groups: tuple[Any, ...]
    key: Array


class Sweep(NamedTuple):
    """What one sweep leaves: all states, all pre-activations, the memory."""

    states: States
    z: States
    memory: SweepMemory


def start_sweeps(
    energy: LiftedEnergy,
    order: AbstractOrder,
    step: AbstractBlockStep,
    params: Params,
    states: States,
    z: States,
    key: PRNGKeyArray,
) -> SweepMemory:
    """The memory before the first sweep."""
    copies = Copies.of(energy, order)
    if copies:
        keys = jax.random.split(key)

        def started(energy: LiftedEnergy, theta: Params, at: Place, name: str, key: Any) -> Any:
            return at, step.init(StateBlock(energy, theta, at.own, at.below, (name,)), key)

        _, memories = copies.walk(started, params, Place(states, z), copies.keys(keys[1]))
        return SweepMemory(memories, jax.random.key_data(keys[0]))
    groups = order.groups(energy.network, energy.network.hidden)
    keys = jax.random.split(key, len(groups) + 2)
    # All groups' probes at once, which compiles much faster than one after another.
    hidden = tuple(name for group in groups for name in group)
    warm = StateBlock(energy, params, states, z, hidden).probes(keys[-1]) if groups else {}
    blocks = [StateBlock(energy, params, states, z, group, warm) for group in groups]
    memories = tuple(step.init(block, k) for block, k in zip(blocks, keys[1:-1], strict=True))
    return SweepMemory(memories, jax.random.key_data(keys[0]))


def restart_sweeps(
    energy: LiftedEnergy,
    order: AbstractOrder,
    step: AbstractBlockStep,
    params: Params,
    states: States,
    z: States,
    memory: SweepMemory,
    hold: bool = False,
) -> SweepMemory:
    """The memory for other states, as at a new batch; with `hold` the parameters stay."""
    copies = Copies.of(energy, order)
    if copies:

        def begun(energy: LiftedEnergy, theta: Params, at: Place, name: str, own: Any) -> Any:
            return at, step.restart(own, StateBlock(energy, theta, at.own, at.below, (name,)), hold)

        _, memories = copies.walk(begun, params, Place(states, z), memory.groups)
        return SweepMemory(memories, memory.key)
    groups = order.groups(energy.network, energy.network.hidden)
    blocks = [StateBlock(energy, params, states, z, group) for group in groups]
    old = zip(memory.groups, blocks, strict=True)
    return SweepMemory(tuple(step.restart(m, b, hold) for m, b in old), memory.key)


def sweep_states(
    energy: LiftedEnergy,
    order: AbstractOrder,
    step: AbstractBlockStep,
    params: Params,
    states: States,
    z: States,
    memory: SweepMemory,
    loud: frozenset[str] | None = None,
) -> Sweep:
    """Update the groups of the order; pre-activations follow where parents moved.

    Where `loud` nodes are named, as by `woken`, penalties of all others have no slope, and nodes
    that only these pull at stay.
    """
    copies = Copies.of(energy, order)
    if copies:

        def moved(energy: LiftedEnergy, theta: Params, at: Place, name: str, own: Any) -> Any:
            sweep = Sweep(at.own, at.below, SweepMemory((own,), memory.key))
            sweep = move_group(energy, step, theta, sweep, (name,), 0)
            return Place(sweep.states, sweep.z), sweep.memory.groups[0]

        at, memories = copies.walk(moved, params, Place(states, z), memory.groups)
        return Sweep(at.own, at.below, SweepMemory(memories, memory.key))
    groups = order.groups(energy.network, energy.network.hidden)
    sweep = Sweep(states, z, memory)
    if not groups:
        return sweep

    def move(place: int, sweep: Sweep) -> Sweep:
        return move_group(energy, step, params, sweep, groups[place], place)

    if not isinstance(order, AbstractChoice):
        for place, group in enumerate(groups):
            sweep = move_group(energy, step, params, sweep, group, place, loud)
            loud = loud and _louder(energy, group, loud)
        return sweep

    def progress(sweep: Sweep) -> Array:
        return jnp.stack([_moved(sweep, move(i, sweep), g) for i, g in enumerate(groups)])

    def chosen(sweep: Sweep) -> Sweep:
        key, own = jax.random.split(jax.random.wrap_key_data(sweep.memory.key))
        place = order.choose(own, len(groups), lambda: progress(sweep))
        kept = SweepMemory(sweep.memory.groups, jax.random.key_data(key))
        branches = [lambda sweep, i=i: move(i, sweep) for i in range(len(groups))]
        return jax.lax.switch(place, branches, Sweep(sweep.states, sweep.z, kept))

    return repeat(chosen, sweep, len(groups))


def move_group(
    energy: LiftedEnergy,
    step: AbstractBlockStep,
    params: Params,
    sweep: Sweep,
    group: tuple[str, ...],
    place: int,
    loud: frozenset[str] | None = None,
) -> Sweep:
    """Update one group of activations, the number `place` of its order; `loud` as in a sweep."""
    block = StateBlock(energy, params, sweep.states, sweep.z, group, loud=loud)
    moved, own = step.update(block, sweep.memory.groups[place])
    children = energy.network.children
    if loud is not None:
        moved = {name: moved[name] for name in _pulled(energy, group, loud)}
    moved = {name: once(u) if len(children(name)) > 1 else u for name, u in moved.items()}
    states = {**sweep.states, **moved}
    touched = {c.name for name in moved for c, _ in children(name)}
    z = {**sweep.z, **{n: energy.preactivation(params, states, n) for n in touched}}
    before, after = sweep.memory.groups[:place], sweep.memory.groups[place + 1 :]
    return Sweep(states, z, SweepMemory((*before, own, *after), sweep.memory.key))


def woken(energy: LiftedEnergy, order: AbstractOrder) -> list[frozenset[str]]:
    """The loud nodes before each of the first sweeps from a forward pass that do not move all.

    Nothing but the loss has a slope there; a sweep moves what that pulls at, the next one what
    those pull at, and so on. Empty where that is not
    so: with another penalty than an exact one or with activity terms; and for orders that choose,
    stacks and chains of many layers, whose programs would grow.
    """
    network = energy.network
    free = set(network.hidden)
    stacks = any(node.copies for node in network.nodes)
    if not energy.penalty.exact or energy.activity or isinstance(order, AbstractChoice) or stacks:
        return []
    loud, found = frozenset((network.output,)), []
    while len(found) < _MOST:
        before, moved = loud, set()
        for group in order.groups(network, network.hidden):
            moved |= set(_pulled(energy, group, loud))
            loud = _louder(energy, group, loud)
        if moved == free:
            break
        found.append(before)
    return found


def _pulled(energy: LiftedEnergy, group: tuple[str, ...], loud: frozenset[str]) -> list[str]:
    """Those in the group at which the penalty of a loud node pulls."""
    children = energy.network.children
    return [n for n in group if n in loud or any(c.name in loud for c, _ in children(n))]


def _louder(energy: LiftedEnergy, group: tuple[str, ...], loud: frozenset[str]) -> frozenset[str]:
    """The loud nodes after a step of the group."""
    moved = _pulled(energy, group, loud)
    return loud.union(moved, (c.name for n in moved for c, _ in energy.network.children(n)))


def _moved(before: Sweep, after: Sweep, group: tuple[str, ...]) -> Array:
    old, new = ({n: s.states[n] for n in group} for s in (before, after))
    return _tree.norm(_tree.minus(new, old))
