"""One backward sweep over the activations, then any optimiser on the parameters."""

from typing import TYPE_CHECKING, Any, ClassVar

from jaxtyping import Array, PRNGKeyArray

from liftax.blocks import parameter_gradient, pulled_back, state_step
from liftax.methods._method import AbstractMethod, Step
from liftax.methods._optimise import descend
from liftax.networks import Params, States
from liftax.objectives import LiftedEnergy

if TYPE_CHECKING:
    import optax


class OneSweep(AbstractMethod):
    r"""Lifted training at the cost of back-propagation.

    A forward pass gives feasible $U$; one backward Gauss-Seidel sweep moves every $u_j$ by a
    proximal gradient step $\tau$; the gradient in $\Theta$ goes to an optax optimiser. With the
    Bregman penalty no activation is differentiated.

    The sweep minimises the energy with the loss (and activity terms) weighted by `nudge` = β, and
    the gradient is divided by β again. Where back-propagation multiplies a signal by the slope
    $\sigma'$, a small β multiplies it by $\sigma'\frac{1+\tau}{\sigma'+\tau}$: the same for slopes
    0 and 1, milder on saturated units, back-propagation's as $\tau\to\infty$. A unit in a flat part
    or at a kink passes on a finite target if β times its signal reaches across, and β = 1 is the
    plain lifted step. On ReLU classifiers waking many units so cost accuracy when measured, hence
    the default β = 0.1.

    The residual of a moved unit is $\frac{w\tau}{1+w\tau}$ of the signal that moved it. With
    `undamped` (the default) that factor is taken out at every node; without it the signal shrinks
    geometrically with depth.

    A general optimiser gives no promise of descent; stable steps are those of `ImplicitSGD` and
    `BlockCoordinateDescent`.

    Attributes:
        optimiser: any `optax.GradientTransformation`.
        step_size: $\tau$, of the energy of one sample.
        nudge: β, the weight of the loss during the sweep.
        undamped: undo the attenuation.

    Source: arXiv 2510.09796, section 4 (the sweep); Zach & Estellers (2019) for the weight β.
    """

    optimiser: "optax.GradientTransformation"
    step_size: float = 0.1
    nudge: float = 0.1
    undamped: bool = True
    full_batch: ClassVar[bool] = False

    def __check_init__(self) -> None:
        if not (self.step_size > 0 and self.nudge > 0):
            raise ValueError(
                f"step_size and nudge must be positive, got {self.step_size} and {self.nudge}"
            )

    def init(
        self, energy: LiftedEnergy, params: Params, x: Array, y: Array, key: PRNGKeyArray
    ) -> Any:
        return self.optimiser.init(params)

    def step(self, energy: LiftedEnergy, params: Params, state: Any, x: Array, y: Array) -> Step:
        states, z, output = energy.clamp(x, y, params)
        signals, _ = self._sweep(energy, params, states, z)
        loss = energy.loss_value(z[energy.network.output], y)
        gradient = parameter_gradient(energy, params, states, signals, 1 / self.nudge)
        params, state = descend(self.optimiser, gradient, state, params)
        return Step(params, state, loss, output)

    def states(
        self, energy: LiftedEnergy, params: Params, state: Any, x: Array, y: Array
    ) -> tuple[States, dict[str, Array]]:
        states, z, _ = energy.clamp(x, y, params)
        _, moved = self._sweep(energy, params, states, z)
        z = {
            n.name: energy.network.preactivation(params, moved, n.name)
            for n in energy.network.nodes
        }
        return moved, z

    def _sweep(
        self, energy: LiftedEnergy, params: Params, states: States, z: dict[str, Array]
    ) -> tuple[dict[str, Array], States]:
        """Signals at all pre-activations, and the moved states."""
        energy = energy.nudged(self.nudge)
        network, tau = energy.network, self.step_size
        signals = {network.output: energy.residual(states, z, network.output)}
        moved = dict(states)
        for name in reversed(network.hidden):
            gradient = pulled_back(energy, params, states, signals, name)
            moved[name] = state_step(energy, states[name], z[name], gradient, name, tau)
            after = energy.residual(moved, z, name)
            if self.undamped:
                factor = (1 + tau * energy.weight(name)) / (tau * energy.weight(name))
                before = energy.residual(states, z, name)
                after = before + factor * (after - before)
            signals[name] = after
        return signals, moved
