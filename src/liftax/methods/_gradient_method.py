"""Methods that hand a gradient of the parameters to an optimiser."""

import abc
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from liftax._kinds import named
from liftax.methods._method import AbstractMethod, Step
from liftax.networks import Params
from liftax.objectives import LiftedEnergy

if TYPE_CHECKING:
    # Imported where it is called: it takes longer to import than the rest of the package.
    import optax


class Evaluation(NamedTuple):
    """A gradient, and what came with it.

    Attributes:
        gradient: of the parameters, in the method's metric.
        loss: mean training loss before the step.
        output: the network's output before the step.
        memory: what the evaluation carries to the next one.
    """

    gradient: Params
    loss: Float[Array, ""]
    output: Array
    memory: Any


def check_optimiser(optimiser: Any) -> None:
    """Refuse what is no optax transformation, such as a name, a rate, or a function to call.

    Raises:
        ValueError: saying what came.
    """
    parts = [getattr(optimiser, name, None) for name in ("init", "update")]
    if isinstance(optimiser, type) or not all(map(callable, parts)):
        raise ValueError(
            "optimiser must be an optax.GradientTransformation such as optax.adam(1e-3), got "
            f"{named(optimiser)}"
        )


class OptimiserState(NamedTuple):
    """The optimiser's state, and what the gradient's evaluation carries."""

    optimiser: Any
    memory: Any


class AbstractGradientMethod(AbstractMethod):
    """A gradient for every batch, and an optax optimiser that takes it.

    Any `optax.GradientTransformation` will do: schedules, clipping (`optax.clip_by_global_norm`),
    accumulation over batches (`optax.MultiSteps(...).gradient_transformation()`), decoupled weight
    decay. Regularisers of the energy follow by their prox with `proximal_step`.
    """

    optimiser: eqx.AbstractVar["optax.GradientTransformation"]
    full_batch: ClassVar[bool] = False

    def __check_init__(self) -> None:
        check_optimiser(self.optimiser)

    @property
    @abc.abstractmethod
    def proximal_step(self) -> float | None:
        """The step of the regularisers' prox; None if there are none."""

    @abc.abstractmethod
    def prepare(
        self, energy: LiftedEnergy, params: Params, x: Array, y: Array, key: PRNGKeyArray
    ) -> Any:
        """What the first evaluation needs."""

    @abc.abstractmethod
    def evaluate(
        self, energy: LiftedEnergy, params: Params, memory: Any, x: Array, y: Array
    ) -> Evaluation:
        """The gradient on a batch."""

    def init(
        self, energy: LiftedEnergy, params: Params, x: Array, y: Array, key: PRNGKeyArray
    ) -> OptimiserState:
        if energy.regularisers and self.proximal_step is None:
            raise ValueError(
                "the energy has regularisers: give the method proximal_step, the step of their "
                "prox (the optimiser's learning rate; any number for projections)"
            )
        start = self.prepare(energy.at(params), params, x, y, key)
        return OptimiserState(self.optimiser.init(params), start)

    def step(
        self, energy: LiftedEnergy, params: Params, state: OptimiserState, x: Array, y: Array
    ) -> Step:
        found = self.evaluate(energy.at(params), params, state.memory, x, y)
        new, optimiser = self.descend(energy, params, state.optimiser, found.gradient)
        return Step(new, OptimiserState(optimiser, found.memory), found.loss, found.output)

    def descend(
        self, energy: LiftedEnergy, params: Params, state: Any, gradient: Params
    ) -> tuple[Params, Any]:
        """The optimiser's step, then the regularisers' prox; the optimiser's new state."""
        import optax

        updates, state = self.optimiser.update(gradient, state, params)
        new: Any = optax.apply_updates(params, updates)
        if energy.regularisers:
            new = energy.regularise(new, dict.fromkeys(new, self.proximal_step))
        return energy.network.admissible(new), state
