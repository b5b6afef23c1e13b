"""Power-iteration vectors that methods with Lipschitz steps carry."""

from typing import NamedTuple

import jax
from jaxtyping import PRNGKeyArray

from liftax.blocks import (
    AbstractOrder,
    parameter_curvature,
    parameter_probes,
    state_curvature,
    state_probes,
)
from liftax.networks import INPUT, Params, States
from liftax.objectives import LiftedEnergy

_WARM_UP = 30


class Probes(NamedTuple):
    """One vector per edge for the activations, one per node for the parameters."""

    states: dict
    parameters: dict


def probe(
    energy: LiftedEnergy, params: Params, states: States, order: AbstractOrder, key: PRNGKeyArray
) -> Probes:
    """Random vectors, iterated until their estimates are useful."""
    network, dtype = energy.network, states[INPUT].dtype
    of_states, of_parameters = jax.random.split(key)
    edges = state_probes(network, of_states, dtype)
    nodes = parameter_probes(network, of_parameters, dtype)
    for group in order.groups(network, network.hidden):
        _, edges = state_curvature(energy, params, edges, group, _WARM_UP)
    _, nodes = parameter_curvature(energy, states, nodes, _WARM_UP)
    return Probes(edges, nodes)
