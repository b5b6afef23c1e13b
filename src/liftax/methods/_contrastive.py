"""Contrastive training."""

from typing import TYPE_CHECKING, Any

import jax
from jaxtyping import Array, PRNGKeyArray

from liftax import _tree
from liftax._iterate import repeat
from liftax.blocks import (
    AbstractBlockStep,
    AbstractMetric,
    AbstractOrder,
    Euclidean,
    GaussSeidel,
    ProximalGradient,
    Sweep,
    hyper_gradient,
    restart_sweeps,
    start_sweeps,
    sweep_states,
)
from liftax.methods._gradient_method import AbstractGradientMethod, Evaluation
from liftax.networks import Params, States
from liftax.objectives import LiftedEnergy

if TYPE_CHECKING:
    import optax


class Contrastive(AbstractGradientMethod):
    r"""The gradient in Θ of the contrast between a clamped and a free phase,

    $$\frac1\beta\Big[\min_U\big(\beta\,\ell(y, z_J) + E_{\mathrm{hidden}}(U,\Theta)\big)
      - \min_U E_{\mathrm{hidden}}(U,\Theta)\Big],$$

    or with `centred` $\frac1{2\beta}[\min_U(\beta\ell + E) - \min_U(-\beta\ell + E)]$. As β → 0 it
    tends to the gradient of back-propagation, with an error of order β, centred β². With the
    Bregman penalty (and MAC-QP) the free phase is the forward pass, with energy 0; with the lifted
    penalty it is solved too.

    Attributes:
        optimiser: any `optax.GradientTransformation`.
        beta: β.
        inner: sweeps that solve each phase, from the forward pass.
        centred: the symmetric difference.
        order: of the activations in a sweep.
        state_step: how an activation is updated.
        metric: of the parameters.
        proximal_step: the step of the regularisers' prox, if the energy has any.

    Raises:
        ValueError: unless β is positive and there is an inner sweep; for activity terms with
            `centred` (they would be subtracted).

    Source: Zach & Estellers (2019); Scellier & Bengio (2017) for energies without a bound; the
    symmetric form: Laborieux et al. (2021).
    """

    optimiser: "optax.GradientTransformation"
    beta: float = 0.1
    inner: int = 10
    centred: bool = False
    order: AbstractOrder = GaussSeidel()
    state_step: AbstractBlockStep = ProximalGradient()
    metric: AbstractMetric = Euclidean()
    proximal_step: float | None = None

    def __check_init__(self) -> None:
        if not self.beta > 0 or self.inner < 1:
            raise ValueError(
                f"beta must be positive and inner at least 1, got {self.beta} and {self.inner}"
            )

    def prepare(
        self, energy: LiftedEnergy, params: Params, x: Array, y: Array, key: PRNGKeyArray
    ) -> Any:
        if self.centred and energy.activity:
            raise ValueError(
                "centred contrast would subtract the activity terms; use centred=False"
            )
        states, z, _ = energy.clamp(x, y, params)
        return start_sweeps(energy, self.order, self.state_step, params, states, z, key)

    def evaluate(
        self, energy: LiftedEnergy, params: Params, memory: Any, x: Array, y: Array
    ) -> Evaluation:
        states, z, output = energy.clamp(x, y, params)
        loss = energy.loss_value(z[energy.network.output], y)
        clamped, memory = self._phase(energy, params, states, z, memory, self.beta)
        if self.centred:
            free, _ = self._phase(energy, params, states, z, memory, -self.beta)
            gradient = self._slope(energy, params, clamped, free)
            return Evaluation(_divided(gradient, 2 * self.beta), loss, output, memory)
        free = (states, energy.nudged(0.0))
        if not energy.penalty.exact:
            free, _ = self._phase(energy, params, states, z, memory, 0.0)
        gradient = self._slope(energy, params, clamped, free)
        return Evaluation(_divided(gradient, self.beta), loss, output, memory)

    def states(
        self, energy: LiftedEnergy, params: Params, state: Any, x: Array, y: Array
    ) -> tuple[States, States]:
        energy = energy.at(params)
        states, z, _ = energy.clamp(x, y, params)
        (moved, _), _ = self._phase(energy, params, states, z, state.memory, self.beta)
        return moved, energy.preactivations(params, moved)

    def _phase(
        self,
        energy: LiftedEnergy,
        params: Params,
        states: States,
        z: States,
        memory: Any,
        beta: float,
    ) -> tuple[tuple[States, LiftedEnergy], Any]:
        """The minimising activations with the loss weighted by β, and that energy."""
        energy = energy.nudged(beta)
        rules = (energy, self.order, self.state_step, params)
        memory = restart_sweeps(*rules, states, z, memory)
        sweep = repeat(
            lambda s: sweep_states(*rules, s.states, s.z, s.memory),
            Sweep(states, z, memory),
            self.inner,
        )
        return (sweep.states, energy), sweep.memory

    def _slope(
        self,
        energy: LiftedEnergy,
        params: Params,
        clamped: tuple[States, LiftedEnergy],
        free: tuple[States, LiftedEnergy],
    ) -> Params:
        slopes = []
        for states, phase in (clamped, free):
            z = phase.preactivations(params, states)
            signals = {n.name: phase.residual(states, z, n.name) for n in energy.network.nodes}
            gradient = self.metric.gradient(phase, params, states, signals)
            slopes.append({**gradient, **hyper_gradient(phase, params, states, z)})
        return _tree.minus(*slopes)


def _divided(tree: Params, number: float) -> Params:
    return jax.tree.map(lambda g: g / number, tree)
