"""A forward pass through stacked layers."""

import jax
import jax.numpy as jnp

from liftax._iterate import scan
from liftax.affine import Stacked
from liftax.networks._node import Node, Params, States


def climb(
    run: tuple[Node, ...], params: Params, states: States, z: States, moves: States
) -> tuple[States, States]:
    """States and pre-activations with those of a run of stacks, which are met copy by copy."""
    firsts: States = {}
    for node in run:
        assert isinstance(node.affine, Stacked)
        pairs = [slot for slot in node.affine.slots if len(slot) == 2]
        firsts |= {node.parents[own]: states[node.parents[first]] for first, own in pairs}

    def copy(before: States, given: tuple[Params, States]) -> tuple[States, tuple[States, States]]:
        theta, moved = given
        u, own = {}, {}
        for node in run:
            assert isinstance(node.affine, Stacked)
            known = {"each": u, "shifted": before, "shared": states}
            inputs = [
                known[str(link)][node.parents[slot[-1]]]
                for link, slot in zip(node.affine.links, node.affine.slots, strict=True)
            ]
            own[node.name] = node.affine.affine.apply(theta[node.owner], *inputs)
            if node.name in moved:
                own[node.name] = own[node.name] + moved[node.name]
            u[node.name] = jax.vmap(node.potential.activation)(own[node.name])
        return {name: u[name] for name in before}, (u, own)

    theta = {node.owner: params[node.owner] for node in run}
    moved = _exchanged({node.name: moves[node.name] for node in run if node.name in moves})
    _, (u, own) = scan(copy, firsts, (theta, moved))
    return {**states, **_exchanged(u)}, {**z, **_exchanged(own)}


def _exchanged(arrays: States) -> States:
    """Copies in front of samples, or back."""
    return {name: jnp.swapaxes(array, 0, 1) for name, array in arrays.items()}
