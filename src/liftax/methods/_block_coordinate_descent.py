"""Deterministic block-coordinate descent with all activations kept."""

from typing import ClassVar, NamedTuple

from jaxtyping import Array, PRNGKeyArray

from liftax.blocks import (
    AbstractOrder,
    AbstractStepSize,
    GaussSeidel,
    Lipschitz,
    sweep_parameters,
    sweep_states,
)
from liftax.methods._method import AbstractMethod, Step
from liftax.methods._probes import Probes, probe
from liftax.networks import INPUT, Params, States
from liftax.objectives import LiftedEnergy


class BlockState(NamedTuple):
    """Activations of all samples, and the power-iteration vectors."""

    hidden: States
    probes: Probes


class BlockCoordinateDescent(AbstractMethod):
    r"""Full-batch block-coordinate proximal gradient on $E(U,\Theta)$.

    One step is a sweep over the activations in the given order and one step on every layer's
    parameters. The activations of all samples are kept from step to step. With Lipschitz steps and
    the Bregman or the lifted penalty the energy never increases.

    Source: arXiv 2510.09796, section 4; descent by Xu & Yin (2013).
    """

    order: AbstractOrder = GaussSeidel()
    state_step: AbstractStepSize = Lipschitz()
    parameter_step: AbstractStepSize = Lipschitz()
    full_batch: ClassVar[bool] = True

    def init(
        self, energy: LiftedEnergy, params: Params, x: Array, y: Array, key: PRNGKeyArray
    ) -> BlockState:
        states, _, _ = energy.clamp(x, y, params)
        hidden = {name: states[name] for name in energy.network.hidden}
        return BlockState(hidden, probe(energy, params, states, self.order, key))

    def step(
        self, energy: LiftedEnergy, params: Params, state: BlockState, x: Array, y: Array
    ) -> Step:
        network = energy.network
        outputs, z_forward = network.forward(params, x)
        loss = energy.loss_value(z_forward[network.output], y)
        states, z = self.states(energy, params, state, x, y)
        groups = self.order.groups(network, network.hidden)
        states, z, of_states = sweep_states(
            energy, groups, self.state_step, params, states, z, state.probes.states
        )
        params, of_parameters = sweep_parameters(
            energy, self.parameter_step, params, states, z, state.probes.parameters
        )
        hidden = {name: states[name] for name in network.hidden}
        new = BlockState(hidden, Probes(of_states, of_parameters))
        return Step(params, new, loss, outputs[network.output])

    def states(
        self, energy: LiftedEnergy, params: Params, state: BlockState, x: Array, y: Array
    ) -> tuple[States, dict[str, Array]]:
        states = {INPUT: x, **state.hidden, energy.network.output: y}
        z = {
            n.name: energy.network.preactivation(params, states, n.name)
            for n in energy.network.nodes
        }
        return states, z
