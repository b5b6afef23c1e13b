"""Back-propagation: the baseline."""

from typing import TYPE_CHECKING, Any, ClassVar

import jax
from jaxtyping import Array, PRNGKeyArray

from liftax.methods._method import AbstractMethod, Step
from liftax.methods._optimise import descend
from liftax.networks import Params, States
from liftax.objectives import LiftedEnergy

if TYPE_CHECKING:
    import optax


class BackPropagation(AbstractMethod):
    r"""(Sub)gradient of the loss at the forward pass, given to an optax optimiser.

    Minimises $\frac1s\sum_i \ell(y^i, z_J^i) + \sum_j s_j(u_j^i)$, the lifted energy restricted to
    feasible activations (Bregman penalties vanish there), by `jax.grad` with its subgradients at
    kinks.
    """

    optimiser: "optax.GradientTransformation"
    full_batch: ClassVar[bool] = False

    def init(
        self, energy: LiftedEnergy, params: Params, x: Array, y: Array, key: PRNGKeyArray
    ) -> Any:
        return self.optimiser.init(params)

    def step(self, energy: LiftedEnergy, params: Params, state: Any, x: Array, y: Array) -> Step:
        def objective(params: Params) -> tuple[Array, tuple[Array, Array]]:
            states, z, output = energy.clamp(x, y, params)
            loss = energy.loss_value(z[energy.network.output], y)
            total = energy.weight(energy.network.output) * loss + energy.activity_value(states)
            return total, (loss, output)

        gradient, (loss, output) = jax.grad(objective, has_aux=True)(params)
        params, state = descend(self.optimiser, gradient, state, params)
        return Step(params, state, loss, output)

    def states(
        self, energy: LiftedEnergy, params: Params, state: Any, x: Array, y: Array
    ) -> tuple[States, dict[str, Array]]:
        states, z, _ = energy.clamp(x, y, params)
        return states, z
