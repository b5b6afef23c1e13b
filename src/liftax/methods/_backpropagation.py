"""Back-propagation: the baseline."""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from liftax.blocks import AbstractMetric, Euclidean
from liftax.methods._gradient_method import AbstractGradientMethod, Evaluation
from liftax.networks import Params, States
from liftax.objectives import LiftedEnergy

if TYPE_CHECKING:
    import optax


class BackPropagation(AbstractGradientMethod):
    r"""(Sub)gradient of the loss at the forward pass, given to an optax optimiser.

    Minimises $\frac1s\sum_i \ell(y^i, z_J^i) + \sum_j s_j(u_j^i)$, the lifted energy restricted to
    feasible activations (Bregman penalties vanish there), by `jax.grad` with its subgradients at
    kinks.

    Attributes:
        optimiser: any `optax.GradientTransformation`.
        metric: `Euclidean()`, or `Implicit(τ)`: the implicit step with back-propagated signals, so
            that a comparison with lifted training changes one thing only.
        proximal_step: the step of the regularisers' prox, if the energy has any.
    """

    optimiser: "optax.GradientTransformation"
    metric: AbstractMetric = Euclidean()
    proximal_step: float | None = None

    def prepare(
        self, energy: LiftedEnergy, params: Params, x: Array, y: Array, key: PRNGKeyArray
    ) -> tuple:
        return ()

    def evaluate(
        self, energy: LiftedEnergy, params: Params, memory: Any, x: Array, y: Array
    ) -> Evaluation:
        def objective(params: Params, moves: States) -> tuple[Array, tuple]:
            states, z = energy.network.forward(params, x, moves)
            output = energy.network.output
            loss = energy.loss_value(z[output], y)
            total = energy.weight(output) * loss + energy.activity_value(states)
            return total, (loss, states)

        if isinstance(self.metric, Euclidean):
            gradient, (loss, states) = jax.grad(objective, has_aux=True)(params, {})
        else:
            shapes = energy.network.shapes
            zero = {
                n.name: jnp.zeros((len(x), *shapes[n.name]), x.dtype) for n in energy.network.nodes
            }
            # With respect to a move of each z it is the signal there, over the number of samples.
            (plain, signals), (loss, states) = jax.grad(objective, (0, 1), has_aux=True)(
                params, zero
            )
            signals = {name: len(x) * s for name, s in signals.items()}
            implicit = self.metric.gradient(energy, params, states, signals)
            gradient = {**plain, **implicit}
        return Evaluation(gradient, loss, states[energy.network.output], memory)

    def states(
        self, energy: LiftedEnergy, params: Params, state: Any, x: Array, y: Array
    ) -> tuple[States, States]:
        states, z, _ = energy.at(params).clamp(x, y, params)
        return states, z
