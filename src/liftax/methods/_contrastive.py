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
    woken,
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
        rules = (energy, self.order, self.state_step, params)
        memory = start_sweeps(*rules, states, z, key)
        return restart_sweeps(*rules, states, z, memory, hold=True)

    def evaluate(
        self, energy: LiftedEnergy, params: Params, memory: Any, x: Array, y: Array
    ) -> Evaluation:
        states, z, output = energy.clamp(x, y, params)
        loss = energy.loss_value(z[energy.network.output], y)
        # The free phase of an exact penalty is the forward pass, where the energy has no slope.
        free = -self.beta if self.centred else None if energy.penalty.exact else 0.0
        gradient, memory = self._slope(energy, params, states, z, memory, self.beta)
        if free is not None:
            other, _ = self._slope(energy, params, states, z, memory, free)
            gradient = _tree.minus(gradient, other)
        distance = 2 * self.beta if self.centred else self.beta
        return Evaluation(_divided(gradient, distance), loss, output, memory)

    def states(
        self, energy: LiftedEnergy, params: Params, state: Any, x: Array, y: Array
    ) -> tuple[States, States]:
        energy = energy.at(params)
        states, z, _ = energy.clamp(x, y, params)
        swept = self._phase(energy.nudged(self.beta), params, states, z, state.memory)
        return swept.states, swept.z

    def _phase(
        self, energy: LiftedEnergy, params: Params, states: States, z: States, memory: Any
    ) -> Sweep:
        """The minimising activations."""
        rules = (energy, self.order, self.state_step, params)
        sweep = Sweep(states, z, restart_sweeps(*rules, states, z, memory, hold=True))
        first = woken(energy, self.order)[: self.inner]
        for loud in first:
            sweep = sweep_states(*rules, *sweep, loud)
        return repeat(lambda s: sweep_states(*rules, *s), sweep, self.inner - len(first))

    def _slope(
        self,
        energy: LiftedEnergy,
        params: Params,
        states: States,
        z: States,
        memory: Any,
        beta: float,
    ) -> tuple[Params, Any]:
        """The slope in Θ of the least energy with the loss weighted by β."""
        energy = energy.nudged(beta)
        states, z, memory = self._phase(energy, params, states, z, memory)
        signals = {n.name: energy.residual(states, z, n.name) for n in energy.network.nodes}
        gradient = self.metric.gradient(energy, params, states, signals)
        return {**gradient, **hyper_gradient(energy, params, states, z)}, memory


def _divided(tree: Params, number: float) -> Params:
    return jax.tree.map(lambda g: g / number, tree)
