"""One backward sweep over the activations, then any optimiser on the parameters."""

from typing import TYPE_CHECKING, Any

from jaxtyping import Array, PRNGKeyArray

from liftax._fusion import once
from liftax.blocks import (
    AbstractMetric,
    Euclidean,
    StateBlock,
    backward,
    hyper_gradient,
    pulled_back,
    target,
)
from liftax.methods._gradient_method import AbstractGradientMethod, Evaluation
from liftax.networks import Params, States
from liftax.objectives import LiftedEnergy, scaled
from liftax.penalties import Quadratic
from liftax.potentials import Identity

if TYPE_CHECKING:
    import optax


class OneSweep(AbstractGradientMethod):
    r"""Lifted training at the cost of back-propagation.

    A forward pass gives feasible $U$; one backward Gauss-Seidel sweep moves every $u_j$ by a
    proximal gradient step $\tau$; the gradient in $\Theta$ goes to an optax optimiser. With the
    Bregman penalty no activation is differentiated.

    The sweep minimises the energy with the loss (and activity terms) weighted by `nudge` = β, and
    the gradient is divided by β again. So are the residuals of a forward pass, which only the
    lifted penalty has, $z_j - \sigma(z_j)$: as β → 0 the gradient tends to that of the energy at
    a forward pass, $\ell + \sum_jw_jC_j(\sigma(z_j), z_j)$.

    Where back-propagation multiplies a signal by the slope $\sigma'$, a small β multiplies it by
    $\sigma'\frac{1+\tau}{\sigma'+\tau}$: the same for slopes 0 and 1, milder on saturated units,
    back-propagation's as $\tau\to\infty$. A unit in a flat part or at a kink passes on a finite
    target if β times its signal reaches across, and β = 1 is the plain lifted step. On ReLU
    classifiers waking many units so cost accuracy when measured, hence the default β = 0.1.

    The residual of a moved unit is $\frac{w\tau}{1+w\tau}$ of the signal that moved it. With
    `undamped` (the default) that factor is taken out at every node; without it the signal shrinks
    geometrically with depth.

    Rounding of the activations is divided by $\frac{\beta\tau}{1+\tau}$, which is 1/110 with the
    defaults: signals that are that much smaller than activations want larger β and τ, or more
    digits; half precision is too short for the defaults.

    A general optimiser gives no promise of descent; stable steps are those of `ImplicitSGD` and
    `BlockCoordinateDescent`.

    Attributes:
        optimiser: any `optax.GradientTransformation`.
        step_size: $\tau$, of the energy of one sample.
        nudge: β, the weight of the loss during the sweep. Plain ReLU networks of 50 layers barely
            train with 0.1 and do with 0.01; residual ones of 100 layers train with either.
        undamped: undo the attenuation.
        mirror: measure the step in the geometry of φ instead of the Euclidean one,
            $u_j\leftarrow\sigma(z_j - \frac{\tau}{1+\tau w_j}g_j)$: no prox has to be solved for
            softmax, tanh, sigmoid, and as β → 0 the signal is back-propagation's at every τ. For
            the Bregman and the lifted penalty, without activity terms.
        metric: `Euclidean()`, or `Implicit(τ)` for implicit steps on the parameters.
        proximal_step: the step of the regularisers' prox, if the energy has any.

    Source: arXiv 2510.09796, section 4 (the sweep); Zach & Estellers (2019) for the weight β.
    """

    optimiser: "optax.GradientTransformation"
    step_size: float = 0.1
    nudge: float = 0.1
    undamped: bool = True
    mirror: bool = False
    metric: AbstractMetric = Euclidean()
    proximal_step: float | None = None

    def __check_init__(self) -> None:
        if not (self.step_size > 0 and self.nudge > 0):
            raise ValueError(
                f"step_size and nudge must be positive, got {self.step_size} and {self.nudge}"
            )

    def prepare(
        self, energy: LiftedEnergy, params: Params, x: Array, y: Array, key: PRNGKeyArray
    ) -> tuple:
        stacks = any(node.copies for node in energy.network.nodes)
        if stacks and not isinstance(self.metric, Euclidean):
            raise ValueError(
                f"the network has stacks, and the metric {type(self.metric).__name__} takes its "
                "steps layer by layer; give the network itself"
            )
        if self.mirror and (energy.activity or isinstance(energy.penalty, Quadratic)):
            raise ValueError(
                "mirror steps are those of the Bregman and the lifted penalty without activity "
                "terms; use mirror=False"
            )
        return ()

    def evaluate(
        self, energy: LiftedEnergy, params: Params, memory: Any, x: Array, y: Array
    ) -> Evaluation:
        states, z, output = energy.clamp(x, y, params)
        signals, _, duals = self._sweep(energy, params, states, z)
        loss = energy.loss_value(z[energy.network.output], y)
        gradient = self.metric.gradient(energy, params, states, signals)
        # At a forward pass both terms of the Bregman penalty cancel: only the moved dual counts.
        learnt = hyper_gradient(energy, params, states, z, duals, 1 / self.nudge)
        return Evaluation({**gradient, **learnt}, loss, output, memory)

    def states(
        self, energy: LiftedEnergy, params: Params, state: Any, x: Array, y: Array
    ) -> tuple[States, States]:
        energy = energy.at(params)
        states, z, _ = energy.clamp(x, y, params)
        _, moved, _ = self._sweep(energy, params, states, z)
        return moved, energy.preactivations(params, moved)

    def _sweep(
        self, energy: LiftedEnergy, params: Params, states: States, z: States
    ) -> tuple[States, States, States]:
        """Signals at all pre-activations over β, the moved states, where the duals would go to."""
        output = energy.network.output
        signal = energy.residual(states, z, output)
        nudged = energy.nudged(self.nudge)
        signals, left = backward(nudged, params, states, z, signal, self._visit)
        moved = {name: u for name, (u, _) in left.items()}
        duals = {name: dual for name, (_, dual) in left.items()}
        return signals, {**states, **moved}, {**z, **duals}

    def _visit(
        self,
        energy: LiftedEnergy,
        params: Params,
        states: States,
        z: States,
        signals: States,
        name: str,
    ) -> tuple[Array, tuple[Array, Array]]:
        """A node's signal; its moved state, and where its dual would go to."""
        tau, beta, weight = self.step_size, self.nudge, energy.weight(name)
        pulled = pulled_back(energy, params, states, signals, name)
        dual = z[name] - scaled(beta / weight, pulled)
        size = tau / (1 + tau * weight)
        if _straight(energy, name):
            # What the formulas below come to, in one pass over memory less.
            moved = states[name] - scaled(beta * size, pulled)
            return pulled if self.undamped else scaled(size * weight, pulled), (moved, dual)
        if self.mirror:
            moved = energy.network.node(name).activated(z[name] - scaled(beta * size, pulled))
        else:
            block = StateBlock(energy, params, states, z, (name,))
            ahead = states[name] - tau * (beta * pulled - target(energy, z[name], name))
            moved = block.prox({name: ahead}, {name: tau})[name]
        # What pulls at a forward pass already (the lifted penalty's residual z - σ(z)) belongs to
        # what is weighted by β; with exact penalties it is 0.
        before = None if energy.penalty.exact else energy.residual(states, z, name)
        change = energy.residual({**states, name: moved}, z, name)
        change = change if before is None else change - before
        change = scaled(1 / (beta * size * weight) if self.undamped else 1 / beta, change)
        return once(change if before is None else before + change), (moved, dual)


def _straight(energy: LiftedEnergy, name: str) -> bool:
    r"""Whether a node's penalty is $\frac12\|u - z\|^2$, and nothing else acts on u."""
    potential, penalty = energy.network.node(name).potential, energy.penalty
    plain = isinstance(potential, Identity) and name not in energy.activity
    return plain and penalty.exact and penalty.quadratic(potential)
