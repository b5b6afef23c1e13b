"""Signals, handed from the output to the input."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from liftax.blocks._copies import Copies, Place
from liftax.blocks._order import GaussSeidel
from liftax.networks import Params, States
from liftax.objectives import LiftedEnergy

Visit = Callable[[LiftedEnergy, Params, States, States, States, str], tuple[Array, Any]]


def backward(
    energy: LiftedEnergy, params: Params, states: States, z: States, signal: Array, visit: Visit
) -> tuple[States, dict[str, Any]]:
    """Signals at all pre-activations, each found from those of a node's children.

    From the output's `signal` on, in the order of `GaussSeidel`: for every hidden node
    ``visit(energy, params, states, z, signals, name)`` gives its signal, and something more.
    Through stacks they go copy by copy in a loop, and a visit sees the unfolded network
    (`networks.unfold`). States and pre-activations stay.

    Returns:
        The signals, and what else visits gave, arrays with the samples in front, by node.

    Raises:
        ValueError: where a node reads another copy of a stack than the last.
    """
    network = energy.network
    signals, left = {network.output: signal}, {}
    copies = Copies.of(energy, GaussSeidel(), in_front=True)
    if copies is None:
        for name in reversed(network.hidden):
            signals[name], left[name] = visit(energy, params, states, z, signals, name)
        return signals, left

    def visited(energy: LiftedEnergy, theta: Params, at: Place, name: str, _: None) -> Any:
        states, z = at.fixed
        new, more = visit(energy, theta, states, z, at.own, name)
        return at._replace(own={**at.own, name: new}), more

    blank = {name: jnp.zeros_like(states[name]) for name in network.hidden}
    at, found = copies.walk(visited, params, Place({**blank, **signals}, {}, (states, z)))
    return at.own, copies.by_node(found)
