"""The implicit stochastic gradient method."""

from typing import ClassVar

from jaxtyping import Array, Float, PRNGKeyArray

from liftax._iterate import repeat
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
from liftax.networks import Params, States
from liftax.objectives import LiftedEnergy


class ImplicitSGD(AbstractMethod):
    r"""ISGM: a proximal step on the lifted energy of each mini-batch.

    $$(\Theta^{k+1}, U) = \arg\min \frac1{|S|}\sum_{i\in S}\sum_j w_j C_j(u_j^i, z_j^i)
      + \frac1{2\tau}\|\Theta-\Theta^k\|^2,$$

    solved from the forward pass by `inner` sweeps of proximal gradient steps over $U$ and $\Theta$
    with Lipschitz steps. Stable for every $\tau > 0$; a large $\tau$ lets the inner budget decide.

    Attributes:
        step_size: $\tau$; an array makes it an input of the compiled program instead of a constant.
        inner: number of inner sweeps.
        order: order of the activations in a sweep.
        state_step: step size of the activations.
        parameter_step: step size of the inner steps on the parameters.

    Source: Toulis & Airoldi (2017); Wang & Benning (2023), there $\tau_k$.
    """

    step_size: float | Float[Array, ""] = 1.0
    inner: int = 10
    order: AbstractOrder = GaussSeidel()
    state_step: AbstractStepSize = Lipschitz()
    parameter_step: AbstractStepSize = Lipschitz()
    full_batch: ClassVar[bool] = False

    def __check_init__(self) -> None:
        if not self.step_size > 0 or self.inner < 1:
            raise ValueError(
                "step_size must be positive and inner at least 1, got "
                f"{self.step_size} and {self.inner}"
            )

    def init(
        self, energy: LiftedEnergy, params: Params, x: Array, y: Array, key: PRNGKeyArray
    ) -> Probes:
        states, _, _ = energy.clamp(x, y, params)
        return probe(energy, params, states, self.order, key)

    def step(self, energy: LiftedEnergy, params: Params, state: Probes, x: Array, y: Array) -> Step:
        states, z, output = energy.clamp(x, y, params)
        loss = energy.loss_value(z[energy.network.output], y)
        new, probes, _, _ = self._solve(energy, params, state, states, z)
        return Step(new, probes, loss, output)

    def states(
        self, energy: LiftedEnergy, params: Params, state: Probes, x: Array, y: Array
    ) -> tuple[States, dict[str, Array]]:
        states, z, _ = energy.clamp(x, y, params)
        _, _, states, z = self._solve(energy, params, state, states, z)
        return states, z

    def _solve(
        self,
        energy: LiftedEnergy,
        params: Params,
        probes: Probes,
        states: States,
        z: dict[str, Array],
    ) -> tuple[Params, Probes, States, dict[str, Array]]:
        network = energy.network
        groups = self.order.groups(network, network.hidden)
        fixed = {k: v for k, v in states.items() if k not in network.hidden}
        anchor = (params, self.step_size)

        def sweep(carry: tuple) -> tuple:
            theta, probes, hidden, z = carry
            moved, z, edges = sweep_states(
                energy, groups, self.state_step, theta, {**fixed, **hidden}, z, probes.states
            )
            theta, nodes = sweep_parameters(
                energy, self.parameter_step, theta, moved, z, probes.parameters, anchor
            )
            hidden = {name: moved[name] for name in network.hidden}
            z = {n.name: network.preactivation(theta, moved, n.name) for n in network.nodes}
            return theta, Probes(edges, nodes), hidden, z

        hidden = {name: states[name] for name in network.hidden}
        theta, probes, hidden, z = repeat(sweep, (params, probes, hidden, z), self.inner)
        return theta, probes, {**fixed, **hidden}, z
