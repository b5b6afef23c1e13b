"""A forward pass through stacked layers."""

from typing import Any

import jax
import jax.numpy as jnp

from liftax._iterate import scan
from liftax.affine import Normalisation, Stacked
from liftax.networks._node import Node, Params, States


def climb(
    run: tuple[Node, ...],
    params: Params,
    states: States,
    z: States,
    moves: States,
    renew: bool,
) -> tuple[States, States, Params]:
    """States and pre-activations with those of a run of stacks, which are met copy by copy.

    With `renew` normalisations take the batch's statistics, which the returned parameters hold.
    """
    affines = [node.affine for node in run if isinstance(node.affine, Stacked)]
    firsts: States = {}
    for node, affine in zip(run, affines, strict=True):
        pairs = [slot for slot in affine.slots if len(slot) == 2]
        firsts |= {node.parents[own]: states[node.parents[first]] for first, own in pairs}

    def copy(before: States, given: tuple[Params, Params, States]) -> Any:
        theta, learnt, moved = given
        u, own = {}, {}
        for node, affine in zip(run, affines, strict=True):
            known = {0: before, 1: u, None: states}
            inputs = [
                known[link.source(1)[1]][node.parents[slot[-1]]]
                for link, slot in zip(affine.links, affine.slots, strict=True)
            ]
            if renew and isinstance(affine.affine, Normalisation):
                new = affine.affine.statistics(theta[node.owner], *inputs)
                theta = {**theta, node.owner: new}
            own[node.name] = affine.affine.apply(theta[node.owner], *inputs)
            if node.name in moved:
                own[node.name] = own[node.name] + moved[node.name]
            potential = node.learnt(learnt[node.name]).potential
            u[node.name] = jax.vmap(potential.activation)(own[node.name])
        return {name: u[name] for name in before}, (u, own, theta if renew else {})

    theta = {node.owner: params[node.owner] for node in run}
    learnt = {n.name: {field: getattr(n.potential, field) for field in n.learn} for n in run}
    moved = _exchanged({node.name: moves[node.name] for node in run if node.name in moves})
    given = theta, learnt, moved
    if affines[0].stages > 1:
        u, own, new = _staged(copy, firsts, given, affines[0].stages)
    else:
        _, (u, own, new) = scan(copy, firsts, given)
    return {**states, **_exchanged(u)}, {**z, **_exchanged(own)}, {**params, **new}


def _staged(copy: Any, firsts: States, given: Any, stages: int) -> Any:
    """The same in stages, each of which may lie on a device of its own.

    At any time all stages compute, one of them on what it needs, and hand on what they reach.
    """

    def parted(leaf: Any) -> Any:
        return leaf.reshape(stages, -1, *leaf.shape[1:])

    parts = jax.tree.map(parted, given)
    stage = jax.vmap(lambda before, part: scan(copy, before, part))
    place = jnp.arange(stages)

    def chosen(where: Any, new: Any, old: Any) -> Any:
        return jnp.where(where.reshape(-1, *(1,) * (new.ndim - 1)), new, old)

    def move(carry: tuple[Any, Any], time: Any) -> tuple[tuple[Any, Any], None]:
        reached, found = carry
        before = jax.tree.map(
            lambda first, last: chosen(place == 0, first[None], jnp.roll(last, 1, 0)),
            firsts,
            reached,
        )
        reached, new = stage(before, parts)
        return (reached, jax.tree.map(lambda n, o: chosen(place == time, n, o), new, found)), None

    start = jax.tree.map(lambda first: jnp.zeros((stages, *first.shape), first.dtype), firsts)
    zero = jax.tree.map(
        lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(stage, start, parts)[1]
    )
    (_, found), _ = scan(move, (start, zero), place)
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), found)


def _exchanged(arrays: States) -> States:
    """Copies in front of samples, or back."""
    return {name: jnp.swapaxes(array, 0, 1) for name, array in arrays.items()}
