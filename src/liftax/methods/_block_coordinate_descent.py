"""Deterministic block-coordinate descent with all activations kept."""

from typing import Any, ClassVar, NamedTuple

import jax
from jaxtyping import Array, PRNGKeyArray

from liftax.blocks import (
    AbstractBlockStep,
    AbstractChoice,
    AbstractOrder,
    GaussSeidel,
    ParameterBlock,
    ProximalGradient,
    Sweep,
    SweepMemory,
    move_group,
    start_sweeps,
    sweep_states,
)
from liftax.methods._method import AbstractMethod, Step
from liftax.methods._multipliers import AbstractMultipliers, Constant
from liftax.networks import INPUT, Params, States
from liftax.objectives import LiftedEnergy


class BlockState(NamedTuple):
    """Activations of all samples, what the block steps remember, and the multipliers."""

    hidden: States
    activations: SweepMemory
    parameters: Any
    multipliers: Any


class BlockCoordinateDescent(AbstractMethod):
    r"""Full-batch block-coordinate descent on $E(U,\Theta)$.

    One step is a sweep over the activations in the given order and one step on every layer's
    parameters. The activations of all samples are kept from step to step. With the default steps
    (and with closed forms), and the Bregman or the lifted penalty, the energy never increases;
    accelerated steps and changing multipliers carry no such promise.

    Attributes:
        order: of the activations.
        state_step: how an activation is updated.
        parameter_step: how the parameters are.
        interleaved: move a layer's parameters right after its activation, from the output down,
            instead of all after the sweep. Not for orders that choose while they run, and not with
            learnt hyper-parameters.
        multipliers: `Constant`, `Continuation` (MAC), `DualAscent` (Fenchel lifted), `ADMM`.

    Source: arXiv 2510.09796, section 4; descent by Xu & Yin (2013).
    """

    order: AbstractOrder = GaussSeidel()
    state_step: AbstractBlockStep = ProximalGradient()
    parameter_step: AbstractBlockStep = ProximalGradient()
    multipliers: AbstractMultipliers = Constant()
    interleaved: bool = False
    full_batch: ClassVar[bool] = True

    def __check_init__(self) -> None:
        if self.interleaved and isinstance(self.order, AbstractChoice):
            raise ValueError(
                f"interleaved needs an order known in advance, got {type(self.order).__name__}(); "
                "use GaussSeidel()"
            )

    def init(
        self, energy: LiftedEnergy, params: Params, x: Array, y: Array, key: PRNGKeyArray
    ) -> BlockState:
        learning = [node.name for node in energy.network.nodes if node.learn]
        if self.interleaved and learning:
            raise ValueError(
                f"interleaved cannot train what the potential of {learning[0]!r} learns; "
                "use interleaved=False"
            )
        energy = energy.at(params)
        states, _, _ = energy.clamp(x, y, params)
        multipliers = self.multipliers.init(energy, states)
        energy = self.multipliers.at(energy, multipliers)
        z = energy.preactivations(params, states)
        of_states, of_parameters = jax.random.split(key)
        sweeps = start_sweeps(energy, self.order, self.state_step, params, states, z, of_states)
        parts = self._parts(energy)
        blocks = [ParameterBlock(energy, params, states, z, None, part) for part in parts]
        memories = tuple(
            self.parameter_step.init(block, key) if block.x else ()
            for block, key in zip(blocks, jax.random.split(of_parameters, len(parts)), strict=True)
        )
        hidden = {name: states[name] for name in energy.network.hidden}
        return BlockState(hidden, sweeps, memories, multipliers)

    def step(
        self, energy: LiftedEnergy, params: Params, state: BlockState, x: Array, y: Array
    ) -> Step:
        energy = energy.at(params)
        network = energy.network
        outputs, z_forward = network.forward(params, x)
        loss = energy.loss_value(z_forward[network.output], y)
        energy = self.multipliers.at(energy, state.multipliers)
        states = {INPUT: x, **state.hidden, network.output: y}
        z = energy.preactivations(params, states)
        update = self._interleaved if self.interleaved else self._in_turn
        new, sweep, memories = update(energy, params, Sweep(states, z, state.activations), state)
        multipliers = state.multipliers
        if not isinstance(self.multipliers, Constant):
            z = energy.preactivations(new, sweep.states)
            multipliers = self.multipliers.update(energy, multipliers, sweep.states, z)
        hidden = {name: sweep.states[name] for name in network.hidden}
        kept = BlockState(hidden, sweep.memory, memories, multipliers)
        return Step(new, kept, loss, outputs[network.output])

    def states(
        self, energy: LiftedEnergy, params: Params, state: BlockState, x: Array, y: Array
    ) -> tuple[States, States]:
        states = {INPUT: x, **state.hidden, energy.network.output: y}
        return states, energy.preactivations(params, states)

    def _parts(self, energy: LiftedEnergy) -> list[tuple[str, ...] | None]:
        """The nodes whose parameters move together: all (None), or the output's, then by group."""
        network = energy.network
        if not self.interleaved:
            return [None]
        groups = self.order.groups(network, network.hidden)
        return [(network.output,), *groups]

    def _in_turn(
        self, energy: LiftedEnergy, params: Params, sweep: Sweep, state: BlockState
    ) -> tuple[Params, Sweep, tuple]:
        sweep = sweep_states(
            energy, self.order, self.state_step, params, sweep.states, sweep.z, sweep.memory
        )
        block = ParameterBlock(energy, params, sweep.states, sweep.z)
        moved, memory = self.parameter_step.update(block, state.parameters[0])
        return {**params, **moved}, sweep, (memory,)

    def _interleaved(
        self, energy: LiftedEnergy, params: Params, sweep: Sweep, state: BlockState
    ) -> tuple[Params, Sweep, tuple]:
        memories = []
        for place, part in enumerate(self._parts(energy)):
            assert part is not None
            if place:
                sweep = move_group(energy, self.state_step, params, sweep, part, place - 1)
            block = ParameterBlock(energy, params, sweep.states, sweep.z, None, part)
            if block.x:
                moved, memory = self.parameter_step.update(block, state.parameters[place])
                params = {**params, **moved}
                users = [n.name for n in energy.network.nodes if n.owner in moved]
                z = {n: energy.preactivation(params, sweep.states, n) for n in users}
                sweep = Sweep(sweep.states, {**sweep.z, **z}, sweep.memory)
            else:
                memory = state.parameters[place]
            memories.append(memory)
        return params, sweep, tuple(memories)
