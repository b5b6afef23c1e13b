"""The implicit stochastic gradient method."""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from liftax._iterate import repeat
from liftax.blocks import (
    AbstractBlockStep,
    AbstractOrder,
    GaussSeidel,
    ParameterBlock,
    ProximalGradient,
    SweepMemory,
    restart_sweeps,
    start_sweeps,
    sweep_states,
)
from liftax.methods._method import AbstractMethod, Step
from liftax.networks import Params, States
from liftax.objectives import LiftedEnergy


class ImplicitState(NamedTuple):
    """What the block steps remember, and the number of steps done."""

    activations: SweepMemory
    parameters: Any
    count: Array


class ImplicitSGD(AbstractMethod):
    r"""ISGM: a proximal step on the lifted energy of each mini-batch.

    $$(\Theta^{k+1}, U) = \arg\min \frac1{|S|}\sum_{i\in S}\sum_j w_j C_j(u_j^i, z_j^i)
      + \frac1{2\tau_k}\|\Theta-\Theta^k\|^2,$$

    solved from the forward pass by `inner` sweeps over $U$ and $\Theta$. Stable for every
    $\tau > 0$. With Lipschitz steps on Θ a large τ lets the inner budget decide;
    `parameter_step=Solve()` takes the implicit step on Θ in closed form instead.

    Attributes:
        step_size: $\tau_k$: a number, an array (an input of the compiled program instead of a
            constant), or a schedule of the step number (optax's).
        inner: number of inner sweeps, or a schedule of it.
        order: order of the activations in a sweep.
        state_step: how an activation is updated.
        parameter_step: how the parameters are, in each inner sweep.

    Source: Toulis & Airoldi (2017); Wang & Benning (2023), there $\tau_k$.
    """

    step_size: float | Float[Array, ""] | Callable[[Any], Any] = 1.0
    inner: int | Callable[[Any], Any] = 10
    order: AbstractOrder = GaussSeidel()
    state_step: AbstractBlockStep = ProximalGradient()
    parameter_step: AbstractBlockStep = ProximalGradient()
    full_batch: ClassVar[bool] = False

    def __check_init__(self) -> None:
        fixed = not callable(self.step_size) and not self.step_size > 0
        if fixed or (not callable(self.inner) and self.inner < 1):
            raise ValueError(
                "step_size must be positive and inner at least 1, got "
                f"{self.step_size} and {self.inner}"
            )

    def init(
        self, energy: LiftedEnergy, params: Params, x: Array, y: Array, key: PRNGKeyArray
    ) -> ImplicitState:
        energy = energy.at(params)
        states, z, _ = energy.clamp(x, y, params)
        of_states, of_parameters = jax.random.split(key)
        sweeps = start_sweeps(energy, self.order, self.state_step, params, states, z, of_states)
        block = ParameterBlock(energy, params, states, z)
        count = jnp.zeros((), jnp.int32)
        return ImplicitState(sweeps, self.parameter_step.init(block, of_parameters), count)

    def step(
        self, energy: LiftedEnergy, params: Params, state: ImplicitState, x: Array, y: Array
    ) -> Step:
        states, z, output = energy.at(params).clamp(x, y, params)
        loss = energy.at(params).loss_value(z[energy.network.output], y)
        new, kept, _ = self._solve(energy, params, state, states, z)
        return Step(new, kept, loss, output)

    def states(
        self, energy: LiftedEnergy, params: Params, state: ImplicitState, x: Array, y: Array
    ) -> tuple[States, States]:
        states, z, _ = energy.at(params).clamp(x, y, params)
        theta, _, states = self._solve(energy, params, state, states, z)
        return states, energy.preactivations(theta, states)

    def _solve(
        self, energy: LiftedEnergy, params: Params, state: ImplicitState, states: States, z: States
    ) -> tuple[Params, ImplicitState, States]:
        hidden = energy.network.hidden
        fixed = {k: v for k, v in states.items() if k not in hidden}
        tau = self.step_size(state.count) if callable(self.step_size) else self.step_size
        inner = self.inner(state.count) if callable(self.inner) else self.inner

        def sweep(carry: tuple) -> tuple:
            theta, activations, parameters, own = carry
            here, states = energy.at(theta), {**fixed, **own}
            z = here.preactivations(theta, states)
            swept = sweep_states(here, self.order, self.state_step, theta, states, z, activations)
            block = ParameterBlock(here, theta, swept.states, swept.z, (params, tau))
            moved, parameters = self.parameter_step.update(block, parameters)
            own = {name: swept.states[name] for name in hidden}
            return {**theta, **moved}, swept.memory, parameters, own

        here = energy.at(params)
        activations = restart_sweeps(
            here, self.order, self.state_step, params, states, z, state.activations
        )
        block = ParameterBlock(here, params, states, z)
        parameters = self.parameter_step.restart(state.parameters, block)
        own = {name: states[name] for name in hidden}
        theta, activations, parameters, own = repeat(
            sweep, (params, activations, parameters, own), inner
        )
        return theta, ImplicitState(activations, parameters, state.count + 1), {**fixed, **own}
