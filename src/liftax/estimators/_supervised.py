"""What classifier and regressor share: the network that the user builds."""

import dataclasses
import math
from collections.abc import Callable, Sequence

from liftax.estimators._estimator import AbstractLifted
from liftax.networks import Network, mlp
from liftax.potentials import AbstractPotential


@dataclasses.dataclass(eq=False, repr=False)
class AbstractSupervised(AbstractLifted):
    """Estimators of targets by a perceptron, or by any network."""

    network: Callable[[tuple[int, ...], int], Network] | None = None
    input_shape: Sequence[int] | None = None

    def _built(self, inputs: int, outputs: int, last: AbstractPotential) -> Network:
        """The user's network, checked, or a perceptron; `last` is the output's activation."""
        shape = (inputs,) if self.input_shape is None else tuple(self.input_shape)
        if math.prod(shape) != inputs:
            raise ValueError(
                f"input_shape {shape} has {math.prod(shape)} numbers, and X has {inputs} features; "
                "give the shape of one example, such as (height, width, channels)"
            )
        if self.network is None:
            return mlp([inputs, *self._widths(), outputs], self.activation, last)
        built = self.network(shape, outputs)
        if not isinstance(built, Network):
            raise ValueError(
                f"network gave a {type(built).__name__}; give a function of an example's shape and "
                "the number of outputs that returns a Network, such as liftax.lenet"
            )
        end, found = tuple(built.shapes[built.output]), built.node(built.output).potential
        if end != (outputs,) or type(found) is not type(last):
            raise ValueError(
                f"network ends in the shape {end} with {type(found).__name__}; it must end in "
                f"({outputs},) with {type(last).__name__}"
            )
        return built
