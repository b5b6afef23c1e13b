"""Back-propagation: the baseline."""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from liftax.blocks import AbstractMetric, Euclidean
from liftax.methods._gradient_method import AbstractGradientMethod, Evaluation
from liftax.networks import INPUT, Params, States, forward_in_segments
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
        segments: if given, activations are kept between that many groups of nodes only, and
            computed again in the backward pass (`forward_in_segments`): less memory, a second
            forward pass. For the Euclidean metric.

    Raises:
        ValueError: for fewer than one segment, or segments with another metric.
    """

    optimiser: "optax.GradientTransformation"
    metric: AbstractMetric = Euclidean()
    proximal_step: float | None = None
    segments: int | None = None

    def __check_init__(self) -> None:
        if self.segments is None:
            return
        if self.segments < 1 or not isinstance(self.metric, Euclidean):
            raise ValueError(
                "segments must be at least 1 and need the metric Euclidean(), got "
                f"{self.segments} with {type(self.metric).__name__}; leave one of them out"
            )

    def prepare(
        self, energy: LiftedEnergy, params: Params, x: Array, y: Array, key: PRNGKeyArray
    ) -> tuple:
        return ()

    def evaluate(
        self, energy: LiftedEnergy, params: Params, memory: Any, x: Array, y: Array
    ) -> Evaluation:
        output, kept = energy.network.output, tuple(energy.activity)

        def objective(params: Params, moves: States) -> tuple[Array, tuple]:
            if self.segments is None:
                states, all_z = energy.network.forward(params, x, moves)
                z = all_z[output]
            else:
                network = energy.network
                states, z = forward_in_segments(network, params, x, self.segments, kept)
                states = {INPUT: x, **states}
            loss = energy.loss_value(z, y)
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
        return Evaluation(gradient, loss, states[output], memory)

    def states(
        self, energy: LiftedEnergy, params: Params, state: Any, x: Array, y: Array
    ) -> tuple[States, States]:
        states, z, _ = energy.at(params).clamp(x, y, params)
        return states, z
