"""What every training method offers."""

import abc
from typing import Any, NamedTuple

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from liftax.networks import Params, States
from liftax.objectives import LiftedEnergy


class Step(NamedTuple):
    """Outcome of one training step.

    Attributes:
        params: the new parameters.
        state: the method's new state.
        loss: mean training loss of the network on the batch, before the step.
        output: the network's output on the batch, before the step.
    """

    params: Params
    state: Any
    loss: Float[Array, ""]
    output: Array


class AbstractMethod(eqx.Module):
    """A training method: a record of hyper-parameters, with its changing state passed in and out.

    `full_batch` says that a step takes all samples, always in the same order.
    """

    full_batch: eqx.AbstractClassVar[bool]

    @abc.abstractmethod
    def init(
        self, energy: LiftedEnergy, params: Params, x: Array, y: Array, key: PRNGKeyArray
    ) -> Any:
        """The state to start from; `x`, `y` are the first batch."""

    @abc.abstractmethod
    def step(self, energy: LiftedEnergy, params: Params, state: Any, x: Array, y: Array) -> Step:
        """One step on a batch; `y` are targets in the domain of the output's potential."""

    @abc.abstractmethod
    def states(
        self, energy: LiftedEnergy, params: Params, state: Any, x: Array, y: Array
    ) -> tuple[States, dict[str, Array]]:
        """The activations that the method would work with on this batch, and pre-activations."""
